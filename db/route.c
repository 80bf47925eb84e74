#include "db/route.h"

#include "db/handle.h"

static void read_route(struct sqlite3_stmt *row, struct db_route *route_r)
{
    char mail[16];
    route_r->mailbox = statement_number(row, 0);
    route_r->quota_octets = statement_number(row, 1);
    route_r->quota_messages = statement_number(row, 2);
    route_r->message_octets_max = statement_number(row, 3);
    route_r->suspended = statement_bool(row, 4);
    statement_text(row, 5, mail, sizeof(mail));
    route_r->suspended_mail = DB_SUSPENDED_AS_CONFIGURED;
    db_suspended_mail_parse(mail, &route_r->suspended_mail);
}

static enum db_result find(struct db *db, enum statement_id id, const struct address *address,
                           struct db_route routes_r[DB_ROUTE_MAX], unsigned *count_r)
{
    unsigned count = 0;
    struct sqlite3_stmt *find = statement_get(db, id);
    statement_bind_text(find, 1, address->domain);
    statement_bind_text(find, 2, address->local);
    enum db_result result = statement_row(db, find);
    while (result == DB_OK && count < DB_ROUTE_MAX) {
        read_route(find, &routes_r[count++]);
        result = statement_row(db, find);
    }
    *count_r = count;
    return result == DB_NONE && count > 0 ? DB_OK : result;
}

enum db_result db_route_find(struct db *db, const struct address *address,
                             struct db_route routes_r[DB_ROUTE_MAX], unsigned *count_r)
{
    enum db_result result = find(db, STATEMENT_ROUTE_FIND, address, routes_r, count_r);
    if (result == DB_NONE) {
        result = find(db, STATEMENT_ROUTE_CATCH_ALL, address, routes_r, count_r);
    }
    return result;
}
