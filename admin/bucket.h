#ifndef ADMIN_BUCKET_H
#define ADMIN_BUCKET_H

#include <stdint.h>

/*
 * How often something may happen for each of many: a full bucket holds `burst` drops, each time
 * takes one, and `rate` drops a second come in. A table of a bounded number of buckets; where it is
 * full, the one that has been full for longest, or is nearest to it, is forgotten.
 */
struct buckets;

struct buckets *buckets_new(void);
void buckets_free(struct buckets *buckets);

/*
 * Takes one drop from the bucket of this name, at a time in milliseconds that never goes back.
 * Returns 0, or the milliseconds until there is one.
 */
uint64_t bucket_take(struct buckets *buckets, const void *name, unsigned long length, double rate,
                     double burst, uint64_t now);

/* Takes all drops from it, so that there is none for so many milliseconds. */
void bucket_drain(struct buckets *buckets, const void *name, unsigned long length, double rate,
                  double burst, uint64_t wait, uint64_t now);

#endif
