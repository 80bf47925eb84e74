#include "db/apikey.h"

#include <sodium.h>
#include <sqlite3.h>
#include <string.h>

#include "db/handle.h"
#include "db/secret.h"
#include "lib/log.h"

static const char *const roles[] = {
    [DB_ROLE_OPERATOR] = "operator",
    [DB_ROLE_OPERATOR_READ] = "operator-read",
    [DB_ROLE_ADMIN] = "admin",
    [DB_ROLE_HELPDESK] = "helpdesk",
    [DB_ROLE_CUSTOMER_READ] = "customer-read",
    [DB_ROLE_OWNER] = "owner",
};

const char *db_role_name(enum db_role role)
{
    return roles[role];
}

int db_role_parse(const char *name, enum db_role *role_r)
{
    for (unsigned i = 0; i < DB_ROLE__MAX; i++) {
        if (strcmp(name, roles[i]) == 0) {
            *role_r = (enum db_role)i;
            return 0;
        }
    }
    return -1;
}

bool db_role_is_operator(enum db_role role)
{
    return role == DB_ROLE_OPERATOR || role == DB_ROLE_OPERATOR_READ;
}

int db_api_key_name_check(const char *name, const char **error_r)
{
    if (name_is_clean(name, 1, DB_API_KEY_NAME_MAX)) {
        return 0;
    }
    *error_r =
        "the name of a key is 1 to 100 octets of UTF-8 in one line, without spaces around it";
    return -1;
}

static bool is_sound(const struct db_api_key *key)
{
    const char *error = "role, customer, domain and mailbox do not go together";
    bool together = db_role_is_operator(key->role) == (key->customer == 0) &&
                    (key->role == DB_ROLE_OWNER) == (key->mailbox != 0) &&
                    (key->domain[0] == '\0' || (key->customer != 0 && key->mailbox == 0));
    if (together && db_api_key_name_check(key->name, &error) == 0) {
        return true;
    }
    log_error("accounts: API key not checked by the caller: %s", error);
    return false;
}

static enum db_result add(struct db *db, const struct db_api_key *key, const uint8_t *digest,
                          uint64_t *id_r)
{
    struct sqlite3_stmt *add = statement_get(
        db, key->customer != 0 ? STATEMENT_API_KEY_ADD : STATEMENT_OPERATOR_API_KEY_ADD);
    statement_bind_number(add, 1, key->customer);
    statement_bind_text(add, 2, key->name);
    statement_bind_text(add, 3, db_role_name(key->role));
    statement_bind_blob(add, 4, digest, APIKEY_DIGEST_SIZE);
    statement_bind_text(add, 5, key->networks);
    statement_bind_number(add, 6, key->rate);
    statement_bind_number(add, 7, key->expires);
    if (key->customer != 0) {
        statement_bind_text(add, 8, key->domain);
        statement_bind_number(add, 9, key->mailbox);
    }
    enum db_result result = statement_change(db, add);
    *id_r = (uint64_t)sqlite3_last_insert_rowid(db->sqlite);
    return result;
}

enum db_result db_api_key_add(struct db *db, const struct db_api_key *key,
                              const uint8_t digest[APIKEY_DIGEST_SIZE], uint64_t *id_r)
{
    uint64_t id = 0;
    if (!is_sound(key)) {
        return DB_BROKEN;
    }
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = add(db, key, digest, &id);
    if (id_r != NULL) {
        *id_r = id;
    }
    return change_end(db, result, "api_key.add", key->customer, key->name);
}

enum db_result db_api_key_draw(struct db *db, const struct db_api_key *key,
                               char text_r[APIKEY_TEXT_SIZE], uint64_t *id_r)
{
    uint8_t digest[APIKEY_DIGEST_SIZE];
    uint8_t secret[DB_SECRET_SIZE];
    _Static_assert(DB_SECRET_SIZE == APIKEY_KEY_SIZE, "a stored secret is a key");
    enum db_result result = secret_need(db, DB_SECRET_API_KEY, secret);
    if (result != DB_OK) {
        return result;
    }
    apikey_draw(text_r);
    (void)apikey_digest(digest, secret, text_r, strlen(text_r));
    sodium_memzero(secret, sizeof(secret));
    return db_api_key_add(db, key, digest, id_r);
}

