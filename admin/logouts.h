#ifndef ADMIN_LOGOUTS_H
#define ADMIN_LOGOUTS_H

#include <stdbool.h>
#include <stdint.h>

struct db;
struct event;
struct event_base;
struct store;

/*
 * Has stored end the sessions of mailboxes whose logins are good no more (db/logout.h): a new
 * logout within a quarter of a second, and each second all that have been written lately.
 */
struct logouts {
    struct db *db;
    struct db *notes;
    struct store *store;
    struct event *tick;
    uint64_t told;   /* the last number that stored has been told, in this round */
    uint64_t asking; /* the last one of those that it is being told now */
    unsigned ticks;  /* since all have been told */
    bool old;        /* in this round there have been some to forget */
    bool stopped;
};

/* Begins at once. What is forgotten is by `notes`, which waits for nobody. */
void logouts_init(struct logouts *logouts, struct event_base *base, struct db *db, struct db *notes,
                  struct store *store);

/* An answer that comes later is ignored. */
void logouts_stop(struct logouts *logouts);

#endif
