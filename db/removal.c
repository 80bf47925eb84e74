#include "db/removal.h"

#include <sqlite3.h>
#include <string.h>

#include "db/handle.h"

/* What goes before the thing itself, and the thing, without which there is nothing to do. */
static const struct kind {
    const char *name, *remove, *restore, *purge;
    enum statement_id parts[2];
    unsigned part_count;
    enum statement_id thing;
} kinds[] = {
    [DB_REMOVAL_CUSTOMER] = {"customer",
                             "customer.remove",
                             "customer.restore",
                             "customer.purge",
                             {STATEMENT_REMOVE_ADDRESSES, STATEMENT_REMOVE_DOMAINS},
                             2,
                             STATEMENT_REMOVE_CUSTOMER},
    [DB_REMOVAL_DOMAIN] = {"domain",
                           "domain.remove",
                           "domain.restore",
                           "domain.purge",
                           {STATEMENT_REMOVE_DOMAIN_ADDRESSES},
                           1,
                           STATEMENT_REMOVE_DOMAIN},
    [DB_REMOVAL_ADDRESS] = {"address",
                            "address.remove",
                            "address.restore",
                            "address.purge",
                            {0},
                            0,
                            STATEMENT_REMOVE_ADDRESS},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

const char *db_removal_kind_name(enum db_removal_kind kind)
{
    return kinds[kind].name;
}

/* Customer and removal, as most statements here take them. */
static struct sqlite3_stmt *bound(struct db *db, enum statement_id id, uint64_t customer,
                                  uint64_t removal)
{
    struct sqlite3_stmt *statement = statement_get(db, id);
    statement_bind_number(statement, 1, customer);
    statement_bind_number(statement, 2, removal);
    return statement;
}

/* Runs one that may find nothing to do. */
static enum db_result part(struct db *db, enum statement_id id, uint64_t customer, uint64_t removal)
{
    enum db_result result = statement_change(db, bound(db, id, customer, removal));
    return result == DB_NONE ? DB_OK : result;
}

static enum db_result add(struct db *db, uint64_t customer, const struct kind *kind,
                          const char *name, uint64_t keep, uint64_t *removal_r)
{
    struct sqlite3_stmt *add = statement_get(db, STATEMENT_REMOVAL_ADD);
    statement_bind_number(add, 1, customer);
    statement_bind_text(add, 2, kind->name);
    statement_bind_text(add, 3, name);
    statement_bind_number(add, 4, keep);
    enum db_result result = statement_change(db, add);
    *removal_r = (uint64_t)sqlite3_last_insert_rowid(db->sqlite);
    return result;
}

static enum db_result take(struct db *db, enum statement_id id, uint64_t customer, uint64_t removal,
                           const struct address *address)
{
    struct sqlite3_stmt *take = bound(db, id, customer, removal);
    if (address != NULL) {
        statement_bind_text(take, 3, address->domain);
    }
    if (id == STATEMENT_REMOVE_ADDRESS) {
        statement_bind_text(take, 4, address->local);
    }
    return statement_change(db, take);
}

/* The aliases that lead nowhere now. Each has its row in the audit. */
static enum db_result take_aliases(struct db *db, uint64_t customer, uint64_t removal)
{
    char alias[ADDRESS_MAX + 1];
    enum db_result result;
    do {
        struct sqlite3_stmt *take = bound(db, STATEMENT_REMOVE_ALIAS, customer, removal);
        result = statement_row(db, take);
        if (result == DB_OK) {
            statement_text(take, 0, alias, sizeof(alias));
            statement_reset(take);
            result = audit_add(db, "address.remove", customer, alias, "");
        }
    } while (result == DB_OK);
    return result == DB_NONE ? DB_OK : result;
}

static enum db_result take_all(struct db *db, uint64_t customer, const struct kind *kind,
                               uint64_t removal, const struct address *address)
{
    enum db_result result = DB_OK;
    for (unsigned i = 0; i < kind->part_count && result == DB_OK; i++) {
        result = take(db, kind->parts[i], customer, removal, address);
        result = result == DB_NONE ? DB_OK : result;
    }
    if (result == DB_OK) {
        result = take(db, kind->thing, customer, removal, address);
    }
    if (result == DB_OK) {
        result = part(db, STATEMENT_REMOVE_MAILBOXES, customer, removal);
    }
    if (result == DB_OK) {
        result = take_aliases(db, customer, removal);
    }
    return result;
}

/* Up to `most` rows, which is what is left of it then; with what had been removed before. */
static enum db_result purge_some(struct db *db, uint64_t customer, uint64_t removal, uint64_t *most)
{
    /* In the order in which they refer to each other. */
    static const enum statement_id steps[] = {
        STATEMENT_PURGE_ADDRESSES,          STATEMENT_PURGE_DOMAIN_ADDRESSES,
        STATEMENT_PURGE_CUSTOMER_ADDRESSES, STATEMENT_PURGE_CUSTOMER_DOMAINS,
        STATEMENT_PURGE_CUSTOMER_REMOVALS,  STATEMENT_PURGE_CUSTOMER_JOB_PARTS,
        STATEMENT_PURGE_CUSTOMER_JOB_ERRORS};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && *most > 0; i++) {
        struct sqlite3_stmt *some = bound(db, steps[i], customer, removal);
        statement_bind_number(some, 3, *most);
        enum db_result result = statement_change(db, some);
        if (result == DB_OK) {
            *most -= (uint64_t)sqlite3_changes(db->sqlite);
        } else if (result != DB_NONE) {
            return result;
        }
    }
    return DB_OK;
}

