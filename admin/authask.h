#ifndef ADMIN_AUTHASK_H
#define ADMIN_AUTHASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/authmsg.h"

struct event_base;

/*
 * Asks authd over its control socket (lib/authmsg.h): about what people and programs show to be let
 * in, and about what it delays. A connection is made when something is asked and nothing else is
 * under way, so that an authd that has been replaced is not asked any more.
 */
struct authask;

struct authask_answer {
    bool away;                   /* authd is, or ended before it answered; nothing else is known */
    struct auth_checked checked; /* of a password or a key; AUTH_ANSWER_BUSY where it is away */
    uint64_t number;             /* how many delays were lifted, or left off a list */
    struct auth_block *blocks;   /* of a list; done() may sort them, they are freed behind it */
    size_t count;
};

struct authask_caller {
    /* Is called once, later, from the event loop. */
    void (*done)(void *context, struct authask_answer *answer);
    void *context;
};

struct authask *authask_new(struct event_base *base);

/* Whoever waits is told that authd is away. NULL is allowed. */
void authask_free(struct authask *authask);

/*
 * Whether a password is that of a login, an admin user's or a mailbox owner's, at most
 * AUTH_LOGIN_MAX and AUTH_PASSWORD_MAX octets; what is longer is taken for wrong by its caller.
 * `remote` is the client's address, may be empty.
 */
void authask_password(struct authask *authask, const char *remote, const char *login,
                      const char *password, struct authask_caller caller);

/* Tells of a key that opens nothing. Returns 0, or -1 and nobody is called: enough of them are on
 * their way. */
int authask_key(struct authask *authask, const char *remote, const char *key,
                struct authask_caller caller);

/* What is delayed because of wrong passwords, of a customer's mailboxes or (0) of all. */
void authask_list(struct authask *authask, uint64_t customer, struct authask_caller caller);

/* Ends that for a mailbox or a network. */
void authask_lift(struct authask *authask, const struct auth_lift *lift,
                  struct authask_caller caller);

#endif
