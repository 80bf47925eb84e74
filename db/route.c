#include "db/route.h"

#include "db/handle.h"

enum db_result db_route_find(struct db *db, const struct address *address,
                             struct db_route routes_r[DB_ROUTE_MAX], unsigned *count_r)
{
    unsigned count = 0;
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_ROUTE_FIND);
    statement_bind_text(find, 1, address->domain);
    statement_bind_text(find, 2, address->local);
    enum db_result result = statement_row(db, find);
    while (result == DB_OK && count < DB_ROUTE_MAX) {
        struct db_route *route = &routes_r[count++];
        route->mailbox = statement_number(find, 0);
        route->quota_octets = statement_number(find, 1);
        route->quota_messages = statement_number(find, 2);
        route->message_octets_max = statement_number(find, 3);
        route->suspended = statement_bool(find, 4);
        result = statement_row(db, find);
    }
    *count_r = count;
    return result == DB_NONE && count > 0 ? DB_OK : result;
}
