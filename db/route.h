#ifndef DB_ROUTE_H
#define DB_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "db/db.h"
#include "db/suspension.h"
#include "lib/address.h"

/* The most mailboxes that one alias can lead to. */
#define DB_ROUTE_MAX 100

/* Where mail for an address goes, with the limits of its customer's plan. */
struct db_route {
    uint64_t mailbox;
    uint64_t quota_octets;
    uint64_t quota_messages;
    uint64_t message_octets_max;
    bool suspended;
    enum db_suspended_mail suspended_mail; /* then: what happens to its mail */
};

/*
 * Fills in up to DB_ROUTE_MAX routes: one for a mailbox's own address, one a mailbox for an alias.
 * Where there is no such address, those of the domain's catch-all, if there is one (db/domain.h).
 * DB_OK (count_r is at least 1), DB_NONE, DB_BUSY, DB_BROKEN.
 */
enum db_result db_route_find(struct db *db, const struct address *address,
                             struct db_route routes_r[DB_ROUTE_MAX], unsigned *count_r);

#endif
