#ifndef DB_OUTBOX_H
#define DB_OUTBOX_H

#include <stdint.h>

#include "db/audit.h"
#include "db/webhook.h"

/*
 * What webhooks (db/webhook.h) are to be told of, written in the transaction of what it tells of:
 * each row of the audit under its action ("address.add"), and from db/event.h a block
 * ("login.blocked"). Nothing is written of a customer whom nobody wants to hear of. An event is
 * known by its cursor, microseconds since 1970; cursors only grow. Events are kept for
 * DB_OUTBOX_DAYS, and for so long a webhook can be told again.
 */

#define DB_OUTBOX_DAYS 7

struct db_outbox {
    uint64_t cursor;
    uint64_t time;
    uint64_t customer;                            /* 0: the operator's own business */
    char customer_name[DB_CUSTOMER_NAME_MAX + 1]; /* when it is read; empty: none, or removed */
    char type[DB_AUDIT_ACTION_MAX + 1];
    char object[DB_AUDIT_OBJECT_MAX + 1];
    char actor[DB_AUDIT_ACTOR_MAX + 1];   /* of what stands in the audit, else empty; so are */
    char remote[DB_AUDIT_REMOTE_MAX + 1]; /* these two */
    char request[DB_AUDIT_REQUEST_MAX + 1];
    char *detail; /* JSON: the audit's changes, or an object; empty: none */
};

/* The cursor of the newest event, 0 where there is none: DB_OK, or a failure. */
enum db_result db_outbox_newest(struct db *db, uint64_t *cursor_r);

/*
 * The first event after `cursor` that concerns the webhook, whatever its type: DB_OK or DB_NONE.
 * *outbox is a zeroed struct or one that was read before; db_outbox_free() frees what it holds.
 */
enum db_result db_outbox_next(struct db *db, const struct db_webhook *webhook, uint64_t cursor,
                              struct db_outbox *outbox);
void db_outbox_free(struct db_outbox *outbox);

/*
 * How many events concern the webhook that it has not been told, DB_OUTBOX_COUNTED at most, and the
 * cursor of the first: DB_OK, or DB_NONE where there are none.
 */
#define DB_OUTBOX_COUNTED 10000
enum db_result db_outbox_waiting(struct db *db, const struct db_webhook *webhook, uint64_t *count_r,
                                 uint64_t *first_r);

/* Removes what is too old, some thousand rows at most. DB_OK: there may be more, or DB_NONE. */
enum db_result db_outbox_prune(struct db *db, uint64_t now);

#endif
