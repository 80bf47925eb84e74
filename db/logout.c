#include "db/logout.h"

#include <sqlite3.h>

#include "db/customer.h"
#include "db/handle.h"

/* Runs a statement that writes logouts. */
static enum db_result write_some(struct db *db, struct sqlite3_stmt *write,
                                 struct db_logout_range *range_r)
{
    enum db_result result = statement_change(db, write);
    if (result == DB_OK) {
        range_r->last = (uint64_t)sqlite3_last_insert_rowid(db->sqlite);
        range_r->first = range_r->last + 1 - (uint64_t)sqlite3_changes64(db->sqlite);
    }
    return result;
}

/* It is told of by itself: no row of what the audit follows is another. */
static enum db_result end(struct db *db, enum db_result result, uint64_t customer,
                          const char *object)
{
    static const char action[] = "session.end";
    if (result == DB_OK) {
        result = audit_add(db, action, customer, object, "");
    }
    return change_end(db, result, action, customer, object);
}

enum db_result db_logout_mailbox(struct db *db, uint64_t customer, const struct address *address,
                                 struct db_logout_range *range_r)
{
    uint64_t mailbox;
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = mailbox_find(db, customer, address, &mailbox);
    if (result == DB_OK) {
        struct sqlite3_stmt *write = statement_get(db, STATEMENT_LOGOUT_MAILBOX);
        statement_bind_number(write, 1, customer);
        statement_bind_number(write, 2, mailbox);
        result = write_some(db, write, range_r);
    }
    return end(db, result, customer, address->text);
}

enum db_result db_logout_customer(struct db *db, uint64_t customer, struct db_logout_range *range_r)
{
    struct db_customer now = {0};
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = db_customer_get(db, customer, &now);
    if (result == DB_OK) {
        struct sqlite3_stmt *write = statement_get(db, STATEMENT_LOGOUT_CUSTOMER);
        statement_bind_number(write, 1, customer);
        result = write_some(db, write, range_r);
    }
    return end(db, result, customer, now.name);
}

enum db_result db_logout_list(struct db *db, uint64_t after, struct db_logout *logouts_r,
                              size_t most, size_t *count_r)
{
    size_t count = 0;
    struct sqlite3_stmt *list = statement_get(db, STATEMENT_LOGOUT_LIST);
    statement_bind_number(list, 1, after);
    statement_bind_number(list, 2, most);
    enum db_result result = statement_row(db, list);
    while (result == DB_OK) {
        logouts_r[count++] = (struct db_logout){.number = statement_number(list, 0),
                                                .mailbox = statement_number(list, 1),
                                                .created = statement_number(list, 2)};
        result = statement_row(db, list);
    }
    *count_r = count;
    return result == DB_NONE && count > 0 ? DB_OK : result;
}

enum db_result db_logout_forget(struct db *db, uint64_t last)
{
    struct sqlite3_stmt *forget = statement_get(db, STATEMENT_LOGOUT_FORGET);
    statement_bind_number(forget, 1, last);
    statement_bind_number(forget, 2, DB_LOGOUT_SECONDS);
    return statement_change(db, forget);
}
