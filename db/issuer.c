#include "db/issuer.h"

#include <string.h>

#include "db/handle.h"

static const char scheme[] = "https://";

static bool is_url(const char *text)
{
    const char *host = text + sizeof(scheme) - 1;
    if (strncmp(text, scheme, sizeof(scheme) - 1) != 0 || *host == '\0' || *host == '/') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text <= ' ' || *text > '~' || strchr("\"\\<>^`{|}?#@", *text) != NULL) {
            return false;
        }
    }
    return true;
}

int db_issuer_check(const struct db_issuer *issuer, const char **error_r)
{
    *error_r = "an issuer is a URL like https://login.example/tenant, without \"?\" and \"#\"";
    if (!is_url(issuer->issuer)) {
        return -1;
    }
    *error_r = "an audience is 1 to 255 octets of text";
    if (!name_is_clean(issuer->audience, 1, DB_ISSUER_AUDIENCE_MAX)) {
        return -1;
    }
    *error_r = "a claim is the name of a member of the tokens, 1 to 64 octets, such as email";
    return name_is_clean(issuer->claim, 1, DB_ISSUER_CLAIM_MAX) ? 0 : -1;
}

enum db_result db_issuer_add(struct db *db, uint64_t customer, const struct db_issuer *issuer)
{
    const char *error;
    if (db_issuer_check(issuer, &error) < 0) {
        return DB_BROKEN;
    }
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *add = statement_get(db, STATEMENT_ISSUER_ADD);
    statement_bind_number(add, 1, customer);
    statement_bind_text(add, 2, issuer->issuer);
    statement_bind_text(add, 3, issuer->audience);
    statement_bind_text(add, 4, issuer->claim);
    result = statement_change(db, add);
    return change_end(db, result, "token_issuer.add", customer, issuer->issuer);
}

enum db_result db_issuer_remove(struct db *db, uint64_t customer, const char *issuer)
{
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *remove = statement_get(db, STATEMENT_ISSUER_REMOVE);
    statement_bind_number(remove, 1, customer);
    statement_bind_text(remove, 2, issuer);
    result = statement_change(db, remove);
    return change_end(db, result, "token_issuer.remove", customer, issuer);
}

static enum db_result read_row(struct db *db, struct sqlite3_stmt *row, struct db_issuer *issuer_r)
{
    enum db_result result = statement_row(db, row);
    if (result != DB_OK) {
        return result;
    }
    issuer_r->id = statement_number(row, 0);
    issuer_r->customer = statement_number(row, 1);
    statement_text(row, 2, issuer_r->issuer, sizeof(issuer_r->issuer));
    statement_text(row, 3, issuer_r->audience, sizeof(issuer_r->audience));
    statement_text(row, 4, issuer_r->claim, sizeof(issuer_r->claim));
    issuer_r->created = statement_number(row, 5);
    issuer_r->fetched = statement_number(row, 6);
    issuer_r->tried = statement_number(row, 7);
    issuer_r->failures = statement_count(row, 8);
    statement_text(row, 9, issuer_r->failure, sizeof(issuer_r->failure));
    issuer_r->due = statement_number(row, 10);
    statement_reset(row);
    return DB_OK;
}

enum db_result db_issuer_next(struct db *db, uint64_t customer, struct db_issuer *issuer)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_ISSUER_NEXT);
    statement_bind_number(next, 1, customer);
    statement_bind_text(next, 2, issuer->issuer);
    return read_row(db, next, issuer);
}

enum db_result db_issuer_find(struct db *db, uint64_t customer, const char *issuer,
                              struct db_issuer *issuer_r)
{
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_ISSUER_FIND);
    statement_bind_number(find, 1, customer);
    statement_bind_text(find, 2, issuer);
    return read_row(db, find, issuer_r);
}

