#include "db/transaction.h"

#include <sqlite3.h>

#include "db/handle.h"

/* Runs a statement that has no parameters and no rows. */
static enum db_result control(struct db *db, enum statement_id id)
{
    enum db_result result = statement_row(db, statement_get(db, id));
    return result == DB_NONE ? DB_OK : result;
}

static enum db_result undo(struct db *db)
{
    db->newest.known = false;
    return control(db, STATEMENT_UNDO);
}

/* SQLite itself may have rolled back already, after a full disk for example. */
static void rollback(struct db *db)
{
    if (!sqlite3_get_autocommit(db->sqlite)) {
        control(db, STATEMENT_ROLLBACK);
    }
}

static enum db_result commit(struct db *db)
{
    enum db_result result = control(db, STATEMENT_COMMIT);
    if (result != DB_OK) {
        rollback(db);
    }
    return result;
}

enum db_result db_transaction_begin(struct db *db)
{
    if (db->transaction) {
        return DB_BROKEN;
    }
    enum db_result result = control(db, STATEMENT_BEGIN);
    db->transaction = result == DB_OK;
    db->spoiled = db->whole = db->newest.known = false;
    return result;
}

void db_transaction_is_whole(struct db *db)
{
    db->whole = db->transaction;
}

enum db_result db_transaction_commit(struct db *db)
{
    if (!db->transaction) {
        return DB_BROKEN;
    }
    if (db->spoiled) {
        db_transaction_rollback(db);
        return DB_BROKEN;
    }
    db->transaction = db->whole = false;
    return commit(db);
}

void db_transaction_rollback(struct db *db)
{
    if (db->transaction) {
        db->transaction = false;
        db->spoiled = db->whole = false;
        rollback(db);
    }
}

enum db_result db_part_begin(struct db *db)
{
    return db->transaction && !db->spoiled ? control(db, STATEMENT_SAVEPOINT) : DB_BROKEN;
}

enum db_result db_part_end(struct db *db, bool keep)
{
    if (db->spoiled) {
        return DB_BROKEN;
    }
    enum db_result result = keep ? DB_OK : undo(db);
    if (result == DB_OK) {
        result = control(db, STATEMENT_RELEASE);
    }
    db->spoiled = result != DB_OK;
    return result;
}

void db_read_begin(struct db *db)
{
    control(db, STATEMENT_READ);
}

void db_read_end(struct db *db)
{
    rollback(db);
}

enum db_result change_begin(struct db *db)
{
    if (db->spoiled) {
        return DB_BROKEN;
    }
    if (db->changes == NULL) {
        db->changes = changes_open(db);
    }
    if (db->changes == NULL) {
        return DB_BROKEN;
    }
    enum db_result result = DB_OK;
    if (!db->whole) {
        result = control(db, db->transaction ? STATEMENT_SAVEPOINT : STATEMENT_BEGIN);
    }
    if (result == DB_OK) {
        db->changing = true;
        db->told = false;
        changes_begin(db->changes);
    }
    return result;
}

/* The end of a change within the caller's transaction. */
static enum db_result savepoint_end(struct db *db, enum db_result result)
{
    if (result == DB_BUSY || result == DB_BROKEN || (result != DB_OK && db->whole)) {
        db->spoiled = true;
        return result;
    }
    if (db->whole) {
        return DB_OK;
    }
    if (result != DB_OK && undo(db) != DB_OK) {
        db->spoiled = true;
        return DB_BROKEN;
    }
    if (control(db, STATEMENT_RELEASE) != DB_OK) {
        db->spoiled = true;
        return DB_BROKEN;
    }
    return result;
}

/* Sets `kept_r` to whether the change has changed anything. */
static enum db_result note(struct db *db, const char *action, uint64_t customer, const char *object,
                           bool *kept_r)
{
    bool changed = changes_any(db->changes);
    const char *changes = changes_end(db, db->changes);
    *kept_r = changed || db->told;
    if (changes == NULL) {
        return DB_BROKEN;
    }
    return changed ? audit_add(db, action, customer, object, changes) : DB_OK;
}

/*
 * What has been written without a change, an event for example, is undone as well; but in a
 * transaction without savepoints it stays.
 */
enum db_result change_end(struct db *db, enum db_result result, const char *action,
                          uint64_t customer, const char *object)
{
    bool kept = false;
    if (result == DB_OK) {
        result = note(db, action, customer, object, &kept);
    }
    changes_drop(db->changes);
    db->changing = false;
    bool nothing = result == DB_OK && !kept;
    if (nothing && db->whole) {
        return DB_OK;
    }
    if (db->transaction) {
        result = savepoint_end(db, nothing ? DB_NONE : result);
        return nothing && result == DB_NONE ? DB_OK : result;
    }
    if (result == DB_OK && kept) {
        return commit(db);
    }
    rollback(db);
    return result;
}
