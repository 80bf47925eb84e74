#ifndef DB_STATISTICS_H
#define DB_STATISTICS_H

#include <stdint.h>

#include "db/customer.h"
#include "db/db.h"
#include "db/event.h"
#include "db/plan.h"

/* How much there is, of one customer or of all. */

/* Percent of its quota, in octets or messages, at which a mailbox is full: it is warned then. */
#define DB_STATISTICS_FULL 95

/* How many days back events are counted. */
#define DB_STATISTICS_DAYS     7
#define DB_STATISTICS_DAYS_MAX DB_EVENT_DAYS

/* The database does not know how full mailboxes are. Who has asked stored adds it. */
struct db_mailbox_limits {
    uint64_t mailbox;
    uint64_t octets;
    uint64_t messages;
};

struct db_customer_statistics {
    struct db_customer customer;
    unsigned domains_allowed;
    unsigned addresses_allowed;
    unsigned aliases;
    unsigned suspended; /* mailboxes, not by their customer */
    unsigned over_plan; /* addresses that are suspended because the plan allows fewer */
    unsigned invited;   /* mailboxes with an invitation that is still good */
    struct db_event_counts events;
    size_t mailboxes;
    struct db_mailbox_limits limits[DB_PLAN_ADDRESSES_MAX]; /* of the mailboxes */
    /* By db_statistics_add_usage(). */
    uint64_t used_octets;
    uint64_t used_messages;
    unsigned full;
};

/* What was removed and can be restored counts only where it says so. */
struct db_host_statistics {
    uint64_t customers;
    uint64_t customers_suspended;
    uint64_t domains;
    uint64_t addresses;
    uint64_t mailboxes;
    uint64_t removals; /* that wait for their purge */
    struct db_event_counts events;
};

/* With the events of so many days. DB_OK, or DB_NONE: there is no such customer. */
enum db_result db_statistics_customer(struct db *db, uint64_t customer, unsigned days,
                                      struct db_customer_statistics *statistics_r);

/* Adds how full one of `limits` is. */
void db_statistics_add_usage(struct db_customer_statistics *statistics, size_t index,
                             uint64_t octets, uint64_t messages);

/*
 * For the operator, over all customers. It takes 15 ms for a million addresses, and longer for the
 * events of a busy host: not for an event loop. DB_OK.
 */
enum db_result db_operator_statistics(struct db *db, unsigned days,
                                      struct db_host_statistics *statistics_r);

#endif
