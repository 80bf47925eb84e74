#ifndef STORED_COMMIT_H
#define STORED_COMMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/storemsg.h"
#include "stored/record.h"

struct channel_loan;
struct segment;
struct store;

/*
 * Group commit. Whatever records wait are written to the active segment with one write and made
 * durable with one fdatasync, by a thread of its own; meanwhile the event loop gathers the next
 * group. Then each record's `durable` is called, the group enters the index in one transaction, and
 * each `done` is called, all from the event loop: before, nothing may be acknowledged.
 */

struct commit {
    /* Set by the caller, who keeps all of it until `done`. */
    struct record_header *header; /* place and checksums of the header are filled in here */
    const void *body;             /* header->body_length octets, or NULL with `own` */
    struct segment *own;          /* the body is in this segment already, which is its alone */
    bool frees_space;             /* an expunge or a drop: goes through on a full disk as well */
    bool moves;     /* a copy that lets a segment go: so too, while a little is free */
    bool abandoned; /* may be set later: STORE_BROKEN if it is not on its way to the disk yet */
    /*
     * Lends a channel for what is to be told of the record, which is alone in its group and on its
     * way to the disk: the thread tells it when it is durable, for which the event loop need not be
     * woken first. NULL: it may not.
     */
    void (*promise)(struct commit *commit, struct channel_loan *loan);
    bool answered; /* at `durable`: the thread has */
    /*
     * The record is durable, and not in the index yet: that may not be asked. After those of the
     * whole group comes store->durable. NULL: nothing to do so early.
     */
    void (*durable)(struct commit *commit);
    void (*done)(struct commit *commit, enum store_result result);

    struct commit *next; /* commit.c's from here */
    int error;           /* errno of the write */
};

/* Starts the thread. */
struct commits *commits_new(struct store *store);

/* Ends the thread; nothing may be waiting. NULL is allowed. */
void commits_free(struct commits *commits);

/* Queues a record. `done` gets STORE_OK, or STORE_FULL or STORE_BROKEN when it is not durable. */
void commit_add(struct commits *commits, struct commit *commit);

/*
 * Finishes a group of which the thread has told already: to be called before anything is answered
 * that depends on the index, for who has heard of a delivery may be the one who asks.
 */
void commits_catch_up(struct commits *commits);

/* Octets that wait: the measure for holding back senders. */
uint64_t commits_waiting(const struct commits *commits);

/*
 * Whether a segment is being written to, or may be again: the active one, and the one before it
 * until the roll to a new one has succeeded.
 */
bool commits_use(const struct commits *commits, uint64_t segment);

/*
 * Whether all that is added from now on will stand behind this segment. The segments of large
 * messages may be behind the active one.
 */
bool commits_go_behind(const struct commits *commits, uint64_t segment);

/* Whether the disk was full when a segment was last to be made: mail is refused until one can. */
bool commits_full(const struct commits *commits);

/* Octets of copies that a full disk still takes. */
uint64_t commits_room_for_copies(const struct commits *commits);

/* Whether the last group became durable. */
bool commits_healthy(const struct commits *commits);

/* `drained` is called once, from the event loop, when nothing waits any more. */
void commits_drain(struct commits *commits, void (*drained)(void *context), void *context);

#endif
