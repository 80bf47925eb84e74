#ifndef DB_CUSTOMER_H
#define DB_CUSTOMER_H

#include <stdbool.h>
#include <stdint.h>

#include "db/db.h"
#include "db/overplan.h"
#include "db/plan.h"
#include "db/suspension.h"
#include "lib/language.h"

/* The paying tenants. The id is what all functions about a tenant's things ask for. */

#define DB_CUSTOMER_NAME_MAX 100 /* octets of UTF-8 */

struct db_customer {
    uint64_t id;
    char name[DB_CUSTOMER_NAME_MAX + 1];
    char plan[DB_PLAN_NAME_MAX + 1];
    enum language language; /* in which its people are written to */
    bool suspended;
    enum db_suspended_mail suspended_mail; /* of its mailboxes, while it is */
    enum db_overplan over_plan;            /* with which its plan was set */
    uint64_t created;                      /* seconds since 1970 */
    unsigned domains;                      /* how many there are now */
    unsigned addresses;                    /* how many there are now, mailboxes and aliases */
};

/*
 * A name is 1 to DB_CUSTOMER_NAME_MAX octets of UTF-8 without control characters and without white
 * space at either end. Returns 0, or -1 with one sentence in *error_r (static text). A name that
 * does not pass it is DB_BROKEN to the functions below.
 */
int db_customer_name_check(const char *name, const char **error_r);

/* In English. DB_OK, DB_TAKEN, or DB_NONE: there is no such plan. id_r may be NULL. */
enum db_result db_customer_add(struct db *db, const char *name, const char *plan, uint64_t *id_r);

/* By name; DB_OK or DB_NONE. */
enum db_result db_customer_find(struct db *db, const char *name, struct db_customer *customer_r);

/* By id; DB_OK or DB_NONE. */
enum db_result db_customer_get(struct db *db, uint64_t customer, struct db_customer *customer_r);

/*
 * DB_OK, DB_NONE (no such customer or no such plan), or with DB_OVERPLAN_REFUSE DB_LIMIT: it uses
 * more than that plan allows (db/limit.h). The other rules, which stay with the customer:
 * db/overplan.h.
 */
enum db_result db_customer_set_plan(struct db *db, uint64_t customer, const char *plan,
                                    enum db_overplan over);

/* DB_OK, DB_NONE or DB_TAKEN. */
enum db_result db_customer_set_name(struct db *db, uint64_t customer, const char *name);

/* DB_OK or DB_NONE. */
enum db_result db_customer_set_language(struct db *db, uint64_t customer, enum language language);

/*
 * Suspends, or resumes with false; DB_OK also when it is so already. `mail` is what happens to its
 * mailboxes' mail until it is resumed. DB_OK or DB_NONE.
 */
enum db_result db_customer_set_suspended(struct db *db, uint64_t customer, bool suspended,
                                         enum db_suspended_mail mail);

/*
 * Removes the customer with its domains, addresses and mailboxes. For `keep` seconds all of it can
 * be restored (db/removal.h); 0: it is gone for good, and its mailboxes are on the list of drops
 * (db/drop.h). DB_OK or DB_NONE.
 */
enum db_result db_customer_remove(struct db *db, uint64_t customer, uint64_t keep);

/*
 * The next customer by name (in the order of its octets) after the one in *customer (begin with a
 * zeroed struct), which it replaces; DB_NONE after the last.
 */
enum db_result db_customer_next(struct db *db, struct db_customer *customer);

#endif
