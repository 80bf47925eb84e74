#include "db/overplan.h"

#include <string.h>

#include "db/handle.h"

static const char *const names[] = {"refuse", "keep", "suspend"};

const char *db_overplan_name(enum db_overplan rule)
{
    return names[rule];
}

int db_overplan_parse(const char *name, enum db_overplan *rule_r)
{
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            *rule_r = (enum db_overplan)i;
            return 0;
        }
    }
    return -1;
}

static enum db_result limits(struct db *db, uint64_t customer, const char *plan,
                             struct db_overplan_preview *preview_r)
{
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_OVERPLAN_LIMITS);
    statement_bind_number(find, 1, customer);
    statement_bind_text(find, 2, plan);
    enum db_result result = statement_row(db, find);
    if (result != DB_OK) {
        return result;
    }
    preview_r->addresses = statement_count(find, 0);
    preview_r->addresses_allowed = statement_count(find, 1);
    preview_r->domains = statement_count(find, 2);
    preview_r->domains_allowed = statement_count(find, 3);
    preview_r->mailbox_octets = statement_number(find, 4);
    preview_r->mailbox_messages = statement_number(find, 5);
    statement_reset(find);
    return DB_OK;
}

enum db_result db_overplan_preview(struct db *db, uint64_t customer, const char *plan,
                                   struct db_overplan_preview *preview_r,
                                   void (*over)(void *context, const char *address), void *context)
{
    char address[ADDRESS_MAX + 1];
    enum db_result result = limits(db, customer, plan, preview_r);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *each = statement_get(db, STATEMENT_OVERPLAN_PREVIEW);
    statement_bind_number(each, 1, customer);
    statement_bind_text(each, 2, plan);
    while ((result = statement_row(db, each)) == DB_OK) {
        statement_text(each, 0, address, sizeof(address));
        over(context, address);
    }
    return result == DB_NONE ? DB_OK : result;
}

/* One address whose state changed. */
static enum db_result note(struct db *db, uint64_t customer, struct sqlite3_stmt *row)
{
    char address[ADDRESS_MAX + 1];
    bool over = statement_bool(row, 0);
    uint64_t mailbox = statement_number(row, 1);
    statement_text(row, 2, address, sizeof(address));
    enum db_result result =
        audit_add(db, over ? "address.over-plan" : "address.within-plan", customer, address, "");
    if (result == DB_OK && mailbox != 0) {
        result = event_note(db, over ? DB_EVENT_SUSPENDED : DB_EVENT_RESUMED, customer, mailbox,
                            address, "");
    }
    return result;
}

enum db_result overplan_fit(struct db *db, uint64_t customer)
{
    struct sqlite3_stmt *fit = statement_get(db, STATEMENT_OVERPLAN_FIT);
    statement_bind_number(fit, 1, customer);
    enum db_result result;
    while ((result = statement_row(db, fit)) == DB_OK) {
        result = note(db, customer, fit);
        if (result != DB_OK) {
            statement_reset(fit);
            return result;
        }
    }
    return result == DB_NONE ? DB_OK : result;
}

enum db_result overplan_fit_all(struct db *db, const char *plan)
{
    uint64_t customer = 0;
    enum db_result result;
    do {
        struct sqlite3_stmt *next = statement_get(db, STATEMENT_OVERPLAN_CUSTOMER_NEXT);
        statement_bind_text(next, 1, plan);
        statement_bind_number(next, 2, customer);
        result = statement_row(db, next);
        if (result == DB_OK) {
            customer = statement_number(next, 0);
            statement_reset(next);
            result = overplan_fit(db, customer);
        }
    } while (result == DB_OK);
    return result == DB_NONE ? DB_OK : result;
}
