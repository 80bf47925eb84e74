#ifndef DB_LIMIT_H
#define DB_LIMIT_H

#include "db/customer.h"
#include "db/db.h"
#include "db/plan.h"

/* What DB_LIMIT means in detail. */

/* Of those after the third the kind is all there is to tell: every customer has the same. */
enum db_limit_kind {
    DB_LIMIT_ADDRESSES,
    DB_LIMIT_DOMAINS,
    DB_LIMIT_MAILBOX_OCTETS, /* of one mailbox: `allowed` and `used` mean nothing */
    DB_LIMIT_TRUSTED_NETWORKS,
    DB_LIMIT_APP_PASSWORDS,
    DB_LIMIT_WEBHOOKS,
    DB_LIMIT_API_KEYS,
    DB_LIMIT_TOKEN_ISSUERS,
    DB_LIMIT_JOBS,
    DB_LIMIT_ADMIN_USERS,
    DB_LIMIT__MAX
};

struct db_limit {
    enum db_limit_kind kind;
    unsigned allowed;                /* by the plan that was in the way */
    unsigned used;                   /* by the customer now */
    char plan[DB_PLAN_NAME_MAX + 1]; /* for db_customer_set_plan(): the new plan */
    char customer[DB_CUSTOMER_NAME_MAX + 1];
};

/* The word for it, as in "app-passwords". */
const char *db_limit_kind_name(enum db_limit_kind kind);

/* Returns 0, or -1 when there is no such word. */
int db_limit_kind_parse(const char *name, enum db_limit_kind *kind_r);

/* Describes the last call on this handle that returned DB_LIMIT. */
void db_limit_get(const struct db *db, struct db_limit *limit_r);

#endif
