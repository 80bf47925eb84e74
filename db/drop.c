#include "db/drop.h"

#include "db/handle.h"

enum db_result db_drop_next(struct db *db, uint64_t after, uint64_t *mailbox_r)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_DROP_NEXT);
    statement_bind_number(next, 1, after);
    enum db_result result = statement_row(db, next);
    if (result == DB_OK) {
        *mailbox_r = statement_number(next, 0);
        statement_reset(next);
    }
    return result;
}

/* No audit row: the removal has had its own. */
enum db_result db_drop_done(struct db *db, uint64_t mailbox)
{
    struct sqlite3_stmt *done = statement_get(db, STATEMENT_DROP_DONE);
    statement_bind_number(done, 1, mailbox);
    return statement_change(db, done);
}
