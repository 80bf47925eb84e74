#include <errno.h>
#include <stdlib.h>
#include <uthash.h>

#include "lib/xalloc.h"
#include "stored/segments.h"

/* Descriptors spent on reading; the rest of the usual limit of 1024 is for connections. */
#define SEGMENTS_OPEN_MAX 512

struct open_segment {
    struct segment segment;
    UT_hash_handle hh;
};

struct segments {
    uint64_t seed;
    struct open_segment *open; /* uthash keeps the order of adding: the oldest is first */
};

struct segments *segments_new(uint64_t seed)
{
    struct segments *segments = xcalloc(1, sizeof(*segments));

    segments->seed = seed;
    return segments;
}

static void drop(struct segments *segments, struct open_segment *entry)
{
    HASH_DEL(segments->open, entry);
    segment_close(&entry->segment);
    free(entry);
}

void segments_free(struct segments *segments)
{
    if (segments == NULL)
        return;
    while (segments->open != NULL)
        drop(segments, segments->open);
    free(segments);
}

const struct segment *segments_get(struct segments *segments, uint64_t id)
{
    struct open_segment *entry;

    HASH_FIND(hh, segments->open, &id, sizeof(id), entry);
    if (entry != NULL)
        return &entry->segment;
    if (HASH_COUNT(segments->open) >= SEGMENTS_OPEN_MAX)
        drop(segments, segments->open);
    entry = xcalloc(1, sizeof(*entry));
    entry->segment.id = id;
    entry->segment.seed = segments->seed;
    int error = segment_open(&entry->segment);
    /* Short of descriptors, the oldest gives way. */
    while ((error == EMFILE || error == ENFILE) && segments->open != NULL) {
        drop(segments, segments->open);
        error = segment_open(&entry->segment);
    }
    if (error != 0) {
        free(entry);
        errno = error;
        return NULL;
    }
    HASH_ADD(hh, segments->open, segment.id, sizeof(entry->segment.id), entry);
    return &entry->segment;
}

int segments_read(struct segments *segments, uint64_t id, struct iovec *pieces, int count,
                  uint64_t offset)
{
    const struct segment *segment = segments_get(segments, id);

    return segment == NULL ? errno : segment_read(segment, pieces, count, offset);
}

void segments_forget(struct segments *segments, uint64_t id)
{
    struct open_segment *entry;

    HASH_FIND(hh, segments->open, &id, sizeof(id), entry);
    if (entry != NULL)
        drop(segments, entry);
}
