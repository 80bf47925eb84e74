#ifndef STORED_STORE_H
#define STORED_STORE_H

#include <stdint.h>

#include "lib/capability.h"
#include "stored/crossings.h"

struct commits;
struct event_base;
struct index;
struct mailboxes;
struct openings;
struct segments;

/* What the parts of a running store share. One thread, but for what commit.h says. */
struct store {
    struct event_base *base;
    struct index *index;
    struct index *scans; /* the same for INDEX_SCAN */
    struct mailboxes *mailboxes;
    struct segments *segments; /* open for reading */
    struct commits *commits;
    struct openings *openings;
    uint64_t seed;
    uint64_t next_segment;            /* above every id that was ever used */
    uint64_t last_commit;             /* the number of the newest group commit in the log */
    uint64_t segment_size;            /* octets; as much stays free on the disk, for the index */
    uint64_t reclaim_rate;            /* octets a second that may be copied to give space back */
    void (*durable)(void *context);   /* called when a group is, before it enters the index */
    void (*committed)(void *context); /* called after each group commit */
    void *committed_context;
    struct crossings crossings;
    unsigned holds; /* while there is one, nothing of the log is moved, punched or removed */
    uint8_t key[CAPABILITY_KEY_SIZE];
};

#endif
