#ifndef DB_LOGOUT_H
#define DB_LOGOUT_H

#include <stddef.h>
#include <stdint.h>

#include "db/db.h"
#include "lib/address.h"

/*
 * Ends of POP3 sessions: what was right when a client logged in to a mailbox is so no more. The
 * triggers in migrations/0004-admin.sql write one in the transaction that suspends or removes a
 * mailbox or its customer, or changes or takes away a password of it; and db_logout_*() because
 * somebody wants so.
 *
 * Logouts are numbered, and a login knows the newest number that was there when it was checked
 * (db/login.h). So which sessions are meant is exact, and a client that logs in again stays.
 * stored, which ends them, is told by admin, again and again for DB_LOGOUT_SECONDS: a login from
 * before may open its mailbox behind it, as long as its capability lasts (lib/capability.h).
 */
#define DB_LOGOUT_SECONDS 60

struct db_logout {
    uint64_t number;
    uint64_t mailbox;
    uint64_t created; /* seconds since 1970 */
};

/* Numbers, with those between them. */
struct db_logout_range {
    uint64_t first;
    uint64_t last;
};

/*
 * Ends the session of the mailbox with this address of the customer's, or of all its mailboxes.
 * DB_OK, or DB_NONE: it has no such mailbox, or none at all.
 */
enum db_result db_logout_mailbox(struct db *db, uint64_t customer, const struct address *address,
                                 struct db_logout_range *range_r);
enum db_result db_logout_customer(struct db *db, uint64_t customer,
                                  struct db_logout_range *range_r);

/*
 * Up to `most` logouts of all customers behind the number `after`, in their order: DB_OK, or
 * DB_NONE with none. A newer one of a mailbox replaces the one before.
 */
enum db_result db_logout_list(struct db *db, uint64_t after, struct db_logout *logouts_r,
                              size_t most, size_t *count_r);

/* Forgets those up to `last` that are older than DB_LOGOUT_SECONDS. DB_OK, DB_NONE or DB_BUSY. */
enum db_result db_logout_forget(struct db *db, uint64_t last);

#endif
