#ifndef AUTHD_UPGRADE_H
#define AUTHD_UPGRADE_H

#include <stddef.h>
#include <stdint.h>

#include "authd/hashpool.h"

/*
 * Passwords that another server has hashed, or that were hashed at a lower cost than is configured
 * now, are hashed anew when their owner has typed them: by the hash threads, while nobody waits for
 * them, and reported to be stored. What is lost on the way is done again at a later login.
 */

struct report;
struct upgrader;

/* One that is done, for whom wants to know. Valid within the call. */
struct upgrade {
    uint64_t customer;
    uint64_t mailbox;
    const char *address;
    const char *hash; /* the new one */
    const char *password;
    size_t password_length;
};

/* `pool` and `report` outlive it. `done` is called for each, when it has been reported. */
struct upgrader *upgrader_new(struct hashpool *pool, struct report *report,
                              void (*done)(void *context, const struct upgrade *upgrade),
                              void *context);

/* After the pool's end: no job comes back. NULL is allowed. */
void upgrader_free(struct upgrader *upgrader);

/*
 * After a check by `checked` that fitted: begins to hash its password at the cost that the job has
 * for nobody's, unless the stored hash costs no less, or the password has no prepared form. The
 * upgrade tells whose it is.
 */
void upgrade_start(struct upgrader *upgrader, const struct hash_job *checked,
                   const struct upgrade *upgrade);

#endif
