#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "admin/bucket.h"
#include "lib/xalloc.h"

/* 16,384 buckets in sets of 8; a name is in one set. The tables are 640 KiB together. */
#define SETS 2048
#define WAYS 8

struct bucket {
    uint64_t name;  /* a keyed digest, so nobody can aim at another's set; 0: free */
    uint64_t since; /* when `drops` was right */
    uint64_t full;  /* when it will be full again */
    double drops;
};

struct buckets {
    uint8_t key[crypto_shorthash_KEYBYTES];
    struct bucket sets[SETS][WAYS];
};

struct buckets *buckets_new(void)
{
    struct buckets *buckets = xcalloc(1, sizeof(*buckets));

    crypto_shorthash_keygen(buckets->key);
    return buckets;
}

void buckets_free(struct buckets *buckets)
{
    free(buckets);
}

/* The bucket of this name, or the one in whose place a new one is least missed. */
static struct bucket *find(struct buckets *buckets, uint64_t name)
{
    struct bucket *set = buckets->sets[name % SETS];
    struct bucket *oldest = &set[0];

    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].name == name)
            return &set[i];
        if (set[i].full < oldest->full)
            oldest = &set[i];
    }
    memset(oldest, 0, sizeof(*oldest));
    return oldest;
}

static struct bucket *take(struct buckets *buckets, const void *name, unsigned long length,
                           double burst, uint64_t now)
{
    uint64_t digest;

    crypto_shorthash((unsigned char *)&digest, name, length, buckets->key);
    digest |= (uint64_t)1 << 63;
    struct bucket *bucket = find(buckets, digest);
    if (bucket->name == 0)
        *bucket = (struct bucket){.name = digest, .since = now, .drops = burst};
    return bucket;
}

static void fill_later(struct bucket *bucket, double rate, double burst, uint64_t now)
{
    bucket->since = now;
    bucket->full = now + (uint64_t)((burst - bucket->drops) * 1000 / rate);
}

uint64_t bucket_take(struct buckets *buckets, const void *name, unsigned long length, double rate,
                     double burst, uint64_t now)
{
    struct bucket *bucket = take(buckets, name, length, burst, now);
    double drops = bucket->drops + (double)(now - bucket->since) * rate / 1000;

    bucket->drops = drops < burst ? drops : burst;
    uint64_t wait = bucket->drops >= 1 ? 0 : (uint64_t)((1 - bucket->drops) * 1000 / rate + 0.999);
    if (wait == 0)
        bucket->drops -= 1;
    fill_later(bucket, rate, burst, now);
    return wait;
}

void bucket_drain(struct buckets *buckets, const void *name, unsigned long length, double rate,
                  double burst, uint64_t wait, uint64_t now)
{
    struct bucket *bucket = take(buckets, name, length, burst, now);

    bucket->drops = 1 - (double)wait * rate / 1000;
    fill_later(bucket, rate, burst, now);
}
