#ifndef DB_REMOVAL_H
#define DB_REMOVAL_H

#include <stdbool.h>
#include <stdint.h>

#include "db/customer.h"
#include "db/db.h"
#include "lib/address.h"

/*
 * What was removed stays for a time, with all that went with it: a customer with its domains, a
 * domain with its addresses, an address with its mailbox and the aliases that led to it alone.
 * Meanwhile it is nowhere to be found, it takes no mail, it does not count for a limit, and its
 * names are free for others. It is restored as it was, or purged, when its mail goes too
 * (db/drop.h).
 */

enum db_removal_kind { DB_REMOVAL_CUSTOMER, DB_REMOVAL_DOMAIN, DB_REMOVAL_ADDRESS };

struct db_removal {
    uint64_t id;
    uint64_t customer;
    char customer_name[DB_CUSTOMER_NAME_MAX + 1]; /* as it was, if the customer itself is removed */
    enum db_removal_kind kind;
    char name[ADDRESS_MAX + 1]; /* of the customer, the domain or the address, as it was */
    uint64_t time;              /* seconds since 1970 */
    uint64_t purge;             /* as above: when it is purged; 0: that has begun */
};

/* Rows in one part of a purge, addresses above all: others' changes wait some 20 ms for it. */
#define DB_REMOVAL_PART 200

/* The word for it: customer, domain, address. */
const char *db_removal_kind_name(enum db_removal_kind kind);

/*
 * Finds the last removal of something with this name, by the customer, or by anybody where that is
 * 0: DB_OK or DB_NONE.
 */
enum db_result db_removal_find(struct db *db, uint64_t customer, enum db_removal_kind kind,
                               const char *name, struct db_removal *removal_r);

/*
 * Brings back what went with it. DB_OK; DB_TAKEN: somebody has the name now; DB_LIMIT (db/limit.h):
 * the plan has no room, which a customer that comes back whole need not have; DB_NONE: there is no
 * such removal any more, its time has come, or what it belonged to (the domain, the customer) is
 * removed too.
 */
enum db_result db_removal_restore(struct db *db, const struct db_removal *removal);

/*
 * Removes it for good, DB_REMOVAL_PART rows at once and what is left later, as that of one
 * that is due. DB_OK or DB_NONE.
 */
enum db_result db_removal_purge(struct db *db, const struct db_removal *removal);

/*
 * A part of that, up to `most` rows with what was removed before and goes with it. Sets
 * *last_r when nothing is left. DB_OK; DB_NONE: there is no such removal any more.
 */
enum db_result db_removal_purge_part(struct db *db, const struct db_removal *removal, uint64_t most,
                                     bool *last_r);

/* One whose time has come, or whose purge has begun, the first in time: DB_OK or DB_NONE. From then
 * on it can be restored no more, and the others here find it no more. */
enum db_result db_removal_due(struct db *db, struct db_removal *removal_r);

/*
 * The next removal after the one in *removal (begin with a zeroed struct), which it replaces, the
 * oldest first; DB_NONE after the last. The first goes through one customer's, the second, for the
 * operator, through all.
 */
enum db_result db_removal_next(struct db *db, uint64_t customer, struct db_removal *removal);
enum db_result db_operator_removal_next(struct db *db, struct db_removal *removal);

#endif
