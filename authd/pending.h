#ifndef AUTHD_PENDING_H
#define AUTHD_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "authd/cache.h"
#include "authd/check.h"
#include "authd/hashpool.h"
#include "authd/throttle.h"

struct pendings;
struct typed;

/*
 * Checks whose password is being hashed, or is held back until others are done, because as many as
 * may be wrong are on their way. Checks of the same credentials from the same address (a client
 * that opens several connections at once) share one hash.
 */

/*
 * Only as many passwords wait as can be hashed within this many seconds: Postfix gives up after 10,
 * and an answer that nobody waits for has cost somebody else's.
 */
#define PENDING_SECONDS 8
#define PENDING_MOST    4096

/* Which checks may share a hash: of the same credentials, and from the same address. */
struct pending_key {
    uint8_t digest[CACHE_DIGEST_SIZE];
    uint8_t guess[THROTTLE_KEY_SIZE];
};

/* What a check asks for. It is copied. */
struct pending_order {
    const struct pending_key *key;
    uint64_t customer; /* whose turn it takes: authd/turns.h */
    const char *hash;  /* the password is compared with this */
    const struct typed *typed;
    uint64_t operations; /* as in struct hash_job */
    uint64_t memory;
};

/* How a check ends; exactly one is called for each, and it may free the check. */
struct pendings_events {
    /*
     * The job says whether the password fits what was stored when the check began. `fresh`: that
     * was computed, and no check before has been told by it. Returns whether the password is good
     * now too.
     */
    bool (*compared)(void *context, struct check *check, const struct hash_job *job, bool fresh);
    void (*delayed)(struct check *check, const struct throttle_wait *wait);
    void (*busy)(struct check *check); /* too many have been waiting for too long */
};

/* The others outlive it. */
struct pendings *pendings_new(struct throttle *throttle, struct cache *cache, struct hashpool *pool,
                              const struct pendings_events *events, void *context);

/* After the pool's end. Checks that wait are dropped. */
void pendings_free(struct pendings *pendings);

/* How many password hashes are awaited. */
unsigned pendings_count(const struct pendings *pendings);

/*
 * Has a password hashed at once, or with `hold` when others are done. Returns 0, or -1 when too
 * many wait: then nothing is called.
 */
int pendings_add(struct pendings *pendings, struct check *check, const struct pending_order *order,
                 bool hold);

/* Forgets a check that may wait. */
void pendings_cancel(struct pendings *pendings, struct check *check);

#endif
