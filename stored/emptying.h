#ifndef STORED_EMPTYING_H
#define STORED_EMPTYING_H

#include <stdbool.h>
#include <stdint.h>

struct store;

/*
 * The work on one segment that takes no more records: its dead bodies are punched, or it is emptied
 * and removed. It is emptied by a walk through its records. Live messages are copied forward,
 * through the group commit and while nobody has their mailboxes open; when none is left, expunges
 * and drops that something else in the log still needs are carried forward. When all of that is
 * durable and in the index, the index is synced, and only then does the file go. A crash at any
 * moment leaves two records of a message, or an expunge twice, and both are harmless (index.h).
 */

enum emptying_way {
    EMPTYING_PUNCH, /* give the disk back what large dead bodies take up; nothing moves */
    EMPTYING_REMOVE
};

enum emptying_result {
    EMPTYING_GOES_ON,
    EMPTYING_WAITS, /* for records on their way to the disk */
    EMPTYING_DONE,  /* punched, or removed */
    EMPTYING_BUSY, /* something stayed, because a mailbox is open or the disk fails: another time */
    EMPTYING_DAMAGED /* something stayed that is damaged; it is kept for whoever looks */
};

struct emptying;

/* NULL (logged): the segment cannot be opened. */
struct emptying *emptying_new(struct store *store, uint64_t segment, enum emptying_way way);

/*
 * Goes on for a bounded while; *copied_r are the octets that have been copied in it. After DONE,
 * BUSY and DAMAGED there is nothing more to do and nothing on its way.
 */
enum emptying_result emptying_step(struct emptying *emptying, uint64_t *copied_r);

/* Between DONE, BUSY or DAMAGED, or when nothing is on its way to the disk any more. */
void emptying_free(struct emptying *emptying);

#endif
