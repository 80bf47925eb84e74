#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "authd/cache.h"
#include "lib/xalloc.h"

/*
 * An array of buckets, each searched whole. Nobody outside knows the key of the digests, so nobody
 * can aim at one bucket. With twice the slots a bucket is half full on average, and 16 slots are
 * then enough for nearly all of them.
 */

#define BUCKET_SLOTS 16

struct slot {
    uint8_t digest[CACHE_DIGEST_SIZE];
    uint32_t expires; /* 0: empty */
};

struct bucket {
    struct slot slots[BUCKET_SLOTS];
};

struct cache {
    struct bucket *buckets;
    uint64_t count;
    uint32_t seconds;
};

struct cache *cache_new(uint64_t entries, uint32_t seconds)
{
    struct cache *cache = xcalloc(1, sizeof(*cache));

    cache->count = entries / (BUCKET_SLOTS / 2) + (entries % (BUCKET_SLOTS / 2) != 0);
    cache->seconds = seconds;
    if (cache->count > 0)
        cache->buckets = xcalloc(cache->count, sizeof(struct bucket));
    return cache;
}

void cache_free(struct cache *cache)
{
    if (cache == NULL)
        return;
    free(cache->buckets);
    free(cache);
}

void cache_set_time(struct cache *cache, uint32_t seconds)
{
    cache->seconds = seconds;
}

static struct slot *find_slots(const struct cache *cache, const uint8_t *digest)
{
    uint64_t number;

    memcpy(&number, digest, sizeof(number));
    return cache->buckets[number % cache->count].slots;
}

/* One that lasts longer than anything would that is added now is from before cache_set_time(). */
static bool is_expired(const struct cache *cache, const struct slot *slot, uint32_t now)
{
    return slot->expires <= now || slot->expires - now > cache->seconds;
}

bool cache_find(const struct cache *cache, const uint8_t digest[CACHE_DIGEST_SIZE], uint32_t now)
{
    if (cache->count == 0)
        return false;
    const struct slot *slots = find_slots(cache, digest);
    for (size_t i = 0; i < BUCKET_SLOTS; i++)
        if (!is_expired(cache, &slots[i], now) &&
            sodium_memcmp(slots[i].digest, digest, CACHE_DIGEST_SIZE) == 0)
            return true;
    return false;
}

void cache_add(struct cache *cache, const uint8_t digest[CACHE_DIGEST_SIZE], uint32_t now)
{
    if (cache->count == 0)
        return;
    struct slot *slots = find_slots(cache, digest);
    struct slot *oldest = &slots[0];
    for (size_t i = 0; i < BUCKET_SLOTS; i++) {
        if (memcmp(slots[i].digest, digest, CACHE_DIGEST_SIZE) == 0) {
            oldest = &slots[i];
            break;
        }
        if (slots[i].expires < oldest->expires)
            oldest = &slots[i];
    }
    memcpy(oldest->digest, digest, CACHE_DIGEST_SIZE);
    oldest->expires = now + cache->seconds;
}
