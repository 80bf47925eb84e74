#ifndef STORED_INDEX_H
#define STORED_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "stored/record.h"

/*
 * The index: where each message of each mailbox is, what each mailbox uses, and how far each
 * segment has been applied. A cache of the log, kept in SQLite (store/index.db): after a crash it
 * may be behind, never ahead, and stored brings it up to date before it serves (recovery.h).
 *
 * Applying a record twice, or in another order than it was written (all messages before all
 * expunges and drops), gives the same index. Of several records of one message, the furthest on in
 * the log is its place.
 *
 * An index that fails cannot be served from, so failures of writing end the process (log_retry):
 * the log holds everything, the supervisor starts stored again, and recovery repeats the work. An
 * index that is found damaged is removed first, so that recovery builds it anew.
 * Functions that only read return 0 or -1 (logged).
 */

struct index;

enum index_mode {
    INDEX_READ, /* by a program of its own, beside the service */
    INDEX_SCAN, /* beside INDEX_WRITE in one process: long lists, of what that has
                   committed, that should not fill its cache */
    INDEX_WRITE
};

/*
 * Opens the file at `path`, made new in INDEX_WRITE if it is missing, and changed where it is of
 * the version before or knows surrogates of an older SURROGATE_VERSION. NULL: damaged, or of
 * another version, or not there; logged. Then it can be rebuilt (recovery.h).
 */
struct index *index_open(const char *path, enum index_mode mode);

/* Also writes everything into the main file, so that the next start is quick. NULL is allowed. */
void index_close(struct index *index);

/*
 * Everything between these is applied at once or not at all. Not synced: the log is. What has been
 * begun may be gone on with by another index_begin(): until index_commit(), the reads of this index
 * see what was applied and those of other processes do not. Without index_begin(), index_commit()
 * has nothing to do; index_close() commits.
 */
void index_begin(struct index *index);
void index_commit(struct index *index);

/* Reads from now on see the index as it is at this moment, until it is closed. */
void index_begin_read(struct index *index);

/* Applies one record, within index_begin() and index_commit(). */
void index_apply(struct index *index, const struct record_header *header);

/* The records of `segment` before `offset` have been applied. */
void index_set_applied(struct index *index, uint64_t segment, uint64_t offset);

struct index_segment {
    uint64_t segment;
    uint64_t applied; /* 0: nothing yet */
    uint64_t live;    /* octets of records whose messages are still in some mailbox */
    uint64_t punched; /* octets that have been given back to the disk */
};

/* Fills in *segment_r for one segment; zeros for an unknown one. */
int index_get_segment(struct index *index, uint64_t segment, struct index_segment *segment_r);

void index_set_punched(struct index *index, uint64_t segment, uint64_t octets);

/*
 * Whether an expunge that stands in `segment` and was of a message in the segment `place` is needed
 * by another: there may still be a record of that message, in `place` itself or in one before it
 * that messages have been moved out of. 1, 0 or -1.
 */
int index_needs_expunge(struct index *index, uint64_t place, uint64_t segment);

/* Forgets a segment whose file is gone. */
void index_forget_segment(struct index *index, uint64_t segment);

struct index_mailbox {
    uint64_t messages;
    uint64_t octets;
    uint64_t surrogates; /* messages with one (record_form()) */
    int64_t growth;      /* octets that these have more */
    uint64_t uid_next;   /* above every uid that was ever given in it; at least 1 */
    bool dropped;
};

/* Whether the file is whole, as SQLite sees it: 0, or -1 (logged). Reads all of it. */
int index_check(struct index *index);

/* A mailbox that was never delivered to is empty. */
int index_get_mailbox(struct index *index, uint64_t mailbox, struct index_mailbox *mailbox_r);

/* Calls `each` for every mailbox that was ever delivered to, ascending; as below. */
int index_each_mailbox(struct index *index,
                       int (*each)(void *context, uint64_t mailbox,
                                   const struct index_mailbox *row),
                       void *context);

struct index_message {
    uint64_t mailbox;
    uint64_t uid;
    uint64_t time;
    uint64_t octets;
    uint64_t segment;
    uint64_t offset;
    uint64_t body_length;
    uint32_t header_length;
    bool has_surrogate; /* as in record_form(); by index_each_on_disk() alone, as its growth */
    int64_t growth;
    const char *unique_id; /* that it was imported with, or NULL; valid during the call */
};

/* Some of a mailbox's messages. */
struct index_range {
    uint64_t mailbox;
    uint64_t from, to; /* uids, both included */
    uint64_t most;     /* messages */
};

/*
 * Calls `each` for the messages in the range in the order of their uids, until it returns other
 * than 0. Returns that, or 0, or -1.
 */
int index_each_message(struct index *index, const struct index_range *range,
                       int (*each)(void *context, const struct index_message *message),
                       void *context);

/*
 * The same, in less than half the time: only mailbox, uid, time, octets and unique_id are filled
 * in, and `each` may not ask the index.
 */
int index_list(struct index *index, const struct index_range *range,
               int (*each)(void *context, const struct index_message *message), void *context);

/* The same, in a fifth less again, for messages of which none was imported with a unique-id. */
int index_list_own(struct index *index, const struct index_range *range,
                   int (*each)(void *context, const struct index_message *message), void *context);

/* Calls `each` for those in the range that have a surrogate, as above; `most` counts for nothing.
 */
int index_each_growth(struct index *index, const struct index_range *range,
                      int (*each)(void *context, uint64_t uid, int64_t growth), void *context);

/* As index_each_message() for all messages of the store, in the order in which they stand on disk.
 */
int index_each_on_disk(struct index *index,
                       int (*each)(void *context, const struct index_message *message),
                       void *context);

/* Calls `each` for every segment in ascending order, as above. */
int index_each_segment(struct index *index,
                       int (*each)(void *context, const struct index_segment *segment),
                       void *context);

/* Where a message's record is. Returns 1, 0 when there is no such message, or -1. */
struct index_place {
    uint64_t segment;
    uint64_t offset;
};

int index_find_place(struct index *index, uint64_t mailbox, uint64_t uid,
                     struct index_place *place_r);

/* Whether a message of the mailbox was imported with this unique-id: 1, 0 or -1. */
int index_find_unique_id(struct index *index, uint64_t mailbox, const char *unique_id);

/* The same for a message that shows a unique-id of stored's own making. */
int index_find_own_id(struct index *index, uint64_t mailbox, uint64_t uid, uint64_t time);

/* Whether any message of the mailbox was imported with a unique-id: 1, 0 or -1. */
int index_has_unique_ids(struct index *index, uint64_t mailbox);

/*
 * Makes durable what has been applied: only then may a part of the log go that the index, thrown
 * back by a power loss, would need again.
 */
void index_sync(struct index *index);

/* Rows changed since the index was opened: tells whether a look at it can show anything new. */
uint64_t index_changes(struct index *index);

struct index_totals {
    uint64_t mailboxes; /* with at least one message */
    uint64_t messages;
    uint64_t octets;
    uint64_t wrong_usage; /* mailboxes whose usage is not the sum of their messages; see below */
};

/* `check` compares every mailbox's usage with its messages, which takes time. */
int index_get_totals(struct index *index, bool check, struct index_totals *totals_r);

/* The seed of the store's checksums (record.h); 0: not set yet. */
int index_get_seed(struct index *index, uint64_t *seed_r);
void index_set_seed(struct index *index, uint64_t seed);

#endif
