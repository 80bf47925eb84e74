#include "db/login.h"

#include "db/handle.h"

enum db_result db_login_find(struct db *db, const struct address *address, struct db_login *login_r)
{
    char language[8];
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_LOGIN_FIND);
    statement_bind_text(find, 1, address->domain);
    statement_bind_text(find, 2, address->local);
    enum db_result result = statement_row(db, find);
    if (result != DB_OK) {
        return result;
    }
    login_r->mailbox = statement_number(find, 0);
    login_r->customer = statement_number(find, 1);
    login_r->suspended = statement_bool(find, 2);
    statement_text(find, 3, login_r->hash, sizeof(login_r->hash));
    login_r->retention_days = statement_count(find, 4);
    login_r->poll_seconds = statement_count(find, 5);
    statement_text(find, 6, language, sizeof(language));
    statement_text(find, 7, login_r->scram, sizeof(login_r->scram));
    login_r->sending = statement_bool(find, 8);
    login_r->logout = statement_number(find, 9);
    login_r->fetching = statement_bool(find, 10);
    /* The table's CHECK allows no other word; it is no reason to refuse a login. */
    login_r->language = LANGUAGE_EN;
    language_parse(language, &login_r->language);
    statement_reset(find);
    return DB_OK;
}

enum db_result db_login_find_admin(struct db *db, const char *login, struct db_login *login_r)
{
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_ADMIN_LOGIN_FIND);
    statement_bind_text(find, 1, login);
    enum db_result result = statement_row(db, find);
    if (result != DB_OK) {
        return result;
    }
    login_r->admin_user = statement_number(find, 0);
    login_r->customer = statement_number(find, 1);
    login_r->suspended = statement_bool(find, 2);
    statement_text(find, 3, login_r->hash, sizeof(login_r->hash));
    statement_reset(find);
    return DB_OK;
}
