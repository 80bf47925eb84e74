#include "db/customer.h"

#include <sqlite3.h>

#include "db/handle.h"
#include "lib/log.h"

int db_customer_name_check(const char *name, const char **error_r)
{
    if (name_is_clean(name, 1, DB_CUSTOMER_NAME_MAX)) {
        return 0;
    }
    *error_r =
        "a customer's name is 1 to 100 octets of UTF-8 in one line, without spaces around it";
    return -1;
}

static bool is_sound(const char *name)
{
    const char *error;
    if (db_customer_name_check(name, &error) == 0) {
        return true;
    }
    log_error("accounts: name not checked by the caller: %s", error);
    return false;
}

enum db_result db_customer_add(struct db *db, const char *name, const char *plan, uint64_t *id_r)
{
    if (!is_sound(name)) {
        return DB_BROKEN;
    }
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *add = statement_get(db, STATEMENT_CUSTOMER_ADD);
    statement_bind_text(add, 1, name);
    statement_bind_text(add, 2, plan);
    result = statement_change(db, add);
    uint64_t id = (uint64_t)sqlite3_last_insert_rowid(db->sqlite);
    if (id_r != NULL) {
        *id_r = id;
    }
    return change_end(db, result, "customer.add", id, name);
}

/* The table's CHECKs allow no other words. */
static void read_rules(struct sqlite3_stmt *row, struct db_customer *customer_r)
{
    char mail[16];
    char over[16];
    statement_text(row, 8, mail, sizeof(mail));
    statement_text(row, 9, over, sizeof(over));
    customer_r->suspended_mail = DB_SUSPENDED_AS_CONFIGURED;
    customer_r->over_plan = DB_OVERPLAN_REFUSE;
    db_suspended_mail_parse(mail, &customer_r->suspended_mail);
    db_overplan_parse(over, &customer_r->over_plan);
}

static enum db_result read_customer(struct db *db, struct sqlite3_stmt *row,
                                    struct db_customer *customer_r)
{
    char language[8];
    enum db_result result = statement_row(db, row);
    if (result != DB_OK) {
        return result;
    }
    customer_r->id = statement_number(row, 0);
    statement_text(row, 1, customer_r->name, sizeof(customer_r->name));
    statement_text(row, 2, customer_r->plan, sizeof(customer_r->plan));
    customer_r->suspended = statement_bool(row, 3);
    customer_r->created = statement_number(row, 4);
    customer_r->domains = statement_count(row, 5);
    customer_r->addresses = statement_count(row, 6);
    statement_text(row, 7, language, sizeof(language));
    read_rules(row, customer_r);
    statement_reset(row);
    if (language_parse(language, &customer_r->language) < 0) {
        log_error("accounts: a customer has the language \"%s\", which this program does not know",
                  language);
        return DB_BROKEN;
    }
    return DB_OK;
}

enum db_result db_customer_find(struct db *db, const char *name, struct db_customer *customer_r)
{
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_CUSTOMER_FIND);
    statement_bind_text(find, 1, name);
    return read_customer(db, find, customer_r);
}

enum db_result db_customer_get(struct db *db, uint64_t customer, struct db_customer *customer_r)
{
    struct sqlite3_stmt *get = statement_get(db, STATEMENT_CUSTOMER_GET);
    statement_bind_number(get, 1, customer);
    return read_customer(db, get, customer_r);
}

enum db_result db_customer_next(struct db *db, struct db_customer *customer)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_CUSTOMER_NEXT);
    statement_bind_text(next, 1, customer->name);
    return read_customer(db, next, customer);
}

/* The name as it is now, for the audit. */
static enum db_result begin_with_name(struct db *db, uint64_t customer, struct db_customer *now_r)
{
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = db_customer_get(db, customer, now_r);
    return result == DB_OK ? DB_OK : change_end(db, result, "", 0, "");
}

enum db_result db_customer_set_plan(struct db *db, uint64_t customer, const char *plan,
                                    enum db_overplan over)
{
    struct db_customer now;
    enum db_result result = begin_with_name(db, customer, &now);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *set = statement_get(db, STATEMENT_CUSTOMER_SET_PLAN);
    statement_bind_number(set, 1, customer);
    statement_bind_text(set, 2, plan);
    statement_bind_text(set, 3, db_overplan_name(over));
    result = statement_change(db, set);
    if (result == DB_LIMIT) {
        result = limit_note(db, customer, plan);
    }
    if (result == DB_OK) {
        result = overplan_fit(db, customer);
    }
    return change_end(db, result, "customer.plan", customer, now.name);
}

/* Sets one member, as one change under the customer's present name. */
static enum db_result set_text(struct db *db, uint64_t customer, enum statement_id number,
                               const char *value, const char *action)
{
    struct db_customer now;
    enum db_result result = begin_with_name(db, customer, &now);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *set = statement_get(db, number);
    statement_bind_number(set, 1, customer);
    statement_bind_text(set, 2, value);
    result = statement_change(db, set);
    return change_end(db, result, action, customer, now.name);
}

enum db_result db_customer_set_name(struct db *db, uint64_t customer, const char *name)
{
    if (!is_sound(name)) {
        return DB_BROKEN;
    }
    return set_text(db, customer, STATEMENT_CUSTOMER_SET_NAME, name, "customer.name");
}

enum db_result db_customer_set_language(struct db *db, uint64_t customer, enum language language)
{
    return set_text(db, customer, STATEMENT_CUSTOMER_SET_LANGUAGE, language_code(language),
                    "customer.language");
}

enum db_result db_customer_set_suspended(struct db *db, uint64_t customer, bool suspended,
                                         enum db_suspended_mail mail)
{
    struct db_customer now;
    enum db_result result = begin_with_name(db, customer, &now);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *set = statement_get(db, STATEMENT_CUSTOMER_SET_SUSPENDED);
    statement_bind_number(set, 1, customer);
    statement_bind_number(set, 2, suspended);
    statement_bind_text(set, 3, db_suspended_mail_name(mail));
    result = statement_change(db, set);
    if (result == DB_OK) {
        result =
            event_note(db, suspended ? DB_EVENT_SUSPENDED : DB_EVENT_RESUMED, customer, 0, "", "");
    }
    return change_end(db, result, suspended ? "customer.suspend" : "customer.resume", customer,
                      now.name);
}

enum db_result db_customer_remove(struct db *db, uint64_t customer, uint64_t keep)
{
    struct db_customer now;
    enum db_result result = db_customer_get(db, customer, &now);
    if (result != DB_OK) {
        return result;
    }
    return removal_make(db, customer, DB_REMOVAL_CUSTOMER, now.name, NULL, keep);
}
