#ifndef CLI_PASSWORD_H
#define CLI_PASSWORD_H

#include <stddef.h>

#include "db/login.h"
#include "lib/conf.h"

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
 * without control characters, which SASLprep takes (lib/saslprep.h). Returns NULL, or one sentence
 * that does not show it.
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

/*
 * Hashes with Argon2id at the instance's cost. Returns EXIT_DONE, or EXIT_REFUSED after refuse()
 * when the machine has not enough memory.
 */
int password_hash(const struct conf *conf, const struct password *password,
                  char hash_r[DB_HASH_SIZE]);

/* The same for `count` passwords, as many at once as the machine has cores (or hash_threads). */
int password_hash_all(const struct conf *conf, const struct password *const *passwords,
                      size_t count, char (*hashes_r)[DB_HASH_SIZE]);

#endif
