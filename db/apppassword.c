#include "db/apppassword.h"

#include <sodium.h>

#include "db/handle.h"
#include "db/secret.h"
#include "lib/log.h"

int db_app_password_name_check(const char *name, const char **error_r)
{
    if (name_is_clean(name, 1, DB_APP_PASSWORD_NAME_MAX)) {
        return 0;
    }
    *error_r = "the name of an app password is 1 to 100 octets of UTF-8 in one line, without "
               "spaces around it";
    return -1;
}

static enum db_result add(struct db *db, uint64_t customer, const struct address *address,
                          const struct db_app_password *password, const uint8_t *digest)
{
    uint64_t mailbox;
    enum db_result result = mailbox_find(db, customer, address, &mailbox);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *add = statement_get(db, STATEMENT_APP_PASSWORD_ADD);
    statement_bind_number(add, 1, customer);
    statement_bind_number(add, 2, mailbox);
    statement_bind_text(add, 3, password->name);
    statement_bind_blob(add, 4, digest, APPPASSWORD_DIGEST_SIZE);
    statement_bind_number(add, 5, password->pop3);
    statement_bind_number(add, 6, password->smtp);
    statement_bind_number(add, 7, password->expires);
    result = statement_change(db, add);
    return result == DB_OK ? event_note(db, DB_EVENT_APP_PASSWORD, customer, mailbox, address->text,
                                        password->name)
                           : result;
}

enum db_result db_app_password_add(struct db *db, uint64_t customer, const struct address *address,
                                   const struct db_app_password *password,
                                   const uint8_t digest[APPPASSWORD_DIGEST_SIZE])
{
    const char *error;
    if (db_app_password_name_check(password->name, &error) < 0) {
        log_error("accounts: name not checked by the caller: %s", error);
        return DB_BROKEN;
    }
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = add(db, customer, address, password, digest);
    return change_end(db, result, "app_password.add", customer, address->text);
}

enum db_result db_app_password_draw(struct db *db, uint64_t customer, const struct address *address,
                                    const struct db_app_password *password,
                                    char text_r[APPPASSWORD_TEXT_SIZE])
{
    uint8_t octets[APPPASSWORD_OCTETS];
    uint8_t digest[APPPASSWORD_DIGEST_SIZE];
    uint8_t key[DB_SECRET_SIZE];
    uint64_t mailbox;
    _Static_assert(DB_SECRET_SIZE == APPPASSWORD_KEY_SIZE, "a stored secret is a key");
    enum db_result result = mailbox_find(db, customer, address, &mailbox);
    if (result == DB_OK) {
        result = secret_need(db, DB_SECRET_APP_PASSWORD, key);
    }
    if (result != DB_OK) {
        return result;
    }
    apppassword_draw(octets, text_r);
    apppassword_digest(digest, key, mailbox, octets);
    sodium_memzero(octets, sizeof(octets));
    sodium_memzero(key, sizeof(key));
    return db_app_password_add(db, customer, address, password, digest);
}

static enum db_result remove_one(struct db *db, uint64_t customer, const struct address *address,
                                 const char *name)
{
    uint64_t mailbox;
    enum db_result result = mailbox_find(db, customer, address, &mailbox);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *remove = statement_get(db, STATEMENT_APP_PASSWORD_REMOVE);
    statement_bind_number(remove, 1, customer);
    statement_bind_number(remove, 2, mailbox);
    statement_bind_text(remove, 3, name);
    result = statement_change(db, remove);
    return result == DB_OK
               ? event_note(db, DB_EVENT_NO_APP_PASSWORD, customer, mailbox, address->text, name)
               : result;
}

enum db_result db_app_password_remove(struct db *db, uint64_t customer,
                                      const struct address *address, const char *name)
{
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = remove_one(db, customer, address, name);
    return change_end(db, result, "app_password.remove", customer, address->text);
}

static enum db_result read_password(struct db *db, struct sqlite3_stmt *row,
                                    struct db_app_password *password_r)
{
    enum db_result result = statement_row(db, row);
    if (result != DB_OK) {
        return result;
    }
    password_r->id = statement_number(row, 0);
    statement_text(row, 1, password_r->name, sizeof(password_r->name));
    password_r->pop3 = statement_bool(row, 2);
    password_r->smtp = statement_bool(row, 3);
    password_r->expires = statement_number(row, 4);
    password_r->created = statement_number(row, 5);
    password_r->used = statement_number(row, 6);
    statement_text(row, 7, password_r->used_address, sizeof(password_r->used_address));
    statement_reset(row);
    return DB_OK;
}

enum db_result db_app_password_next(struct db *db, uint64_t customer, uint64_t mailbox,
                                    struct db_app_password *password)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_APP_PASSWORD_NEXT);
    statement_bind_number(next, 1, customer);
    statement_bind_number(next, 2, mailbox);
    statement_bind_text(next, 3, password->name);
    return read_password(db, next, password);
}

enum db_result db_app_password_find(struct db *db, uint64_t mailbox,
                                    const uint8_t digest[APPPASSWORD_DIGEST_SIZE],
                                    struct db_app_password *password_r)
{
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_APP_PASSWORD_FIND);
    statement_bind_blob(find, 1, digest, APPPASSWORD_DIGEST_SIZE);
    statement_bind_number(find, 2, mailbox);
    return read_password(db, find, password_r);
}
