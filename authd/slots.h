#ifndef AUTHD_SLOTS_H
#define AUTHD_SLOTS_H

#include <stdint.h>

/*
 * A table of a bounded number of records of one size, each under a key. A record lies in one of the
 * two buckets that its key names. Where both are full, the table takes up twice as much of its
 * memory, and once that is all, the record that weighs least makes room. So what is touched is
 * dense, and goes with how many records there are. One thread uses it.
 *
 * A record begins with its key, which is a keyed digest: nobody outside can aim at a bucket. A key
 * of zeros means that the slot is empty; a record is removed by zeroing it.
 */

#define SLOTS_KEY_SIZE 16

struct slots;

/* How much the loss of a record would matter. */
typedef uint64_t slots_weigh(const void *record, uint32_t now);

/* The least `count` for slots_new() in which so many records hardly displace each other. */
uint64_t slots_count(uint64_t records);

/*
 * At most `count` records, 1024 times a power of two, of `size` octets; the key is the first.
 * `records` is room for all, zeroed, and outlives it.
 */
struct slots *slots_new(void *records, uint64_t count, uint64_t size, slots_weigh *weigh);

/* NULL is allowed. */
void slots_free(struct slots *slots);

/* Valid until the next slots_take(); NULL: there is none. */
void *slots_find(const struct slots *slots, const uint8_t key[SLOTS_KEY_SIZE]);

/* The same, or else a new one, zeroed behind its key, in the place of the lightest. */
void *slots_take(struct slots *slots, const uint8_t key[SLOTS_KEY_SIZE], uint32_t now);

/* The first record that is not empty from slot number *slot on, which is moved behind it; NULL
 * after the last one. */
void *slots_next(const struct slots *slots, uint64_t *slot);

#endif
