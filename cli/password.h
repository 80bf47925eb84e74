#ifndef CLI_PASSWORD_H
#define CLI_PASSWORD_H

#include <stddef.h>

#include "lib/conf.h"
#include "lib/invitation.h"
#include "lib/password.h"
#include "lib/passwordrule.h"

struct db;

/* Where passwords of mailboxes come from. */

/*
 * Reads standard input to its end; one final newline (LF or CRLF) does not count. Checks it as what
 * somebody chose. Returns EXIT_DONE, or EXIT_REFUSED after refuse().
 */
int password_read(struct password *password_r, const struct passwordrule_owner *owner);

/*
 * Asks twice on the terminal that standard input is, without showing what is typed; as above.
 */
int password_ask(struct password *password_r, const struct passwordrule_owner *owner);

/*
 * The same for a password that another server has given out: any octets but control characters are
 * good. On the terminal it is asked for once, with `prompt`.
 */
int password_read_foreign(struct password *password_r);
int password_ask_foreign(const char *prompt, struct password *password_r);

/*
 * Writes "LABEL: SECRET" to standard output, past the buffers that would keep a copy. Returns
 * EXIT_DONE, or EXIT_REFUSED after refuse().
 */
int password_show(const char *label, const char *secret);

/* Wiped by its owner. */
struct drawn_invitation {
    struct invitation invitation;    /* from a server elsewhere, without its digest */
    char link[INVITATION_LINK_SIZE]; /* empty: the service has no pages */
};

void password_draw_invitation(struct drawn_invitation *drawn_r, const struct conf *conf);

/* Writes its token, its link where there are pages, and its end; wipes it. As above. */
int password_show_invitation(struct drawn_invitation *drawn);

/* With what an address's owner is to log in: a password, or what another server has kept of one. */
struct login {
    struct password password;
    struct password_kept kept; /* its hash is empty until password_keep() */
};

void login_wipe(struct login *login);

/* A password of which what is kept is to be made, and for which mailbox, by its address in its one
 * form. */
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
 * The same for an instance elsewhere that is to take hashes, at the usual cost and without keys: it
 * makes them anew at the first good login.
 */
int password_keep_elsewhere(const struct conf *conf, struct db *db, const struct password_job *jobs,
                            size_t count);

/*
 * Reads what another server has kept of a password (lib/storedhash.h) from standard input, as
 * password_read() reads a password.
 */
int password_read_kept(struct password_kept *kept_r);

#endif
