#ifndef DB_STATEMENT_H
#define DB_STATEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/db.h"

struct sqlite3_stmt;

/*
 * Every SQL statement that runs after a database is open, each named here and written down once in
 * statement.c. Only the files of this folder use this header, and its tests.
 *
 * Parameters are numbered. In a tenant's statement ?1 is the customer, and without the right one it
 * finds nothing and changes nothing.
 */

enum statement_scope {
    STATEMENT_CONTROL,  /* transactions, and the schema */
    STATEMENT_OPERATOR, /* over all customers: plans, listings of the operator, drops */
    STATEMENT_FINDS,    /* finds the tenant, from a name or an address */
    STATEMENT_TENANT,   /* on one customer's things: ?1 is the customer */
    STATEMENT_NOTES     /* makes a row that belongs to ?1 and touches nothing that exists */
};

enum statement_id {
    STATEMENT_BEGIN,
    STATEMENT_READ,
    STATEMENT_COMMIT,
    STATEMENT_ROLLBACK,
    STATEMENT_SAVEPOINT,
    STATEMENT_RELEASE,
    STATEMENT_UNDO,

    STATEMENT_PLAN_ADD,
    STATEMENT_PLAN_FIND,
    STATEMENT_PLAN_SET,
    STATEMENT_PLAN_NEXT,
    STATEMENT_PLAN_EXCEEDED,
    STATEMENT_CUSTOMER_ADD,
    STATEMENT_CUSTOMER_NEXT,
    STATEMENT_OPERATOR_DOMAIN_NEXT,
    STATEMENT_OPERATOR_MAILADDRESS_NEXT,
    STATEMENT_OPERATOR_AUDIT_NEXT,
    STATEMENT_OPERATOR_AUDIT_FOLLOW,
    STATEMENT_AUDIT_NEWEST,
    STATEMENT_WEBHOOK_ADD,
    STATEMENT_WEBHOOK_REMOVE,
    STATEMENT_WEBHOOK_REPLAY,
    STATEMENT_OPERATOR_WEBHOOK_FIND,
    STATEMENT_OPERATOR_WEBHOOK_NEXT,
    STATEMENT_WEBHOOK_SECRET,
    STATEMENT_WEBHOOK_TOLD,
    STATEMENT_WEBHOOK_FAILED,
    STATEMENT_WEBHOOK_GIVE_UP,
    STATEMENT_OUTBOX_NEWEST,
    STATEMENT_OPERATOR_OUTBOX_NEXT,
    STATEMENT_OUTBOX_PRUNE,
    STATEMENT_CHANGES_COLUMNS,
    STATEMENT_CHANGES_PLAN,
    STATEMENT_CHANGES_DOMAIN,
    STATEMENT_CHANGES_MAILBOX,
    STATEMENT_CHANGES_ADDRESS,
    STATEMENT_OPERATOR_RETENTION_NEXT,
    STATEMENT_OPERATOR_MAILBOX_LIST,
    STATEMENT_DROP_NEXT,
    STATEMENT_DROP_DONE,
    STATEMENT_LOGOUT_LIST,
    STATEMENT_LOGOUT_FORGET,
    STATEMENT_PAGE_SESSION_PRUNE,
    STATEMENT_OVERPLAN_CUSTOMER_NEXT,
    STATEMENT_OPERATOR_REMOVAL_NEXT,
    STATEMENT_REMOVAL_DUE,
    STATEMENT_EVENT_CUSTOMER_NEXT,
    STATEMENT_ISSUER_DUE,
    STATEMENT_ISSUER_ANY,
    STATEMENT_OPERATOR_EVENT_NEXT,
    STATEMENT_OPERATOR_API_KEY_ADD,
    STATEMENT_OPERATOR_API_KEY_NEXT,
    STATEMENT_IDEMPOTENCY_PRUNE,
    STATEMENT_PLAN_REMOVE,

