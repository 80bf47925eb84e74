#ifndef DB_EVENT_H
#define DB_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "db/customer.h"
#include "db/db.h"
#include "lib/address.h"

/*
 * What happened with credentials: logins, refusals, new passwords. The audit (db/audit.h) says who
 * changed what and is kept for ever; events are what a customer looks at to see who comes, from
 * where, and why somebody does not get in, and old ones go. What a command does to a credential
 * stands in both: in the audit with who did it, among the events because refusals begin there.
 *
 * A row stands for all that is the same (kind, mailbox, client's address, protocol, mechanism,
 * credential, reason) within DB_EVENT_SPAN seconds of its first time: a mail program that looks
 * each minute is one row a day, with a count and the time of the last one. The log has each.
 *
 * How much is kept: of each mailbox the newest DB_EVENT_MAILBOX_MAX events, and as many refusals
 * beside them, so a thousand guesses leave the logins and changes of before in place, and one
 * mailbox leaves another's. All names of a customer that are no mailbox share the room of one. And
 * of each customer DB_EVENT_CUSTOMER_MAX, of the last DB_EVENT_DAYS: that holds for mailboxes that
 * have been removed too. So the file has a bound, a customer at most 16 MB of it, and the usual
 * mailbox with three programs 90 rows.
 */

#define DB_EVENT_SPAN         86400
#define DB_EVENT_DAYS         30
#define DB_EVENT_MAILBOX_MAX  1000
#define DB_EVENT_CUSTOMER_MAX 100000

enum db_event_kind {
    DB_EVENT_LOGIN,
    DB_EVENT_REFUSED,         /* for good: a wrong password */
    DB_EVENT_DELAYED,         /* for now: told when to come again */
    DB_EVENT_BLOCKED,         /* a block began */
    DB_EVENT_LIFTED,          /* somebody ended a block */
    DB_EVENT_PASSWORD,        /* a new one was set */
    DB_EVENT_NO_PASSWORD,     /* it was removed */
    DB_EVENT_APP_PASSWORD,    /* one was made */
    DB_EVENT_NO_APP_PASSWORD, /* one was removed */
    DB_EVENT_SUSPENDED,
    DB_EVENT_RESUMED,
    DB_EVENT__MAX
};

#define DB_EVENT_TEXT_MAX 100 /* octets */

struct db_event {
    uint64_t id;   /* microseconds since 1970, of the first time; no other event has it */
    uint64_t time; /* seconds since 1970, of the last time */
    uint64_t count;
    uint64_t customer; /* 0: the operator's own */
    uint64_t mailbox;  /* 0: none */
    enum db_event_kind kind;
    char address[ADDRESS_MAX + 1]; /* or an admin user's login */
    char remote[DB_EVENT_TEXT_MAX + 1];
    char protocol[DB_EVENT_TEXT_MAX + 1];
    char mechanism[DB_EVENT_TEXT_MAX + 1];
    char credential[DB_EVENT_TEXT_MAX + 1];
    char reason[DB_EVENT_TEXT_MAX + 1];
    char customer_name[DB_CUSTOMER_NAME_MAX + 1]; /* when it is read; empty: removed */
};

/* "login" */
const char *db_event_kind_name(enum db_event_kind kind);

/*
 * Writes a row, or, where there is one with this id, its count and time, and removes what is too
 * much now of its mailbox. Without a customer it is that of the address's domain, or the operator's
 * own where the address is the login of an operator. DB_OK; DB_NONE:
 * there is no such customer, domain, or mailbox of the customer's, so nothing was written.
 */
enum db_result db_event_write(struct db *db, const struct db_event *event);

/* Writes a new one, under an id and at a time of its own, which it sets. As above. */
enum db_result db_event_add(struct db *db, struct db_event *event);

/*
 * Removes what is too old or too much of the customer with the lowest id above *customer, which it
 * becomes; some thousand rows at most, and says in more_r whether there are more. DB_OK, or
 * DB_NONE: there is no further customer.
 */
enum db_result db_event_prune(struct db *db, uint64_t *customer, bool *more_r);

/*
 * The newest row older than the one in *event (begin with a zeroed struct), which it replaces;
 * DB_NONE after the oldest. Older is which began before. Of one customer, of one mailbox, or, for
 * the operator, of all.
 */
enum db_result db_event_next(struct db *db, uint64_t customer, struct db_event *event);
enum db_result db_event_mailbox_next(struct db *db, uint64_t customer, uint64_t mailbox,
                                     struct db_event *event);
enum db_result db_operator_event_next(struct db *db, struct db_event *event);

/* Rows that one sum looks at: of a customer's in some milliseconds, of all in less than a second.
 */
#define DB_EVENT_SUM_MAX          10000
#define DB_OPERATOR_EVENT_SUM_MAX 1000000

struct db_event_counts {
    uint64_t since;                /* seconds since 1970: what began then or later is counted */
    uint64_t count[DB_EVENT__MAX]; /* by enum db_event_kind */
};

/*
 * Sums up the counts of what began at `since` or later: of one customer or, for the operator, of
 * all. Where that is more rows than these, of the newest ones, and counts_r->since is
 * later than `since`. DB_OK.
 */
enum db_result db_event_sum(struct db *db, uint64_t customer, uint64_t since,
                            struct db_event_counts *counts_r);
enum db_result db_operator_event_sum(struct db *db, uint64_t since,
                                     struct db_event_counts *counts_r);

#endif
