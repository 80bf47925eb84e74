#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "authd/cache.h"
#include "authd/memory.h"
#include "authd/slots.h"
#include "lib/xalloc.h"

/* The digest begins with the key. */
struct record {
    uint8_t digest[CACHE_DIGEST_SIZE];
    uint32_t added;
};

struct cache {
    struct slots *slots; /* NULL: remembers nothing */
    uint32_t seconds;
};

static uint64_t weigh(const void *record, uint32_t now)
{
    (void)now;
    return ((const struct record *)record)->added;
}

struct cache *cache_new(struct memory *memory, uint64_t entries, uint32_t seconds)
{
    struct cache *cache = xcalloc(1, sizeof(*cache));
    const uint64_t count = slots_count(entries);
    const uint64_t size = sizeof(struct record);

    cache->seconds = seconds;
    if (entries > 0)
        cache->slots =
            slots_new(memory_take(memory, MEMORY_CREDENTIALS, count, size), count, size, weigh);
    return cache;
}

void cache_free(struct cache *cache)
{
    if (cache == NULL)
        return;
    slots_free(cache->slots);
    free(cache);
}

void cache_set_time(struct cache *cache, uint32_t seconds)
{
    cache->seconds = seconds;
}

bool cache_find(const struct cache *cache, const uint8_t digest[CACHE_DIGEST_SIZE], uint32_t now)
{
    const struct record *record = cache->slots != NULL ? slots_find(cache->slots, digest) : NULL;

    return record != NULL && now - record->added < cache->seconds &&
           sodium_memcmp(record->digest, digest, CACHE_DIGEST_SIZE) == 0;
}

void cache_add(struct cache *cache, const uint8_t digest[CACHE_DIGEST_SIZE], uint32_t now)
{
    if (cache->slots == NULL)
        return;
    struct record *record = slots_take(cache->slots, digest, now);
    memcpy(record->digest, digest, CACHE_DIGEST_SIZE);
    record->added = now;
}

bool cache_take_over(struct cache *cache, const void *record, uint32_t now)
{
    const struct record *taken = record;

    if (taken->added > now || now - taken->added >= cache->seconds)
        return false;
    cache_add(cache, taken->digest, taken->added);
    return true;
}
