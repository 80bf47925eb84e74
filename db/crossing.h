#ifndef DB_CROSSING_H
#define DB_CROSSING_H

#include <stdint.h>

#include "db/db.h"

/* A mailbox that a delivery has filled up to a line of its quota: an event for webhooks alone. */
struct db_crossing {
    uint64_t mailbox;
    unsigned percent; /* the line */
    uint64_t octets;
    uint64_t messages;
    uint64_t quota_octets;
    uint64_t quota_messages;
};

/*
 * Puts "mailbox.quota-crossed" into the outbox (db/outbox.h). It happens by itself, so there is no
 * row in the audit. DB_OK, or DB_NONE: nobody wants to hear of it, or there is no such mailbox.
 */
enum db_result db_crossing_add(struct db *db, const struct db_crossing *crossing);

#endif
