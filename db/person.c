#include "db/person.h"

#include "db/handle.h"
#include "lib/authmsg.h"
#include "lib/log.h"

void person_bind(struct sqlite3_stmt *statement, const struct db_person *person)
{
    const uint64_t ids[] = {person->customer, person->admin_user, person->mailbox};
    for (int i = 0; i < 3; i++) {
        if (ids[i] != 0) {
            statement_bind_number(statement, i + 1, ids[i]);
        }
    }
}

enum db_result db_person_find(struct db *db, const struct db_person *person,
                              struct db_person_found *found_r)
{
    char role[16];
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_PERSON_FIND);
    person_bind(find, person);
    enum db_result result = statement_row(db, find);
    if (result != DB_OK) {
        return result;
    }
    statement_text(find, 0, role, sizeof(role));
    statement_text(find, 1, found_r->login, sizeof(found_r->login));
    statement_text(find, 2, found_r->name, sizeof(found_r->name));
    statement_text(find, 3, found_r->customer_name, sizeof(found_r->customer_name));
    found_r->suspended = statement_bool(find, 4);
    found_r->second_factor = statement_bool(find, 5);
    statement_reset(find);
    if (db_role_parse(role, &found_r->role) < 0) {
        log_error("accounts: somebody has the role \"%s\", which this program does not know", role);
        return DB_BROKEN;
    }
    return DB_OK;
}

enum db_result db_person_delayed(struct db *db, uint64_t customer, uint64_t who,
                                 struct db_person_found *found_r)
{
    struct db_person person = {.customer = customer};
    if ((who & AUTH_ADMIN_USER) != 0) {
        person.admin_user = who & ~AUTH_ADMIN_USER;
    } else {
        person.mailbox = who;
    }
    return who != 0 ? db_person_find(db, &person, found_r) : DB_NONE;
}

enum db_result db_person_hash(struct db *db, const struct db_person *person,
                              char hash_r[DB_HASH_SIZE])
{
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_PERSON_HASH);
    person_bind(find, person);
    enum db_result result = statement_row(db, find);
    if (result == DB_OK) {
        statement_text(find, 0, hash_r, DB_HASH_SIZE);
        statement_reset(find);
    }
    return result;
}

enum db_result person_change_end(struct db *db, enum db_result result, const char *action,
                                 const struct db_person *person)
{
    char name[DB_AUDIT_OBJECT_MAX + 1] = "";
    if (result == DB_OK) {
        struct sqlite3_stmt *find = statement_get(db, STATEMENT_PERSON_NAME);
        person_bind(find, person);
        result = statement_row(db, find);
        if (result == DB_OK) {
            statement_text(find, 0, name, sizeof(name));
            statement_reset(find);
        }
    }
    return change_end(db, result, action, person->customer, name);
}
