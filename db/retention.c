#include "db/retention.h"

#include "db/handle.h"

enum db_result db_retention_next(struct db *db, struct db_retention *retention)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_OPERATOR_RETENTION_NEXT);
    statement_bind_number(next, 1, retention->mailbox);
    enum db_result result = statement_row(db, next);
    if (result == DB_OK) {
        retention->mailbox = statement_number(next, 0);
        retention->days = statement_count(next, 1);
        statement_reset(next);
    }
    return result;
}
