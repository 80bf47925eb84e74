#ifndef AUTHD_BEARER_H
#define AUTHD_BEARER_H

#include <stddef.h>
#include <stdint.h>

#include "authd/cache.h"
#include "authd/typed.h"

struct accounts;
struct report;

/*
 * Whether a token (authd/token.h) opens a mailbox: it is signed by an issuer of the mailbox's own
 * customer, whose keys admin keeps in the account database. A signature costs 60 to 870
 * microseconds once, and is remembered as good passwords are; all else is checked each time.
 */

/* Keys that could not be fetched anew for so many seconds are of no use any more. */
#define BEARER_KEYS_TIME (24 * 3600)

/* For who asks for keys that are missing, in seconds since the last try to fetch them. */
#define BEARER_WANTED_EVERY 60

enum bearer_result {
    BEARER_GOOD,
    BEARER_UNFIT,   /* no: but nobody has guessed: it is the issuer's and not good, or its key is
                       not known yet */
    BEARER_FORGED,  /* no: nobody whose word counts has signed it */
    BEARER_NO_KEYS, /* not now: the issuer's keys could not be fetched */
    BEARER_BROKEN   /* ours; logged */
};

struct bearer {
    struct accounts *accounts;
    struct cache *cache;
    struct report *report;
    const uint8_t *key; /* of digests, TYPED_KEY_SIZE */
    uint64_t missed;    /* the issuer of the last key that was missed */
    uint32_t missed_at;
};

struct bearer_try {
    uint64_t customer; /* the mailbox's */
    const char *address;
    const char *token;
    size_t length;
};

/* *reason_r: why not, as a phrase for the log (static text). */
enum bearer_result bearer_check(struct bearer *bearer, const struct bearer_try *try,
                                const char **reason_r);

#endif
