#ifndef AUTHD_CACHE_H
#define AUTHD_CACHE_H

#include <stdbool.h>
#include <stdint.h>

struct memory;

/*
 * Remembers which credentials were good, so that a client's next login costs no password hash; what
 * was wrong is known to the throttle. It holds neither names nor passwords, only digests, made with
 * a secret of authd/memory.h. The digest covers the stored hash too, so an entry for a changed
 * password is never found again. One thread uses it.
 *
 * Times are seconds of a clock that begins at or above 1 and never goes back.
 */

#define CACHE_DIGEST_SIZE 32

struct cache;

/*
 * Room for `entries` digests, which are uniformly distributed: of that many, fewer than one in a
 * thousand is displaced before its time. 36 octets an entry, and up to twice as many entries. 0
 * entries: remembers nothing. Others are remembered for `seconds`.
 */
struct cache *cache_new(struct memory *memory, uint64_t entries, uint32_t seconds);

/* NULL is allowed. The records stay in the memory. */
void cache_free(struct cache *cache);

/* Changes the time for which they are remembered, for present entries too. */
void cache_set_time(struct cache *cache, uint32_t seconds);

/* Whether these credentials are known to be good. */
bool cache_find(const struct cache *cache, const uint8_t digest[CACHE_DIGEST_SIZE], uint32_t now);

/* Remembers good credentials; displaces the entry that would expire first. */
void cache_add(struct cache *cache, const uint8_t digest[CACHE_DIGEST_SIZE], uint32_t now);

/*
 * Takes over a record of another cache's memory, as memory_take_over() tells it. Returns whether it
 * is still worth something.
 */
bool cache_take_over(struct cache *cache, const void *record, uint32_t now);

#endif
