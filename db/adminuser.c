#include "db/adminuser.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "db/handle.h"
#include "lib/log.h"

bool db_admin_user_role_fits(enum db_role role, uint64_t customer)
{
    return role != DB_ROLE_OWNER && db_role_is_operator(role) == (customer == 0);
}

static bool is_sound(const struct db_admin_user *user)
{
    if (db_admin_user_role_fits(user->role, user->customer) &&
        name_is_clean(user->name, 0, DB_MAILBOX_NAME_MAX)) {
        return true;
    }
    log_error("accounts: an admin user that was not checked by the caller");
    return false;
}

/* Without a customer, the operator's: NULL. */
static void bind_owner(struct sqlite3_stmt *statement, uint64_t customer, uint64_t id)
{
    if (customer != 0) {
        statement_bind_number(statement, 1, customer);
    }
    statement_bind_number(statement, 2, id);
}

static enum db_result invite(struct db *db, uint64_t customer, uint64_t id,
                             const uint8_t digest[DB_DIGEST_SIZE], uint64_t until)
{
    struct sqlite3_stmt *set = statement_get(db, STATEMENT_ADMIN_INVITATION_SET);
    bind_owner(set, customer, id);
    statement_bind_blob(set, 3, digest, DB_DIGEST_SIZE);
    statement_bind_number(set, 4, until);
    return statement_change(db, set);
}

static enum db_result add(struct db *db, struct db_admin_user *user)
{
    struct sqlite3_stmt *add = statement_get(db, STATEMENT_ADMIN_USER_ADD);
    statement_bind_number(add, 1, user->customer);
    statement_bind_text(add, 2, user->login);
    statement_bind_text(add, 3, user->name);
    statement_bind_text(add, 4, db_role_name(user->role));
    enum db_result result = statement_change(db, add);
    user->id = (uint64_t)sqlite3_last_insert_rowid(db->sqlite);
    return result;
}

enum db_result db_admin_user_add(struct db *db, struct db_admin_user *user, const char *name,
                                 const uint8_t digest[DB_DIGEST_SIZE], uint64_t invited_until)
{
    if (!is_sound(user)) {
        return DB_BROKEN;
    }
    if (user->customer != 0) {
        snprintf(user->login, sizeof(user->login), "%.*s@%" PRIu64, ADMINLOGIN_NAME_MAX, name,
                 user->customer);
    } else {
        snprintf(user->login, sizeof(user->login), "%.*s", ADMINLOGIN_NAME_MAX, name);
    }
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = add(db, user);
    if (result == DB_OK) {
        result = invite(db, user->customer, user->id, digest, invited_until);
    }
    return change_end(db, result, "admin-user.add", user->customer, user->login);
}

static enum db_result read_user(struct db *db, struct sqlite3_stmt *row,
                                struct db_admin_user *user_r)
{
    char role[16];
    enum db_result result = statement_row(db, row);
    if (result != DB_OK) {
        return result;
    }
    user_r->id = statement_number(row, 0);
    user_r->customer = statement_number(row, 1);
    statement_text(row, 2, user_r->customer_name, sizeof(user_r->customer_name));
    statement_text(row, 3, user_r->login, sizeof(user_r->login));
    statement_text(row, 4, user_r->name, sizeof(user_r->name));
    statement_text(row, 5, role, sizeof(role));
    user_r->suspended = statement_bool(row, 6);
    user_r->password = statement_bool(row, 7);
    user_r->second_factor = statement_bool(row, 8);
    user_r->invited_until = statement_number(row, 9);
    user_r->created = statement_number(row, 10);
    statement_reset(row);
    if (db_role_parse(role, &user_r->role) < 0) {
        log_error("accounts: an admin user has the role \"%s\", which this program does not know",
                  role);
        return DB_BROKEN;
    }
    return DB_OK;
}

enum db_result db_admin_user_get(struct db *db, uint64_t customer, uint64_t id,
                                 struct db_admin_user *user_r)
{
    struct sqlite3_stmt *get = statement_get(db, STATEMENT_ADMIN_USER_GET);
    bind_owner(get, customer, id);
    return read_user(db, get, user_r);
}

