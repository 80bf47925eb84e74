#include "db/trusted.h"

#include <string.h>

#include "db/handle.h"

static enum db_result change(struct db *db, enum statement_id number, uint64_t customer,
                             const char *network, const char *action)
{
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *statement = statement_get(db, number);
    statement_bind_number(statement, 1, customer);
    statement_bind_text(statement, 2, network);
    result = statement_change(db, statement);
    return change_end(db, result, action, customer, network);
}

enum db_result db_trusted_add(struct db *db, uint64_t customer, const char *network)
{
    return change(db, STATEMENT_TRUSTED_ADD, customer, network, "trusted_network.add");
}

enum db_result db_trusted_remove(struct db *db, uint64_t customer, const char *network)
{
    return change(db, STATEMENT_TRUSTED_REMOVE, customer, network, "trusted_network.remove");
}

enum db_result db_trusted_next(struct db *db, uint64_t customer, struct db_trusted *trusted)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_TRUSTED_NEXT);
    statement_bind_number(next, 1, customer);
    statement_bind_text(next, 2, trusted->network);
    enum db_result result = statement_row(db, next);
    if (result != DB_OK) {
        return result;
    }
    statement_text(next, 0, trusted->network, sizeof(trusted->network));
    trusted->created = statement_number(next, 1);
    statement_reset(next);
    return DB_OK;
}

enum db_result db_trusted_holds(struct db *db, uint64_t customer, const struct in6_addr *address)
{
    struct db_trusted trusted = {0};
    struct networks networks;
    enum db_result result;

    while ((result = db_trusted_next(db, customer, &trusted)) == DB_OK) {
        if (networks_parse(&networks, trusted.network) == 0 &&
            networks_hold_mapped(&networks, address)) {
            return DB_OK;
        }
    }
    return result;
}
