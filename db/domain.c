#include "db/domain.h"

#include <stdio.h>

#include "db/handle.h"

enum db_result db_domain_add(struct db *db, uint64_t customer, const char *name)
{
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *add = statement_get(db, STATEMENT_DOMAIN_ADD);
    statement_bind_number(add, 1, customer);
    statement_bind_text(add, 2, name);
    result = statement_change(db, add);
    if (result == DB_LIMIT) {
        result = limit_note(db, customer, NULL);
    }
    return change_end(db, result, "domain.add", customer, name);
}

enum db_result db_domain_remove(struct db *db, uint64_t customer, const char *name, uint64_t keep)
{
    struct address address;
    snprintf(address.domain, sizeof(address.domain), "%s", name);
    return removal_make(db, customer, DB_REMOVAL_DOMAIN, name, &address, keep);
}

enum db_result db_domain_set_catch_all(struct db *db, uint64_t customer, const char *name,
                                       const struct address *address)
{
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *set = statement_get(db, STATEMENT_DOMAIN_SET_CATCH_ALL);
    statement_bind_number(set, 1, customer);
    statement_bind_text(set, 2, name);
    if (address != NULL) {
        statement_bind_text(set, 3, address->domain);
        statement_bind_text(set, 4, address->local);
    }
    result = statement_change(db, set);
    return change_end(db, result, "domain.catch-all", customer, name);
}

static enum db_result read_domain(struct db *db, struct sqlite3_stmt *row,
                                  struct db_domain *domain_r)
{
    enum db_result result = statement_row(db, row);
    if (result != DB_OK) {
        return result;
    }
    domain_r->customer = statement_number(row, 0);
    statement_text(row, 1, domain_r->customer_name, sizeof(domain_r->customer_name));
    statement_text(row, 2, domain_r->name, sizeof(domain_r->name));
    domain_r->created = statement_number(row, 3);
    domain_r->addresses = statement_count(row, 4);
    statement_text(row, 5, domain_r->catch_all, sizeof(domain_r->catch_all));
    statement_reset(row);
    return DB_OK;
}

enum db_result db_domain_find(struct db *db, const char *name, struct db_domain *domain_r)
{
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_DOMAIN_FIND);
    statement_bind_text(find, 1, name);
    return read_domain(db, find, domain_r);
}

enum db_result db_domain_next(struct db *db, uint64_t customer, struct db_domain *domain)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_DOMAIN_NEXT);
    statement_bind_number(next, 1, customer);
    statement_bind_text(next, 2, domain->name);
    return read_domain(db, next, domain);
}

enum db_result db_operator_domain_next(struct db *db, struct db_domain *domain)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_OPERATOR_DOMAIN_NEXT);
    statement_bind_text(next, 1, domain->name);
    return read_domain(db, next, domain);
}
