#include "db/person.h"

#include "db/handle.h"

void person_bind(struct sqlite3_stmt *statement, const struct db_person *person)
{
    const uint64_t ids[] = {person->customer, person->admin_user, person->mailbox};
    for (int i = 0; i < 3; i++) {
        if (ids[i] != 0) {
            statement_bind_number(statement, i + 1, ids[i]);
        }
    }
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
