#ifndef DB_HANDLE_H
#define DB_HANDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "db/audit.h"
#include "db/changes.h"
#include "db/db.h"
#include "db/event.h"
#include "db/limit.h"
#include "db/removal.h"
#include "db/statement.h"

/* The inside of a handle, for the files of this folder. */

struct sqlite3;

/* "Bell" in the header of the file, so that no other program's database is taken for ours. */
#define DB_APPLICATION_ID 0x42656c6c

/* How long a change waits for another writer before it is DB_BUSY. */
#define DB_BUSY_MS 5000

/* What the next row of the audit stands behind: nobody else adds one before the transaction ends.
 */
struct newest {
    bool known;
    uint64_t customer;
    uint64_t number;
    uint8_t digest[DB_AUDIT_DIGEST_SIZE];
    uint8_t chain[DB_AUDIT_DIGEST_SIZE];
};

struct db {
    struct sqlite3 *sqlite;
    struct sqlite3_stmt *prepared[STATEMENT__MAX];
    enum db_result unprepared; /* why the last statement_get() returned NULL */
    bool transaction;          /* the caller's own */
    bool spoiled;              /* ... which can only be rolled back */
    bool whole;                /* ... which is undone as a whole or not at all */
    bool changing;             /* between change_begin() and change_end() */
    bool told;                 /* ... and audit_add() has been called since */
    struct newest newest;      /* of the audit, in the caller's transaction */
    struct changes *changes;   /* NULL: nothing has been changed through this handle yet */
    struct db_limit limit;
    char actor[DB_AUDIT_ACTOR_MAX + 1];
    char remote[DB_AUDIT_REMOTE_MAX + 1];
    char request[DB_AUDIT_REQUEST_MAX + 1];
};

/* Whose a file is, read through an open connection. */
struct identity {
    bool ours;
    bool empty; /* it holds nothing at all: a file just made */
    unsigned version;
};

/*
 * Returns 0, or -1 with one sentence in error_r. A file that is no SQLite database is neither ours
 * nor empty.
 */
int identity_read(struct sqlite3 *sqlite, const char *path, struct identity *identity_r,
                  char *error_r, size_t error_size);

/* Says in error_r that the file is not ours, or newer than the version `known`. Returns 0 or -1. */
int identity_check(const struct identity *identity, unsigned known, const char *path, char *error_r,
                   size_t error_size);

/*
 * Every change stands between these two. It is a transaction, or a savepoint within the caller's.
 * change_end() writes the audit row, with all that has happened to rows since (db/changes.h), and
 * commits after DB_OK; it undoes all after anything else, and where no row is other than before:
 * what changes nothing leaves no trace, unless audit_add() was called. It returns `result`, or why
 * it could not be made to stay. The customer is 0 for none.
 */
enum db_result change_begin(struct db *db);
enum db_result change_end(struct db *db, enum db_result result, const char *action,
                          uint64_t customer, const char *object);

/* For change_end(), and within a change for what else it comes to, where `changes` is "". */
enum db_result audit_add(struct db *db, const char *action, uint64_t customer, const char *object,
                         const char *changes);

/*
 * For audit_add() and db_event_write(): put into the outbox (db/webhook.h) what somebody wants to
 * be told of: a row of the audit, or an event by its id under a type. DB_OK, also where nobody
 * does.
 */
enum db_result outbox_add(struct db *db, uint64_t customer, const char *action, const char *object,
                          uint64_t audit);
enum db_result outbox_add_event(struct db *db, uint64_t customer, const char *type, uint64_t event);

/*
 * Called within a change: an event of what a command does to a credential, or to what it opens,
 * where `mailbox` may be 0 and both texts empty.
 */
enum db_result event_note(struct db *db, enum db_event_kind kind, uint64_t customer,
                          uint64_t mailbox, const char *address, const char *credential);

/*
 * Called within the refused change: notes what db_limit_get() tells. The limit is that of the
 * customer's own plan, or of the named one where `plan` is not NULL. Returns DB_LIMIT, or why it
 * could not be read.
 */
enum db_result limit_note(struct db *db, uint64_t customer, const char *plan);

/*
 * Removes a customer, a domain (of which `address` holds the name) or an address, as a change with
 * its audit row, to be kept for so many seconds; 0: its purge begins at once. DB_OK or DB_NONE.
 */
enum db_result removal_make(struct db *db, uint64_t customer, enum db_removal_kind kind,
                            const char *name, const struct address *address, uint64_t keep);

/*
 * Called within a change that gave a customer, or all of a plan, more or less room: suspends and
 * resumes addresses as db/overplan.h has it, each with its audit row.
 */
enum db_result overplan_fit(struct db *db, uint64_t customer);
enum db_result overplan_fit_all(struct db *db, const char *plan);

/* The id of a mailbox by its own address: DB_OK, DB_NONE (an alias too). */
enum db_result mailbox_find(struct db *db, uint64_t customer, const struct address *address,
                            uint64_t *mailbox_r);

/*
 * Called within a change: sets a mailbox's password or, where `hash` is NULL, takes it away, ends
 * its invitation and notes the event. The address is the mailbox's own.
 */
enum db_result mailbox_set_password(struct db *db, uint64_t customer, uint64_t mailbox,
                                    const char *address, const char *hash, const char *scram);

/*
 * The same of an admin user, by the login; ends its invitation. DB_OK or DB_NONE.
 */
enum db_result admin_user_set_password(struct db *db, uint64_t customer, uint64_t id,
                                       const char *login, const char *hash);

/* Adds an alias, which leads nowhere yet. As db_mailaddress_add(). */
enum db_result address_add(struct db *db, uint64_t customer, const struct address *address);

/* As db_secret_find() (db/secret.h); but one that is missing has been lost, which is DB_BROKEN. */
enum db_result secret_need(struct db *db, const char *name, uint8_t *octets_r);

/*
 * UTF-8 without control characters and without white space at either end, `min` to `max` octets.
 */
bool name_is_clean(const char *name, size_t min, size_t max);

#endif
