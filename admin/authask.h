#ifndef ADMIN_AUTHASK_H
#define ADMIN_AUTHASK_H

#include <stddef.h>
#include <stdint.h>

#include "lib/authmsg.h"

struct event_base;

/*
 * Asks authd about what people and programs show to be let in (lib/authmsg.h). A connection is made
 * when something is asked and nothing else is under way, so that an authd that has been replaced is
 * not asked any more.
 */
struct authask;

struct authask_caller {
    /* AUTH_ANSWER_BUSY also where authd is away, or ends before it answers. */
    void (*done)(void *context, const struct auth_checked *checked);
    void *context;
};

struct authask *authask_new(struct event_base *base);

/* Whoever waits is told that authd is away. NULL is allowed. */
void authask_free(struct authask *authask);

/*
 * Whether a password is that of a login, an admin user's or a mailbox owner's, at most
 * AUTH_LOGIN_MAX and AUTH_PASSWORD_MAX octets; what is longer is taken for wrong by its caller.
 * `remote` is the client's address, may be empty. done() is called once, later from the event loop.
 */
void authask_password(struct authask *authask, const char *remote, const char *login,
                      const char *password, struct authask_caller caller);

/* Tells of a key that opens nothing; done() as above. Returns 0, or -1 and nobody is called: enough
 * of them are on their way. */
int authask_key(struct authask *authask, const char *remote, const char *key,
                struct authask_caller caller);

#endif