enum db_result db_admin_user_find(struct db *db, const char *login, struct db_admin_user *user_r)
{
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_ADMIN_USER_FIND);
    statement_bind_text(find, 1, login);
    return read_user(db, find, user_r);
}

enum db_result db_admin_user_next(struct db *db, uint64_t customer, struct db_admin_user *user)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_ADMIN_USER_NEXT);
    bind_owner(next, customer, user->id);
    return read_user(db, next, user);
}

enum db_result db_operator_admin_user_next(struct db *db, struct db_admin_user *user)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_OPERATOR_ADMIN_USER_NEXT);
    statement_bind_number(next, 1, user->id);
    return read_user(db, next, user);
}

/* Begins a change of one and tells its login for the audit. */
static enum db_result begin_with_login(struct db *db, uint64_t customer, uint64_t id,
                                       struct db_admin_user *now_r)
{
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = db_admin_user_get(db, customer, id, now_r);
    return result == DB_OK ? DB_OK : change_end(db, result, "", 0, "");
}

enum db_result db_admin_user_set(struct db *db, const struct db_admin_user *user)
{
    struct db_admin_user now = {0};
    if (!is_sound(user)) {
        return DB_BROKEN;
    }
    enum db_result result = begin_with_login(db, user->customer, user->id, &now);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *set = statement_get(db, STATEMENT_ADMIN_USER_SET);
    bind_owner(set, user->customer, user->id);
    statement_bind_text(set, 3, user->name);
    statement_bind_text(set, 4, db_role_name(user->role));
    statement_bind_number(set, 5, user->suspended);
    result = statement_change(db, set);
    if (result == DB_OK && user->suspended != now.suspended) {
        result = event_note(db, user->suspended ? DB_EVENT_SUSPENDED : DB_EVENT_RESUMED,
                            user->customer, 0, now.login, "");
    }
    return change_end(db, result, "admin-user.set", user->customer, now.login);
}

static enum db_result uninvite(struct db *db, uint64_t customer, uint64_t id)
{
    struct sqlite3_stmt *remove = statement_get(db, STATEMENT_ADMIN_INVITATION_REMOVE);
    bind_owner(remove, customer, id);
    enum db_result result = statement_change(db, remove);
    return result == DB_NONE ? DB_OK : result;
}

enum db_result admin_user_set_password(struct db *db, uint64_t customer, uint64_t id,
                                       const char *login, const char *hash)
{
    struct sqlite3_stmt *set = statement_get(db, STATEMENT_ADMIN_USER_SET_HASH);
    bind_owner(set, customer, id);
    statement_bind_text(set, 3, hash);
    enum db_result result = statement_change(db, set);
    if (result == DB_OK) {
        result = uninvite(db, customer, id);
    }
    return result == DB_OK ? event_note(db, DB_EVENT_PASSWORD, customer, 0, login, "password")
                           : result;
}

enum db_result db_admin_user_set_hash(struct db *db, uint64_t customer, uint64_t id,
                                      const char *hash)
{
    struct db_admin_user now = {0};
    enum db_result result = begin_with_login(db, customer, id, &now);
    if (result != DB_OK) {
        return result;
    }
    result = admin_user_set_password(db, customer, id, now.login, hash);
    return change_end(db, result, "admin-user.password", customer, now.login);
}

enum db_result db_admin_user_invite(struct db *db, uint64_t customer, uint64_t id,
                                    const uint8_t digest[DB_DIGEST_SIZE], uint64_t invited_until)
{
    struct db_admin_user now = {0};
    enum db_result result = begin_with_login(db, customer, id, &now);
    if (result != DB_OK) {
        return result;
    }
    result = invite(db, customer, id, digest, invited_until);
    return change_end(db, result, "admin-user.invite", customer, now.login);
}

enum db_result db_admin_user_remove(struct db *db, uint64_t customer, uint64_t id)
{
    struct db_admin_user now = {0};
    enum db_result result = begin_with_login(db, customer, id, &now);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *remove = statement_get(db, STATEMENT_ADMIN_USER_REMOVE);
    bind_owner(remove, customer, id);
    return change_end(db, statement_change(db, remove), "admin-user.remove", customer, now.login);
}
