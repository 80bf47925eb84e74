#include "db/crossing.h"

#include "db/handle.h"
#include "lib/clock.h"

enum db_result db_crossing_add(struct db *db, const struct db_crossing *crossing)
{
    struct sqlite3_stmt *add = statement_get(db, STATEMENT_OUTBOX_CROSSING);
    statement_bind_number(add, 1, crossing->mailbox);
    statement_bind_number(add, 2, clock_wall());
    statement_bind_number(add, 3, INT64_MAX);
    statement_bind_number(add, 4, crossing->percent);
    statement_bind_number(add, 5, crossing->octets);
    statement_bind_number(add, 6, crossing->quota_octets);
    statement_bind_number(add, 7, crossing->messages);
    statement_bind_number(add, 8, crossing->quota_messages);
    return statement_change(db, add);
}