/* Without a customer, the operator's: NULL. */
static void bind_owner(struct sqlite3_stmt *statement, uint64_t customer, uint64_t id)
{
    if (customer != 0) {
        statement_bind_number(statement, 1, customer);
    }
    statement_bind_number(statement, 2, id);
}

enum db_result db_api_key_set(struct db *db, const struct db_api_key *key)
{
    if (!is_sound(key)) {
        return DB_BROKEN;
    }
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *set = statement_get(db, STATEMENT_API_KEY_SET);
    bind_owner(set, key->customer, key->id);
    statement_bind_text(set, 3, key->name);
    statement_bind_text(set, 4, db_role_name(key->role));
    statement_bind_text(set, 5, key->networks);
    statement_bind_number(set, 6, key->rate);
    statement_bind_number(set, 7, key->expires);
    result = statement_change(db, set);
    return change_end(db, result, "api_key.set", key->customer, key->name);
}

static enum db_result read_key(struct db *db, struct sqlite3_stmt *row, struct db_api_key *key_r)
{
    char role[16];
    enum db_result result = statement_row(db, row);
    if (result != DB_OK) {
        return result;
    }
    key_r->id = statement_number(row, 0);
    statement_text(row, 1, key_r->name, sizeof(key_r->name));
    statement_text(row, 2, role, sizeof(role));
    key_r->customer = statement_number(row, 3);
    statement_text(row, 4, key_r->customer_name, sizeof(key_r->customer_name));
    statement_text(row, 5, key_r->domain, sizeof(key_r->domain));
    key_r->mailbox = statement_number(row, 6);
    statement_text(row, 7, key_r->address, sizeof(key_r->address));
    statement_text(row, 8, key_r->networks, sizeof(key_r->networks));
    key_r->rate = statement_count(row, 9);
    key_r->expires = statement_number(row, 10);
    key_r->created = statement_number(row, 11);
    key_r->used = statement_number(row, 12);
    statement_text(row, 13, key_r->used_address, sizeof(key_r->used_address));
    key_r->suspended = statement_bool(row, 14);
    statement_reset(row);
    if (db_role_parse(role, &key_r->role) < 0) {
        log_error("accounts: an API key has the role \"%s\", which this program does not know",
                  role);
        return DB_BROKEN;
    }
    return DB_OK;
}

enum db_result db_api_key_find(struct db *db, const uint8_t digest[APIKEY_DIGEST_SIZE],
                               struct db_api_key *key_r)
{
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_API_KEY_FIND);
    statement_bind_blob(find, 1, digest, APIKEY_DIGEST_SIZE);
    return read_key(db, find, key_r);
}

enum db_result db_api_key_get(struct db *db, uint64_t customer, uint64_t id,
                              struct db_api_key *key_r)
{
    struct sqlite3_stmt *get = statement_get(db, STATEMENT_API_KEY_GET);
    bind_owner(get, customer, id);
    return read_key(db, get, key_r);
}

enum db_result db_api_key_remove(struct db *db, uint64_t customer, uint64_t id)
{
    struct db_api_key now = {0};
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = db_api_key_get(db, customer, id, &now);
    if (result == DB_OK) {
        struct sqlite3_stmt *remove = statement_get(db, STATEMENT_API_KEY_REMOVE);
        bind_owner(remove, customer, id);
        result = statement_change(db, remove);
    }
    return change_end(db, result, "api_key.remove", customer, now.name);
}

enum db_result db_api_key_next(struct db *db, uint64_t customer, struct db_api_key *key)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_API_KEY_NEXT);
    bind_owner(next, customer, key->id);
    return read_key(db, next, key);
}

enum db_result db_operator_api_key_next(struct db *db, struct db_api_key *key)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_OPERATOR_API_KEY_NEXT);
    statement_bind_number(next, 1, key->id);
    return read_key(db, next, key);
}

enum db_result db_api_key_used(struct db *db, uint64_t customer, uint64_t id, uint64_t time,
                               const char *remote)
{
    struct sqlite3_stmt *used = statement_get(db, STATEMENT_API_KEY_USED);
    bind_owner(used, customer, id);
    statement_bind_number(used, 3, time);
    statement_bind_text(used, 4, remote);
    return statement_change(db, used);
}
