#include "db/audit.h"

#include <stdio.h>

#include "db/handle.h"

void db_audit_actor(struct db *db, const char *actor)
{
    snprintf(db->actor, sizeof(db->actor), "%s", actor);
}

enum db_result audit_add(struct db *db, const char *action, uint64_t customer, const char *object)
{
    struct sqlite3_stmt *add = statement_get(db, STATEMENT_AUDIT_ADD);
    statement_bind_number(add, 1, customer);
    statement_bind_text(add, 2, db->actor);
    statement_bind_text(add, 3, action);
    statement_bind_text(add, 4, object);
    return statement_change(db, add);
}

/* `older` is the parameter for the id that the row's must be below. */
static enum db_result next(struct db *db, struct sqlite3_stmt *find, int older,
                           struct db_audit *audit)
{
    statement_bind_number(find, older, audit->id == 0 ? INT64_MAX : audit->id);
    enum db_result result = statement_row(db, find);
    if (result != DB_OK) {
        return result;
    }
    audit->id = statement_number(find, 0);
    audit->time = statement_number(find, 1);
    audit->customer = statement_number(find, 2);
    statement_text(find, 3, audit->actor, sizeof(audit->actor));
    statement_text(find, 4, audit->action, sizeof(audit->action));
    statement_text(find, 5, audit->object, sizeof(audit->object));
    statement_reset(find);
    return DB_OK;
}

enum db_result db_audit_next(struct db *db, uint64_t customer, struct db_audit *audit)
{
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_AUDIT_NEXT);
    statement_bind_number(find, 1, customer);
    return next(db, find, 2, audit);
}

enum db_result db_operator_audit_next(struct db *db, struct db_audit *audit)
{
    return next(db, statement_get(db, STATEMENT_OPERATOR_AUDIT_NEXT), 1, audit);
}
