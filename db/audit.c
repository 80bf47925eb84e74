#include "db/audit.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "db/auditchain.h"
#include "db/handle.h"
#include "lib/xalloc.h"

void db_audit_actor(struct db *db, const char *actor)
{
    snprintf(db->actor, sizeof(db->actor), "%s", actor);
}

void db_audit_source(struct db *db, const char *remote, const char *request)
{
    snprintf(db->remote, sizeof(db->remote), "%s", remote);
    snprintf(db->request, sizeof(db->request), "%s", request);
}

void db_audit_free(struct db_audit *audit)
{
    free(audit->changes);
    *audit = (struct db_audit){0};
}

/* What a customer's next row stands behind: its own newest row, and that of all. */
static enum db_result find_newest(struct db *db, uint64_t customer)
{
    struct newest *newest = &db->newest;
    if (db->transaction && newest->known && newest->customer == customer) {
        return DB_OK;
    }
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_AUDIT_NEWEST);
    statement_bind_number(find, 1, customer);
    statement_bind_number(find, 2, INT64_MAX);
    enum db_result result = statement_row(db, find);
    if (result != DB_OK) {
        return result;
    }
    newest->customer = customer;
    newest->number = statement_number(find, 0);
    statement_blob(find, 1, newest->digest, sizeof(newest->digest));
    statement_blob(find, 2, newest->chain, sizeof(newest->chain));
    statement_reset(find);
    return DB_OK;
}

/* Numbers the row and seals it behind the newest ones. */
static enum db_result seal(struct db *db, struct db_audit *audit)
{
    enum db_result result = find_newest(db, audit->customer);
    if (result == DB_OK) {
        audit->number = db->newest.number + 1;
        auditchain_seal(audit, db->newest.digest, db->newest.chain);
    }
    return result;
}

static enum db_result add(struct db *db, const struct db_audit *audit)
{
    struct sqlite3_stmt *add = statement_get(db, STATEMENT_AUDIT_ADD);
    statement_bind_number(add, 1, audit->customer);
    statement_bind_number(add, 2, audit->number);
    statement_bind_number(add, 3, audit->time);
    statement_bind_text(add, 4, audit->actor);
    statement_bind_text(add, 5, audit->remote);
    statement_bind_text(add, 6, audit->request);
    statement_bind_text(add, 7, audit->action);
    statement_bind_text(add, 8, audit->object);
    statement_bind_blob(add, 9, audit->digest, sizeof(audit->digest));
    statement_bind_blob(add, 10, audit->chain, sizeof(audit->chain));
    statement_bind_text(add, 11, audit->changes);
    enum db_result result = statement_change(db, add);
    struct newest *newest = &db->newest;
    newest->known = result == DB_OK;
    newest->number = audit->number;
    memcpy(newest->digest, audit->digest, sizeof(newest->digest));
    memcpy(newest->chain, audit->chain, sizeof(newest->chain));
    return result;
}

enum db_result audit_add(struct db *db, const char *action, uint64_t customer, const char *object,
                         const char *changes)
{
    struct db_audit audit = {.time = (uint64_t)time(NULL), .customer = customer};
    snprintf(audit.actor, sizeof(audit.actor), "%s", db->actor);
    snprintf(audit.remote, sizeof(audit.remote), "%s", db->remote);
    snprintf(audit.request, sizeof(audit.request), "%s", db->request);
    snprintf(audit.action, sizeof(audit.action), "%s", action);
    snprintf(audit.object, sizeof(audit.object), "%s", object);
    audit.changes = xstrdup(changes);
    db->told = true;
    enum db_result result = seal(db, &audit);
    if (result == DB_OK) {
        result = add(db, &audit);
    }
    if (result == DB_OK) {
        uint64_t id = (uint64_t)sqlite3_last_insert_rowid(db->sqlite);
        result = outbox_add(db, customer, action, object, id);
    }
    db_audit_free(&audit);
    return result;
}

static enum db_result read_audit(struct db *db, struct sqlite3_stmt *row, struct db_audit *audit)
{
    db_audit_free(audit);
    enum db_result result = statement_row(db, row);
    if (result != DB_OK) {
        return result;
    }
    audit->id = statement_number(row, 0);
    audit->number = statement_number(row, 1);
    audit->time = statement_number(row, 2);
    audit->customer = statement_number(row, 3);
    statement_text(row, 4, audit->actor, sizeof(audit->actor));
    statement_text(row, 5, audit->remote, sizeof(audit->remote));
    statement_text(row, 6, audit->request, sizeof(audit->request));
    statement_text(row, 7, audit->action, sizeof(audit->action));
    statement_text(row, 8, audit->object, sizeof(audit->object));
    statement_blob(row, 9, audit->digest, sizeof(audit->digest));
    statement_blob(row, 10, audit->chain, sizeof(audit->chain));
    audit->changes = xstrdup((const char *)sqlite3_column_text(row, 11));
    statement_text(row, 12, audit->customer_name, sizeof(audit->customer_name));
    statement_reset(row);
    return DB_OK;
}

static enum db_result of_customer(struct db *db, enum statement_id id, uint64_t customer,
                                  uint64_t number, struct db_audit *audit)
{
    struct sqlite3_stmt *find = statement_get(db, id);
    statement_bind_number(find, 1, customer);
    statement_bind_number(find, 2, number);
    return read_audit(db, find, audit);
}

static enum db_result of_all(struct db *db, enum statement_id id, uint64_t row,
                             struct db_audit *audit)
{
    struct sqlite3_stmt *find = statement_get(db, id);
    statement_bind_number(find, 1, row);
    return read_audit(db, find, audit);
}

/* What the row's id or number must be below. */
static uint64_t older(uint64_t than)
{
    return than == 0 ? INT64_MAX : than;
}

enum db_result db_audit_next(struct db *db, uint64_t customer, struct db_audit *audit)
{
    return of_customer(db, STATEMENT_AUDIT_NEXT, customer, older(audit->number), audit);
}

enum db_result db_operator_audit_next(struct db *db, struct db_audit *audit)
{
    return of_all(db, STATEMENT_OPERATOR_AUDIT_NEXT, older(audit->id), audit);
}

enum db_result db_audit_follow(struct db *db, uint64_t customer, struct db_audit *audit)
{
    return of_customer(db, STATEMENT_AUDIT_FOLLOW, customer, audit->number, audit);
}

enum db_result db_operator_audit_follow(struct db *db, struct db_audit *audit)
{
    return of_all(db, STATEMENT_OPERATOR_AUDIT_FOLLOW, audit->id, audit);
}
