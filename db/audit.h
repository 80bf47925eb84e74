#ifndef DB_AUDIT_H
#define DB_AUDIT_H

#include <stdint.h>

#include "db/customer.h"
#include "db/db.h"
#include "lib/address.h"

/*
 * Who changed what, when and from where, and what it was before and after. Each function that
 * changes something writes its row in the same transaction: there is no change without a row and no
 * row without a change. Rows outlive what they speak of, and are never changed or removed.
 *
 * Each row has two digests (BLAKE2b-256), so that nobody changes, removes or adds a row among
 * others without a trace: `digest` is of the row and the digest of the same customer's row before
 * it, so a customer's rows prove each other without anybody else's; `chain` is of the row's digest
 * and the row's before it, so the newest one stands for all. There is no key: who can write the
 * file could make the chains anew, and only what has been noted elsewhere (the newest `chain`, or
 * what a customer has exported) shows that. db/auditchain.h checks them.
 */

#define DB_AUDIT_ACTOR_MAX   340
#define DB_AUDIT_REMOTE_MAX  100
#define DB_AUDIT_REQUEST_MAX 100
#define DB_AUDIT_ACTION_MAX  40 /* "address.add" */
#define DB_AUDIT_OBJECT_MAX  ADDRESS_MAX
#define DB_AUDIT_DIGEST_SIZE 32

struct db_audit {
    uint64_t id;
    uint64_t number;   /* among the customer's, from 1 and without a gap */
    uint64_t time;     /* seconds since 1970 */
    uint64_t customer; /* 0: none, the operator's own business (plans) */
    char actor[DB_AUDIT_ACTOR_MAX + 1];
    char remote[DB_AUDIT_REMOTE_MAX + 1];   /* where it came from; may be empty */
    char request[DB_AUDIT_REQUEST_MAX + 1]; /* the API's name for it; may be empty */
    char action[DB_AUDIT_ACTION_MAX + 1];
    char object[DB_AUDIT_OBJECT_MAX + 1]; /* the name of the plan, customer, domain or address */
    char *changes;                        /* as in db/changes.h; empty: of no table's row */
    uint8_t digest[DB_AUDIT_DIGEST_SIZE]; /* this and the next zeros: from before the chains */
    uint8_t chain[DB_AUDIT_DIGEST_SIZE];
    char customer_name[DB_CUSTOMER_NAME_MAX + 1]; /* when it is read; empty: none, or removed */
};

/*
 * Says on whose behalf this handle's changes are from now on ("bellhop uid=0"). Longer text is cut.
 * Without this call the actor is "bellhop".
 */
void db_audit_actor(struct db *db, const char *actor);

/*
 * From where: the address of a client or the terminal of a command, and the id of the API's
 * request. Both may be empty, as they are without this call; longer text is cut.
 */
void db_audit_source(struct db *db, const char *remote, const char *request);

/*
 * The newest row older than the one in *audit (begin with a zeroed struct), which it replaces;
 * DB_NONE after the oldest. The first is for one customer's rows and goes by `number`, the second
 * for the operator and goes by `id`. Who ends before DB_NONE calls db_audit_free().
 */
enum db_result db_audit_next(struct db *db, uint64_t customer, struct db_audit *audit);
enum db_result db_operator_audit_next(struct db *db, struct db_audit *audit);

/* The same from the oldest row on to the newest. */
enum db_result db_audit_follow(struct db *db, uint64_t customer, struct db_audit *audit);
enum db_result db_operator_audit_follow(struct db *db, struct db_audit *audit);

/* Frees what the struct holds, and makes it zeros. */
void db_audit_free(struct db_audit *audit);

#endif