enum db_result db_issuer_keys(struct db *db, uint64_t customer, uint64_t id,
                              char keys_r[DB_ISSUER_KEYS_MAX + 1])
{
    struct sqlite3_stmt *keys = statement_get(db, STATEMENT_ISSUER_KEYS);
    statement_bind_number(keys, 1, customer);
    statement_bind_number(keys, 2, id);
    enum db_result result = statement_row(db, keys);
    if (result == DB_OK) {
        statement_text(keys, 0, keys_r, DB_ISSUER_KEYS_MAX + 1);
        statement_reset(keys);
    }
    return result;
}

enum db_result db_issuer_of_domain(struct db *db, const char *domain,
                                   char issuer_r[DB_ISSUER_MAX + 1])
{
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_ISSUER_OF_DOMAIN);
    statement_bind_text(find, 1, domain);
    enum db_result result = statement_row(db, find);
    if (result == DB_OK) {
        statement_text(find, 0, issuer_r, DB_ISSUER_MAX + 1);
        statement_reset(find);
    }
    return result;
}

enum db_result db_issuer_any(struct db *db, bool *any_r)
{
    struct sqlite3_stmt *any = statement_get(db, STATEMENT_ISSUER_ANY);
    enum db_result result = statement_row(db, any);
    *any_r = result == DB_OK;
    statement_reset(any);
    return result == DB_NONE ? DB_OK : result;
}

enum db_result db_issuer_due(struct db *db, uint64_t now, struct db_issuer *issuer)
{
    struct sqlite3_stmt *due = statement_get(db, STATEMENT_ISSUER_DUE);
    statement_bind_number(due, 1, now);
    statement_bind_number(due, 2, issuer->due);
    statement_bind_number(due, 3, issuer->id);
    return read_row(db, due, issuer);
}

/* What the five below begin with. */
static struct sqlite3_stmt *note(struct db *db, enum statement_id number, uint64_t customer,
                                 uint64_t id)
{
    struct sqlite3_stmt *statement = statement_get(db, number);
    statement_bind_number(statement, 1, customer);
    statement_bind_number(statement, 2, id);
    return statement;
}

enum db_result db_issuer_is_live(struct db *db, uint64_t customer, uint64_t id)
{
    struct sqlite3_stmt *find = note(db, STATEMENT_ISSUER_IS_LIVE, customer, id);
    enum db_result result = statement_row(db, find);
    statement_reset(find);
    return result;
}

enum db_result db_issuer_try(struct db *db, uint64_t customer, uint64_t id, uint64_t now,
                             uint64_t due)
{
    struct sqlite3_stmt *set = note(db, STATEMENT_ISSUER_TRY, customer, id);
    statement_bind_number(set, 3, now);
    statement_bind_number(set, 4, due);
    return statement_change(db, set);
}

enum db_result db_issuer_fetched(struct db *db, uint64_t customer, uint64_t id, const char *keys,
                                 uint64_t now, uint64_t due)
{
    struct sqlite3_stmt *set = note(db, STATEMENT_ISSUER_FETCHED, customer, id);
    statement_bind_text(set, 3, keys);
    statement_bind_number(set, 4, now);
    statement_bind_number(set, 5, due);
    return statement_change(db, set);
}

enum db_result db_issuer_failed(struct db *db, uint64_t customer, uint64_t id, const char *failure,
                                uint64_t due)
{
    struct sqlite3_stmt *set = note(db, STATEMENT_ISSUER_FAILED, customer, id);
    statement_bind_text(set, 3, failure);
    statement_bind_number(set, 4, due);
    return statement_change(db, set);
}

enum db_result db_issuer_wanted(struct db *db, uint64_t customer, uint64_t id, uint64_t now,
                                uint64_t before)
{
    struct sqlite3_stmt *set = note(db, STATEMENT_ISSUER_WANTED, customer, id);
    statement_bind_number(set, 3, now);
    statement_bind_number(set, 4, before);
    return statement_change(db, set);
}
