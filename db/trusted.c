#include "db/trusted.h"

#include <string.h>

#include "db/handle.h"

/* As the sentence below has it. */
#define BITS_LEAST_IPV4 8
#define BITS_LEAST_IPV6 32

int db_trusted_parse(char network_r[NETWORKS_TEXT_SIZE], const char *text, const char **error_r)
{
    struct networks networks;

    *error_r = "is no " NETWORKS_ONE;
    if (networks_parse(&networks, text) < 0 || networks.count != 1) {
        return -1;
    }
    const struct in6_addr *address = &networks.list[0].address;
    const unsigned bits = networks.list[0].bits;
    *error_r = "is too large a network to be trusted; the largest are /8 and, of IPv6, /32";
    if (bits < (IN6_IS_ADDR_V4MAPPED(address) ? 96 + BITS_LEAST_IPV4 : BITS_LEAST_IPV6)) {
        return -1;
    }
    networks_format(network_r, address, bits);
    return 0;
}

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
