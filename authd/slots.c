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

struct slots {
    uint8_t *records;
    uint64_t count;
    uint64_t size;
    slots_weigh *weigh;
};

struct slots *slots_new(uint64_t count, uint64_t size, slots_weigh *weigh)
{
    struct slots *slots = xcalloc(1, sizeof(*slots));

    slots->records = xcalloc(count, size);
    slots->count = count;
    slots->size = size;
    slots->weigh = weigh;
    return slots;
}

void slots_free(struct slots *slots)
{
    if (slots == NULL)
        return;
    free(slots->records);
    free(slots);
}

static uint8_t *find_bucket(const struct slots *slots, const uint8_t *key, unsigned which)
{
    uint64_t number;

    memcpy(&number, key + which * sizeof(number), sizeof(number));
    return slots->records + number % (slots->count / BUCKET_SLOTS) * BUCKET_SLOTS * slots->size;
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

void *slots_take(struct slots *slots, const uint8_t key[SLOTS_KEY_SIZE], uint32_t now)
{
    void *record = slots_find(slots, key);

    if (record != NULL)
        return record;
    struct place one = find_place(slots, find_bucket(slots, key, 0), now);
    struct place other = find_place(slots, find_bucket(slots, key, 1), now);
    if (one.empty != other.empty)
        record = one.empty > other.empty ? one.record : other.record;
    else
        record = one.weight <= other.weight ? one.record : other.record;
    memset(record, 0, slots->size);
    memcpy(record, key, SLOTS_KEY_SIZE);
    return record;
}

void *slots_next(const struct slots *slots, uint64_t *slot)
{
    while (*slot < slots->count) {
        uint8_t *record = slots->records + (*slot)++ * slots->size;
        if (!sodium_is_zero(record, SLOTS_KEY_SIZE))
            return record;
    }
    return NULL;
}