    STATEMENT_CUSTOMER_FIND,
    STATEMENT_DOMAIN_FIND,
    STATEMENT_MAILADDRESS_FIND,
    STATEMENT_LOGIN_FIND,
    STATEMENT_SECRET_FIND,
    STATEMENT_APP_PASSWORD_FIND,
    STATEMENT_ROUTE_FIND,
    STATEMENT_ROUTE_CATCH_ALL,
    STATEMENT_OWNER_FIND,
    STATEMENT_ISSUER_OF_DOMAIN,
    STATEMENT_INVITATION_FIND,
    STATEMENT_PAGE_SESSION_FIND,
    STATEMENT_PAGE_SESSION_SEEN,
    STATEMENT_EVENT_CUSTOMER,
    STATEMENT_API_KEY_FIND,
    STATEMENT_IDEMPOTENCY_FIND,
    STATEMENT_IDEMPOTENCY_ADD,
    STATEMENT_IDEMPOTENCY_REMOVE,
    STATEMENT_REMOVAL_FIND,

    STATEMENT_CUSTOMER_GET,
    STATEMENT_CUSTOMER_SET_PLAN,
    STATEMENT_CUSTOMER_SET_NAME,
    STATEMENT_CUSTOMER_SET_LANGUAGE,
    STATEMENT_CUSTOMER_SET_SUSPENDED,
    STATEMENT_CUSTOMER_USE,
    STATEMENT_DOMAIN_ADD,
    STATEMENT_DOMAIN_SET_CATCH_ALL,
    STATEMENT_DOMAIN_NEXT,
    STATEMENT_MAILBOX_ADD,
    STATEMENT_MAILBOX_FIND,
    STATEMENT_MAILBOX_SET_NAME,
    STATEMENT_MAILBOX_SET_SETTINGS,
    STATEMENT_MAILBOX_SET_SUSPENDED,
    STATEMENT_MAILBOX_LIST,
    STATEMENT_LOGOUT_MAILBOX,
    STATEMENT_LOGOUT_CUSTOMER,
    STATEMENT_CREDENTIAL_SET,
    STATEMENT_CREDENTIAL_REMOVE,
    STATEMENT_CREDENTIAL_NEXT,
    STATEMENT_APP_PASSWORD_ADD,
    STATEMENT_APP_PASSWORD_REMOVE,
    STATEMENT_APP_PASSWORD_NEXT,
    STATEMENT_INVITATION_SET,
    STATEMENT_INVITATION_REMOVE,
    STATEMENT_ADDRESS_ADD,
    STATEMENT_MAILADDRESS_NEXT,
    STATEMENT_ALIAS_FIND,
    STATEMENT_TARGET_ADD,
    STATEMENT_TARGET_REMOVE,
    STATEMENT_TARGETS_FORGET,
    STATEMENT_TARGET_NEXT,
    STATEMENT_OVERPLAN_LIMITS,
    STATEMENT_OVERPLAN_PREVIEW,
    STATEMENT_OVERPLAN_FIT,
    STATEMENT_REMOVAL_ADD,
    STATEMENT_REMOVE_CUSTOMER,
    STATEMENT_REMOVE_DOMAINS,
    STATEMENT_REMOVE_DOMAIN,
    STATEMENT_REMOVE_ADDRESSES,
    STATEMENT_REMOVE_DOMAIN_ADDRESSES,
    STATEMENT_REMOVE_ADDRESS,
    STATEMENT_REMOVE_MAILBOXES,
    STATEMENT_REMOVE_ALIAS,
    STATEMENT_RESTORE_CUSTOMER,
    STATEMENT_RESTORE_DOMAINS,
    STATEMENT_RESTORE_MAILBOXES,
    STATEMENT_RESTORE_ADDRESSES,
    STATEMENT_REMOVAL_HAND_ON,
    STATEMENT_PURGE_CUSTOMER,
    STATEMENT_PURGE_DOMAINS,
    STATEMENT_PURGE_ADDRESSES,
    STATEMENT_REMOVAL_END,
    STATEMENT_REMOVAL_NEXT,
    STATEMENT_PERSON_NAME,
    STATEMENT_SECOND_FACTOR_BEGIN,
    STATEMENT_SECOND_FACTOR_FIND,
    STATEMENT_SECOND_FACTOR_CONFIRM,
    STATEMENT_SECOND_FACTOR_TAKE,
    STATEMENT_SECOND_FACTOR_WRONG,
    STATEMENT_SECOND_FACTOR_REMOVE,
    STATEMENT_RECOVERY_CODE_ADD,
    STATEMENT_RECOVERY_CODE_TAKE,
    STATEMENT_RECOVERY_CODES_REMOVE,
    STATEMENT_PAGE_SESSION_ADD,
    STATEMENT_PAGE_SESSION_NEXT,
    STATEMENT_PAGE_SESSION_END,
    STATEMENT_PAGE_SESSIONS_END,
    STATEMENT_API_KEY_ADD,
    STATEMENT_API_KEY_GET,
    STATEMENT_API_KEY_NEXT,
    STATEMENT_API_KEY_REMOVE,
    STATEMENT_API_KEY_USED,
    STATEMENT_TRUSTED_ADD,
    STATEMENT_TRUSTED_REMOVE,
    STATEMENT_TRUSTED_NEXT,
    STATEMENT_ISSUER_ADD,
    STATEMENT_ISSUER_REMOVE,
    STATEMENT_ISSUER_NEXT,
    STATEMENT_ISSUER_FIND,
    STATEMENT_ISSUER_KEYS,
    STATEMENT_ISSUER_TRY,
    STATEMENT_ISSUER_FETCHED,
    STATEMENT_ISSUER_FAILED,
    STATEMENT_ISSUER_WANTED,
    STATEMENT_AUDIT_ADD,
    STATEMENT_AUDIT_NEXT,
    STATEMENT_AUDIT_FOLLOW,
    STATEMENT_WEBHOOK_NEXT,
    STATEMENT_OUTBOX_ADD,
    STATEMENT_OUTBOX_EVENT,
    STATEMENT_OUTBOX_NEXT,
    STATEMENT_EVENT_ADD,
    STATEMENT_EVENT_COUNT,
    STATEMENT_EVENT_MAKE_ROOM,
    STATEMENT_EVENT_LIMIT,
    STATEMENT_EVENT_PRUNE,
    STATEMENT_EVENT_NEXT,
    STATEMENT_EVENT_MAILBOX_NEXT,
    STATEMENT_NOTE_UPGRADE,
    STATEMENT_NOTE_SCRAM,
    STATEMENT_NOTE_USED,

