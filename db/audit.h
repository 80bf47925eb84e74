#ifndef DB_AUDIT_H
#define DB_AUDIT_H

#include <stdint.h>

#include "db/db.h"
#include "lib/address.h"

/*
 * Who changed what, and when. Each function that changes something writes its row in the same
 * transaction: there is no change without a row and no row without a change. Rows outlive what they
 * speak of.
 */

#define DB_AUDIT_ACTOR_MAX  120
#define DB_AUDIT_ACTION_MAX 40 /* "address.add" */
#define DB_AUDIT_OBJECT_MAX ADDRESS_MAX

struct db_audit {
    uint64_t id;
    uint64_t time;     /* seconds since 1970 */
    uint64_t customer; /* 0: none, the operator's own business (plans) */
    char actor[DB_AUDIT_ACTOR_MAX + 1];
    char action[DB_AUDIT_ACTION_MAX + 1];
    char object[DB_AUDIT_OBJECT_MAX + 1]; /* the name of the plan, customer, domain or address */
};

/*
 * Says on whose behalf this handle's changes are from now on ("bellhop uid=0"). Longer text is cut.
 * Without this call the actor is "bellhop".
 */
void db_audit_actor(struct db *db, const char *actor);

/*
 * The newest row older than the one in *audit (begin with a zeroed struct), which it replaces;
 * DB_NONE after the oldest. The first is for one customer's rows, the second for the operator.
 */
enum db_result db_audit_next(struct db *db, uint64_t customer, struct db_audit *audit);
enum db_result db_operator_audit_next(struct db *db, struct db_audit *audit);

#endif
