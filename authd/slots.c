#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "authd/slots.h"
#include "lib/xalloc.h"

/*
 * A key names two buckets, and a record goes into the emptier one, so at three quarters full hardly
 * any is displaced; with one bucket, it would be one in twenty.
 */
#define BUCKET_SLOTS 8
#define BUCKETS      2

/* Slots in use at first. */
#define FIRST 1024

struct slots {
    uint8_t *records; /* room for `most`; the system gives memory for those that are written */
    uint64_t count;   /* in use */
    uint64_t most;
    uint64_t size;
    slots_weigh *weigh;
};

uint64_t slots_count(uint64_t records)
{
    uint64_t count = FIRST;

    while (count - count / 4 < records)
        count *= 2;
    return count;
}

struct slots *slots_new(void *records, uint64_t count, uint64_t size, slots_weigh *weigh)
{
    struct slots *slots = xcalloc(1, sizeof(*slots));

    slots->records = records;
    slots->count = FIRST;
    slots->most = count;
    slots->size = size;
    slots->weigh = weigh;
    return slots;
}

void slots_free(struct slots *slots)
{
    free(slots);
}

/* The first slot of a bucket; there is a power of two of them. */
static uint64_t bucket_of(const struct slots *slots, const uint8_t *key, unsigned which)
{
    uint64_t number;

    memcpy(&number, key + which * sizeof(number), sizeof(number));
    return (number & (slots->count / BUCKET_SLOTS - 1)) * BUCKET_SLOTS;
}

static uint8_t *record_at(const struct slots *slots, uint64_t slot)
{
    return slots->records + slot * slots->size;
}

static uint8_t *find_bucket(const struct slots *slots, const uint8_t *key, unsigned which)
{
    return record_at(slots, bucket_of(slots, key, which));
}

void *slots_find(const struct slots *slots, const uint8_t key[SLOTS_KEY_SIZE])
{
    for (unsigned which = 0; which < BUCKETS; which++) {
        uint8_t *record = find_bucket(slots, key, which);
        for (unsigned i = 0; i < BUCKET_SLOTS; i++, record += slots->size)
            if (memcmp(record, key, SLOTS_KEY_SIZE) == 0)
                return record;
    }
    return NULL;
}

/* A place for one more: an empty one, or the lightest. */
struct place {
    uint8_t *record;
    uint64_t weight;
    unsigned empty; /* in its bucket */
};

static struct place find_place(const struct slots *slots, uint8_t *record, uint32_t now)
{
    struct place place = {.weight = UINT64_MAX};

    for (unsigned i = 0; i < BUCKET_SLOTS; i++, record += slots->size) {
        bool empty = sodium_is_zero(record, SLOTS_KEY_SIZE);
        uint64_t weight = empty ? 0 : slots->weigh(record, now);
        if (place.record == NULL || weight < place.weight) {
            place.record = record;
            place.weight = weight;
        }
        place.empty += empty;
    }
    return place;
}

/*
 * Twice as many buckets: a key that named bucket b of n names b or b + n now, so each record stays
 * or goes to the same place of a bucket that is new, and none is in another's way.
 */
static void grow(struct slots *slots)
{
    uint64_t count = slots->count;

    for (uint64_t slot = 0; slot < count; slot++) {
        uint8_t *record = record_at(slots, slot);
        if (sodium_is_zero(record, SLOTS_KEY_SIZE))
            continue;
        slots->count = count;
        unsigned which = bucket_of(slots, record, 0) == slot / BUCKET_SLOTS * BUCKET_SLOTS ? 0 : 1;
        slots->count = 2 * count;
        if (bucket_of(slots, record, which) < count)
            continue;
        memcpy(record_at(slots, slot + count), record, slots->size);
        memset(record, 0, slots->size);
    }
    slots->count = 2 * count;
}

static void *choose_place(const struct slots *slots, const uint8_t *key, uint32_t now,
                          bool *empty_r)
{
    struct place one = find_place(slots, find_bucket(slots, key, 0), now);
    struct place other = find_place(slots, find_bucket(slots, key, 1), now);
    *empty_r = one.empty > 0 || other.empty > 0;
    if (one.empty != other.empty)
        return one.empty > other.empty ? one.record : other.record;
    return one.weight <= other.weight ? one.record : other.record;
}

void *slots_take(struct slots *slots, const uint8_t key[SLOTS_KEY_SIZE], uint32_t now)
{
    void *record = slots_find(slots, key);
    bool empty;

    if (record != NULL)
        return record;
    while (record = choose_place(slots, key, now, &empty), !empty && slots->count < slots->most)
        grow(slots);
    memset(record, 0, slots->size);
    memcpy(record, key, SLOTS_KEY_SIZE);
    return record;
}

void *slots_next(const struct slots *slots, uint64_t *slot)
{
    while (*slot < slots->count) {
        uint8_t *record = record_at(slots, (*slot)++);
        if (!sodium_is_zero(record, SLOTS_KEY_SIZE))
            return record;
    }
    return NULL;
}
