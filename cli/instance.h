#ifndef CLI_INSTANCE_H
#define CLI_INSTANCE_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/remote.h"
#include "lib/conf.h"

struct db;

/*
 * An instance is a directory that holds bellhop.conf, tls/, texts/, accounts.db, store/ and run/.
 * Once a program has entered it, the instance is the working directory and all paths are relative.
 */

#define INSTANCE_CONF        "bellhop.conf"
#define INSTANCE_DATABASE    "accounts.db"
#define INSTANCE_STORE       "store"
#define INSTANCE_RUN         "run"
#define INSTANCE_TLS         "tls"
#define INSTANCE_CERTIFICATE "tls/cert.pem"
#define INSTANCE_KEY         "tls/key.pem"
#define INSTANCE_TEXTS       "texts"
#define INSTANCE_TEXT        "texts/quota-warning.%s.txt" /* a language's code */

/* Held while programs of the instance run (cli/lock.h). */
#define INSTANCE_LOCK "run/lock"

/* stored's control socket, which the supervisor binds. */
#define INSTANCE_CONTROL "run/stored-control.sock"

/* The supervisor's own, for commands (cli/callers.h). */
#define INSTANCE_SUPERVISOR "run/supervisor.sock"

/* Where mail servers ask before they accept mail (lmtpd/policy.h). */
#define INSTANCE_POLICY "run/policy.sock"

/* And authd's. */
#define INSTANCE_AUTH_CONTROL "run/auth-control.sock"

/* While this file is there, a restore is under way or was interrupted (stored/load.h). */
#define INSTANCE_UNFINISHED "store/restore.unfinished"

struct instance {
    const char *directory;        /* as -C named it; once inside for messages to a person only */
    bool restoring;               /* the command may enter one whose restore was interrupted */
    struct remote_options server; /* with a URL: it runs elsewhere, and there is no directory */
    struct conf conf;             /* once inside */
};

/*
 * Makes instance->directory the working directory and reads its configuration. Returns 0, or -1
 * after one sentence on standard error. A command calls it when its arguments are in order and
 * the files that they name, which are relative to where the caller is, have been read.
 */
int instance_enter(struct instance *instance);

/* Whether no restore is unfinished in the working directory: 0, or -1 after such a sentence. */
int instance_check_whole(const char *directory);

/*
 * Reads bellhop.conf of the working directory again. Returns 0, or -1 with one sentence in error_r
 * (conf_r is then unchanged).
 */
int instance_read_conf(struct conf *conf_r, char *error_r, size_t error_size);

/*
 * Enters the instance and opens its account database for changes; of a server elsewhere, its API.
 * Either is used and closed through cli/accounts.h. Returns NULL after one sentence on standard
 * error.
 */
struct db *instance_open_database(struct instance *instance);

/* The same for who has entered it. */
struct db *instance_database(const struct instance *instance);

#endif