    STATEMENT__MAX
};

struct statement {
    const char *name; /* for the log */
    enum statement_scope scope;
    const char *sql;
};

extern const struct statement statements[STATEMENT__MAX];

/*
 * The statement, prepared at its first use on this handle, with nothing bound. NULL: it could not
 * be prepared; the functions below then do nothing, and running it tells why.
 */
struct sqlite3_stmt *statement_get(struct db *db, enum statement_id id);

/* The values must stay until the statement has been reset. NULL is SQL's NULL. */
void statement_bind_number(struct sqlite3_stmt *statement, int index, uint64_t value);
void statement_bind_text(struct sqlite3_stmt *statement, int index, const char *text);
void statement_bind_blob(struct sqlite3_stmt *statement, int index, const void *data, size_t size);

/* DB_OK: there is a row to read, and statement_reset() is due. Anything else: it is reset. */
enum db_result statement_row(struct db *db, struct sqlite3_stmt *statement);

void statement_reset(struct sqlite3_stmt *statement);

/*
 * Runs a change and resets it, between change_begin() and change_end() (db/handle.h) unless the
 * list in statement.c has it. DB_NONE: it changed no row.
 */
enum db_result statement_change(struct db *db, struct sqlite3_stmt *statement);

/* Columns of the row, from 0. NULL reads as 0 and as empty text; text is cut where it must be. */
uint64_t statement_number(struct sqlite3_stmt *statement, int column);
unsigned statement_count(struct sqlite3_stmt *statement, int column);
bool statement_bool(struct sqlite3_stmt *statement, int column);
void statement_text(struct sqlite3_stmt *statement, int column, char *text_r, size_t size);

/* Exactly `size` octets, as the table's CHECK has it; zeros where there are others. */
void statement_blob(struct sqlite3_stmt *statement, int column, void *octets_r, size_t size);

#endif