/* What the removal refers to goes first; with a customer goes all, the removal too. */
static enum db_result purge(struct db *db, uint64_t customer, uint64_t removal, uint64_t most,
                            bool *last_r)
{
    static const enum statement_id steps[] = {STATEMENT_PURGE_DOMAINS, STATEMENT_PURGE_CUSTOMER,
                                              STATEMENT_REMOVAL_END};
    enum db_result result = purge_some(db, customer, removal, &most);
    *last_r = most > 0;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && result == DB_OK && *last_r; i++) {
        result = part(db, steps[i], customer, removal);
    }
    return result;
}

enum db_result removal_make(struct db *db, uint64_t customer, enum db_removal_kind kind,
                            const char *name, const struct address *address, uint64_t keep)
{
    uint64_t removal;
    bool last;
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = add(db, customer, &kinds[kind], name, keep, &removal);
    if (result == DB_OK) {
        result = take_all(db, customer, &kinds[kind], removal, address);
    }
    if (result == DB_OK && keep == 0) {
        result = purge(db, customer, removal, DB_REMOVAL_PART, &last);
    }
    if (result == DB_OK) {
        result = overplan_fit(db, customer);
    }
    return change_end(db, result, kinds[kind].remove, customer, name);
}

static enum db_result read_removal(struct db *db, struct sqlite3_stmt *row,
                                   struct db_removal *removal_r)
{
    char kind[16];
    enum db_result result = statement_row(db, row);
    if (result != DB_OK) {
        return result;
    }
    removal_r->id = statement_number(row, 0);
    removal_r->customer = statement_number(row, 1);
    statement_text(row, 2, removal_r->customer_name, sizeof(removal_r->customer_name));
    statement_text(row, 3, kind, sizeof(kind));
    statement_text(row, 4, removal_r->name, sizeof(removal_r->name));
    removal_r->time = statement_number(row, 5);
    removal_r->purge = statement_number(row, 6);
    statement_reset(row);
    /* The table's CHECK allows no other word. */
    for (unsigned i = 0; i < KINDS; i++) {
        if (strcmp(kind, kinds[i].name) == 0) {
            removal_r->kind = (enum db_removal_kind)i;
        }
    }
    return DB_OK;
}

enum db_result db_removal_find(struct db *db, uint64_t customer, enum db_removal_kind kind,
                               const char *name, struct db_removal *removal_r)
{
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_REMOVAL_FIND);
    statement_bind_text(find, 1, kinds[kind].name);
    statement_bind_text(find, 2, name);
    statement_bind_number(find, 3, customer);
    return read_removal(db, find, removal_r);
}

enum db_result db_removal_due(struct db *db, struct db_removal *removal_r)
{
    return read_removal(db, statement_get(db, STATEMENT_REMOVAL_DUE), removal_r);
}

enum db_result db_removal_next(struct db *db, uint64_t customer, struct db_removal *removal)
{
    return read_removal(db, bound(db, STATEMENT_REMOVAL_NEXT, customer, removal->id), removal);
}

enum db_result db_operator_removal_next(struct db *db, struct db_removal *removal)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_OPERATOR_REMOVAL_NEXT);
    statement_bind_number(next, 1, removal->id);
    return read_removal(db, next, removal);
}

/* In the order in which they stand on each other. */
static enum db_result bring_back(struct db *db, const struct db_removal *removal)
{
    static const struct {
        enum statement_id id;
        int kind; /* whose thing it is, or -1 */
    } steps[] = {
        {STATEMENT_RESTORE_CUSTOMER, DB_REMOVAL_CUSTOMER},
        {STATEMENT_RESTORE_DOMAINS, DB_REMOVAL_DOMAIN},
        {STATEMENT_RESTORE_MAILBOXES, -1},
        {STATEMENT_RESTORE_ADDRESSES, DB_REMOVAL_ADDRESS},
        {STATEMENT_REMOVAL_HAND_ON, -1},
        {STATEMENT_REMOVAL_END, -1},
    };
    enum db_result result = DB_OK;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && result == DB_OK; i++) {
        result = statement_change(db, bound(db, steps[i].id, removal->customer, removal->id));
        if (result == DB_NONE && steps[i].kind != (int)removal->kind) {
            result = DB_OK;
        }
    }
    return result == DB_LIMIT ? limit_note(db, removal->customer, NULL) : result;
}

/* Whether it can still be restored: somebody may have done so since it was found. */
static enum db_result exists(struct db *db, const struct db_removal *removal)
{
    struct db_removal found = {.id = removal->id - 1};
    enum db_result result = db_removal_next(db, removal->customer, &found);
    return result == DB_OK && found.id != removal->id ? DB_NONE : result;
}

enum db_result db_removal_restore(struct db *db, const struct db_removal *removal)
{
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = exists(db, removal);
    if (result == DB_OK) {
        result = bring_back(db, removal);
    }
    if (result == DB_OK) {
        result = overplan_fit(db, removal->customer);
    }
    return change_end(db, result, kinds[removal->kind].restore, removal->customer, removal->name);
}

enum db_result db_removal_purge_part(struct db *db, const struct db_removal *removal, uint64_t most,
                                     bool *last_r)
{
    const char *action = removal->purge > 0 ? kinds[removal->kind].purge : "removal.purge";
    *last_r = false;
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result =
        statement_change(db, bound(db, STATEMENT_REMOVAL_PURGE, removal->customer, removal->id));
    if (result == DB_OK) {
        result = purge(db, removal->customer, removal->id, most, last_r);
    }
    if (result == DB_OK && !changes_any(db->changes)) { /* removals alone count for nothing */
        result = audit_add(db, action, removal->customer, removal->name, "");
    }
    return change_end(db, result, action, removal->customer, removal->name);
}

enum db_result db_removal_purge(struct db *db, const struct db_removal *removal)
{
    bool last;
    return db_removal_purge_part(db, removal, DB_REMOVAL_PART, &last);
}
