#ifndef AUTHD_KEYMAKER_H
#define AUTHD_KEYMAKER_H

#include <stddef.h>
#include <stdint.h>

#include "lib/scramkeys.h"

/*
 * Makes the keys for SCRAM of passwords that have none, when their owners have told them: by the
 * hash threads, while nobody waits for them, and reported to be stored beside the hash that the
 * password has. What is lost on the way is made at a later login.
 */

struct hashpool;
struct keymaker;
struct report;

struct keymaker_order {
    uint64_t customer;
    uint64_t mailbox;
    const char *hash;     /* the stored one, which the password fits */
    const char *password; /* in its one form (lib/saslprep.h) */
    size_t password_length;
    uint8_t salt[SCRAMKEYS_SALT_SIZE];
};

/* `pool` and `report` outlive it. */
struct keymaker *keymaker_new(struct hashpool *pool, struct report *report);

/* After the pool's end: no job comes back. NULL is allowed. */
void keymaker_free(struct keymaker *keymaker);

/* Begins, unless it is at this mailbox already. What the order points to is copied. */
void keymaker_make(struct keymaker *keymaker, const struct keymaker_order *order);

#endif
