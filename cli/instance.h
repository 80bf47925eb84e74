#ifndef CLI_INSTANCE_H
#define CLI_INSTANCE_H

#include <stddef.h>

#include "lib/conf.h"

struct db;

/*
 * An instance is a directory that holds bellhop.conf, tls/, accounts.db, store/ and run/. Once a
 * program has entered it, the instance is the working directory and all paths are relative.
 */

#define INSTANCE_CONF        "bellhop.conf"
#define INSTANCE_DATABASE    "accounts.db"
#define INSTANCE_STORE       "store"
#define INSTANCE_RUN         "run"
#define INSTANCE_TLS         "tls"
#define INSTANCE_CERTIFICATE "tls/cert.pem"
#define INSTANCE_KEY         "tls/key.pem"

/* stored's control socket, which the supervisor binds. */
#define INSTANCE_CONTROL "run/stored-control.sock"

struct instance {
    const char *directory; /* as -C named it, for messages to a person only */
    int caller; /* the directory that the caller was in: file arguments are relative to it */
    struct conf conf;
};

/*
 * Makes `directory` the working directory and reads its configuration. Returns 0, or -1 after one
 * sentence on standard error. `directory` is not copied.
 */
int instance_enter(struct instance *instance, const char *directory);

/*
 * Reads bellhop.conf of the working directory again. Returns 0, or -1 with one sentence in error_r
 * (conf_r is then unchanged).
 */
int instance_read_conf(struct conf *conf_r, char *error_r, size_t error_size);

/* Opens the account database for changes. Returns NULL after one sentence on standard error. */
struct db *instance_open_database(const struct instance *instance);

#endif
