#include "db/outbox.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>

#include "db/handle.h"
#include "lib/clock.h"
#include "lib/xalloc.h"

/* Rows that one pruning removes: it is in nobody's way for longer than a change. */
#define PRUNE_MAX 1000

static enum db_result add(struct db *db, struct sqlite3_stmt *add)
{
    statement_bind_number(add, 2, clock_wall());
    statement_bind_number(add, 3, INT64_MAX);
    enum db_result result = statement_change(db, add);
    return result == DB_NONE ? DB_OK : result;
}

/* Asked first, as adding takes SQLite a table in memory. DB_NONE: nobody does. */
static enum db_result find_wish(struct db *db, uint64_t customer)
{
    struct sqlite3_stmt *wanted = statement_get(db, STATEMENT_OUTBOX_WANTED);
    statement_bind_number(wanted, 1, customer);
    enum db_result result = statement_row(db, wanted);
    if (result == DB_OK) {
        statement_reset(wanted);
    }
    return result;
}

enum db_result outbox_add(struct db *db, uint64_t customer, const char *action, const char *object,
                          uint64_t audit)
{
    enum db_result wish = find_wish(db, customer);
    if (wish != DB_OK) {
        return wish == DB_NONE ? DB_OK : wish;
    }
    struct sqlite3_stmt *row = statement_get(db, STATEMENT_OUTBOX_ADD);
    statement_bind_number(row, 1, customer);
    statement_bind_text(row, 4, action);
    statement_bind_text(row, 5, object);
    statement_bind_number(row, 6, audit);
    return add(db, row);
}

enum db_result outbox_add_event(struct db *db, uint64_t customer, const char *type, uint64_t event)
{
    struct sqlite3_stmt *row = statement_get(db, STATEMENT_OUTBOX_EVENT);
    statement_bind_number(row, 1, customer);
    statement_bind_text(row, 4, type);
    statement_bind_number(row, 5, event);
    return add(db, row);
}

enum db_result db_outbox_newest(struct db *db, uint64_t *cursor_r)
{
    struct sqlite3_stmt *newest = statement_get(db, STATEMENT_OUTBOX_NEWEST);
    statement_bind_number(newest, 1, INT64_MAX);
    enum db_result result = statement_row(db, newest);
    *cursor_r = 0;
    if (result == DB_OK) {
        *cursor_r = statement_number(newest, 0);
        statement_reset(newest);
    }
    return result == DB_NONE ? DB_OK : result;
}

void db_outbox_free(struct db_outbox *outbox)
{
    free(outbox->detail);
    *outbox = (struct db_outbox){0};
}

static enum db_result read_outbox(struct db *db, struct sqlite3_stmt *row, struct db_outbox *outbox)
{
    db_outbox_free(outbox);
    enum db_result result = statement_row(db, row);
    if (result != DB_OK) {
        return result;
    }
    outbox->cursor = statement_number(row, 0);
    outbox->time = statement_number(row, 1);
    outbox->customer = statement_number(row, 2);
    statement_text(row, 3, outbox->type, sizeof(outbox->type));
    statement_text(row, 4, outbox->object, sizeof(outbox->object));
    const char *detail = (const char *)sqlite3_column_text(row, 5);
    const char *changes = (const char *)sqlite3_column_text(row, 9);
    outbox->detail = xstrdup(changes != NULL ? changes : detail);
    statement_text(row, 6, outbox->actor, sizeof(outbox->actor));
    statement_text(row, 7, outbox->remote, sizeof(outbox->remote));
    statement_text(row, 8, outbox->request, sizeof(outbox->request));
    statement_text(row, 10, outbox->customer_name, sizeof(outbox->customer_name));
    statement_reset(row);
    return DB_OK;
}

enum db_result db_outbox_waiting(struct db *db, const struct db_webhook *webhook, uint64_t *count_r,
                                 uint64_t *first_r)
{
    bool all = webhook->customer == 0;
    struct sqlite3_stmt *waiting =
        statement_get(db, all ? STATEMENT_OPERATOR_OUTBOX_WAITING : STATEMENT_OUTBOX_WAITING);
    if (!all) {
        statement_bind_number(waiting, 1, webhook->customer);
    }
    statement_bind_number(waiting, all ? 1 : 2, webhook->cursor);
    statement_bind_number(waiting, all ? 2 : 3, DB_OUTBOX_COUNTED);
    enum db_result result = statement_row(db, waiting);
    if (result == DB_OK) {
        *count_r = statement_number(waiting, 0);
        *first_r = statement_number(waiting, 1);
        statement_reset(waiting);
    }
    return result;
}

enum db_result db_outbox_next(struct db *db, const struct db_webhook *webhook, uint64_t cursor,
                              struct db_outbox *outbox)
{
    if (webhook->customer == 0) {
        struct sqlite3_stmt *next = statement_get(db, STATEMENT_OPERATOR_OUTBOX_NEXT);
        statement_bind_number(next, 1, cursor);
        return read_outbox(db, next, outbox);
    }
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_OUTBOX_NEXT);
    statement_bind_number(next, 1, webhook->customer);
    statement_bind_number(next, 2, cursor);
    return read_outbox(db, next, outbox);
}

enum db_result db_outbox_prune(struct db *db, uint64_t now)
{
    uint64_t oldest = now - (uint64_t)DB_OUTBOX_DAYS * 86400;
    struct sqlite3_stmt *prune = statement_get(db, STATEMENT_OUTBOX_PRUNE);
    statement_bind_number(prune, 1, oldest * 1000000);
    statement_bind_number(prune, 2, INT64_MAX);
    statement_bind_number(prune, 3, PRUNE_MAX);
    return statement_change(db, prune);
}
