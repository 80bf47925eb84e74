#ifndef CLI_PASSWORD_H
#define CLI_PASSWORD_H

#include <stddef.h>

#include "db/login.h"
#include "lib/conf.h"
#include "lib/scramkeys.h"

struct db;

/* Passwords of mailboxes: where they come from, what is allowed, and what is kept of them. */

#define PASSWORD_LEAST 8   /* octets */
#define PASSWORD_MOST  512 /* octets */

/* Wiped by its owner with password_wipe() right after use. */
struct password {
    char text[PASSWORD_MOST + 1];
    size_t length;
};

void password_wipe(struct password *password);

/*
 * Tells whether the octets may be a password: PASSWORD_LEAST to PASSWORD_MOST octets of UTF-8
 * without control characters, which SASLprep takes (lib/saslprep.h), not of the form of an app
 * password (lib/apppassword.h). Returns NULL, or one sentence that does not show it.
 */
const char *password_check(const char *text, size_t length);

/*
 * Reads standard input to its end; one final newline (LF or CRLF) does not count. Checks it.
 * Returns EXIT_DONE, or EXIT_REFUSED after refuse().
 */
int password_read(struct password *password_r);

/*
 * Asks twice on the terminal that standard input is, without showing what is typed; as above.
 */
int password_ask(struct password *password_r);

/*
 * The same for a password that another server has given out: any octets but control characters are
 * good. On the terminal it is asked for once, with `prompt`.
 */
int password_read_foreign(struct password *password_r);
int password_ask_foreign(const char *prompt, struct password *password_r);

/* Draws one of 80 random bits, easy to read out and to type. */
void password_generate(struct password *password_r);

/*
 * Writes "LABEL: SECRET" to standard output, past the buffers that would keep a copy. Returns
 * EXIT_DONE, or EXIT_REFUSED after refuse().
 */
int password_show(const char *label, const char *secret);

/* What is kept of a password. Wiped by its owner. */
struct password_kept {
    char hash[DB_HASH_SIZE];
    char scram[SCRAMKEYS_TEXT_SIZE]; /* empty: the password that they would be made of is unknown */
};

/* A password of which that is to be made, and for which mailbox, by its address in its one form. */
struct password_job {
    const struct password *password;
    const char *address;
    struct password_kept *kept;
};

/*
 * Hashes with Argon2id at the instance's cost, and makes the keys for SCRAM, as many passwords at
 * once as the machine has cores (or hash_threads). Returns EXIT_DONE, or EXIT_REFUSED after
 * refuse() when the machine has not enough memory or the database cannot be read.
 */
int password_keep(const struct conf *conf, struct db *db, const struct password_job *jobs,
                  size_t count);

/*
 * Reads what another server has kept of a password (lib/storedhash.h) from standard input, as
 * password_read() reads a password.
 */
int password_read_kept(struct password_kept *kept_r);

#endif
