#ifndef DB_ALIAS_H
#define DB_ALIAS_H

#include <stdint.h>

#include "db/db.h"
#include "db/route.h"
#include "lib/address.h"

/*
 * Addresses without a mailbox of their own: mail for them goes to 1 to DB_ROUTE_MAX mailboxes of
 * the same customer. db/mailaddress.h finds, lists and removes them.
 */

/*
 * DB_OK, DB_TAKEN, DB_LIMIT (db/limit.h), or DB_NONE: the customer has no such domain, or one of
 * the targets is no mailbox's address of this customer. A target that stands twice counts once.
 */
enum db_result db_alias_add(struct db *db, uint64_t customer, const struct address *alias,
                            const struct address *targets, unsigned count);

/* Lets it lead to these mailboxes instead; DB_OK or DB_NONE as above. */
enum db_result db_alias_set(struct db *db, uint64_t customer, const struct address *alias,
                            const struct address *targets, unsigned count);

/*
 * The next target, by domain and then by local part, after *target (begin with a zeroed struct),
 * which it replaces; DB_NONE after the last. Its `text` is what an address_parse() would make.
 */
enum db_result db_alias_target_next(struct db *db, uint64_t customer, const struct address *alias,
                                    struct address *target);

#endif
