#ifndef STORED_SEGMENTS_H
#define STORED_SEGMENTS_H

#include <stdint.h>

#include "stored/segment.h"

/* Segments held open for reading: a bounded number, and fewer when descriptors run out. */

struct segments;

struct segments *segments_new(uint64_t seed);
void segments_free(struct segments *segments);

/* The segment, opened if need be; valid until the next call. NULL: it cannot be opened (errno). */
const struct segment *segments_get(struct segments *segments, uint64_t id);

/* As segment_read(), of the segment with this id: 0 or an errno. */
int segments_read(struct segments *segments, uint64_t id, struct iovec *pieces, int count,
                  uint64_t offset);

/* Closes the segment: its file is about to be removed. */
void segments_forget(struct segments *segments, uint64_t id);

#endif
