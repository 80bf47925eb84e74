#ifndef AUTHD_CACHE_H
#define AUTHD_CACHE_H

#include <stdint.h>

/*
 * Remembers whether credentials were good or wrong, so that a client's next login costs no password
 * hash. It holds neither names nor passwords, only digests made with a key that dies with the
 * process. The digest covers the stored hash too, so an entry for a changed password is never
 * found again. One thread uses it.
 *
 * Times are seconds of a clock that begins at or above 1 and never goes back.
 */

#define CACHE_DIGEST_SIZE 32

/*
 * Seconds for which wrong credentials are remembered, at most. Long enough for a client that polls
 * with an old password, and it bounds what a guesser can occupy: his guesses all differ, so each
 * costs a hash, and the table holds at most the hashes of this many seconds.
 */
#define CACHE_WRONG_TIME 300

enum cache_verdict { CACHE_NONE, CACHE_GOOD, CACHE_WRONG };

struct cache;

/*
 * Room for `entries` digests, which are uniformly distributed: of that many, fewer than one in a
 * thousand is displaced before its time. 80 octets an entry, touched only when used. 0 entries:
 * remembers nothing. Good credentials are remembered for `seconds`.
 */
struct cache *cache_new(uint64_t entries, uint32_t seconds);

/* NULL is allowed. */
void cache_free(struct cache *cache);

/* Changes the time for which good credentials are remembered, for present entries too. */
void cache_set_time(struct cache *cache, uint32_t seconds);

enum cache_verdict cache_find(const struct cache *cache, const uint8_t digest[CACHE_DIGEST_SIZE],
                              uint32_t now);

/* Remembers CACHE_GOOD or CACHE_WRONG; displaces the entry that would expire first. */
void cache_add(struct cache *cache, const uint8_t digest[CACHE_DIGEST_SIZE],
               enum cache_verdict verdict, uint32_t now);

#endif
