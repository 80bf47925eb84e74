#ifndef ADMIN_RETENTION_H
#define ADMIN_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

#include "db/retention.h"
#include "lib/storemsg.h"

struct db;
struct event;
struct event_base;
struct store;

/*
 * Has stored remove the messages that are older than their plan allows: a sweep over the mailboxes
 * soon after the start and then each hour, one request at a time with pauses in between. A mailbox
 * that somebody has open waits for the next sweep. A plan that is changed counts from the next
 * sweep, for the mailboxes that are still to come from the present one.
 */
struct retention {
    struct db *db;
    struct store *store;
    struct event *tick;
    struct db_retention at; /* the mailbox that is being looked at; its id is 0 between sweeps */
    struct store_expire request; /* what is asked of stored */
    struct store_expired answer;
    uint64_t asked;    /* when; microseconds of the monotonic clock */
    uint64_t messages; /* removed in this sweep */
    uint64_t mailboxes;
    bool removed; /* from the present mailbox */
    bool told;    /* that it fails, since the last time that it did not */
    bool stopped;
};

/* Both are used until retention_stop(). */
void retention_init(struct retention *retention, struct event_base *base, struct db *db,
                    struct store *store);

/* An answer that comes later is ignored. */
void retention_stop(struct retention *retention);

#endif
