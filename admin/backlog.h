#ifndef ADMIN_BACKLOG_H
#define ADMIN_BACKLOG_H

#include <stdint.h>

struct db;

/*
 * How far webhooks are behind, for /metrics: what the outbox holds for those that are switched on,
 * counted some webhooks at a time. What is not wanted counts until it has been passed over, which
 * is at once but for what stands behind a failure.
 */
struct backlog {
    uint64_t after; /* the webhook at which the next look goes on */
    uint64_t due;   /* when that is; this and other times: seconds since 1970 */
    uint64_t events;
    uint64_t first; /* the cursor of the oldest; 0: there is none */
};

/* Counts on where it is due. Each second at most. */
void backlog_look(struct backlog *backlog, struct db *db, uint64_t now);

/* Nobody counts any more. */
void backlog_end(void);

#endif
