#ifndef DB_OVERPLAN_H
#define DB_OVERPLAN_H

#include <stdint.h>

#include "db/db.h"

/*
 * Customers that have more than their plan allows, because they were moved to a smaller one.
 * Whatever the rule, nothing is added until all is within the plan.
 */

enum db_overplan {
    DB_OVERPLAN_REFUSE, /* it does not happen: such a change is DB_LIMIT */
    DB_OVERPLAN_KEEP,   /* all goes on as it is */
    DB_OVERPLAN_SUSPEND /* the newest addresses are suspended, as many as there are too many */
};

/* The word for it, in the database and on the command line: refuse, keep, suspend. */
const char *db_overplan_name(enum db_overplan rule);

/* Returns 0, or -1 when there is no such word. */
int db_overplan_parse(const char *name, enum db_overplan *rule_r);

/* What a plan would mean to a customer. */
struct db_overplan_preview {
    unsigned addresses, addresses_allowed;
    unsigned domains, domains_allowed;
    uint64_t mailbox_octets; /* what a mailbox may hold */
    uint64_t mailbox_messages;
};

/*
 * Tells what the plan would mean, and for each address that DB_OVERPLAN_SUSPEND would suspend calls
 * `over` (which changes nothing in the database): the addresses of domains beyond the number that
 * is allowed, the oldest domains counting first, and of the others the newest beyond theirs. DB_OK,
 * or DB_NONE: there is no such customer or no such plan.
 */
enum db_result db_overplan_preview(struct db *db, uint64_t customer, const char *plan,
                                   struct db_overplan_preview *preview_r,
                                   void (*over)(void *context, const char *address), void *context);

#endif
