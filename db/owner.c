#include "db/owner.h"

#include <stdio.h>

#include "db/handle.h"
#include "lib/log.h"

enum db_result db_owner_find(struct db *db, uint64_t mailbox, struct db_owner *owner_r)
{
    struct address *address = &owner_r->address;
    char language[8];
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_OWNER_FIND);
    statement_bind_number(find, 1, mailbox);
    enum db_result result = statement_row(db, find);
    if (result != DB_OK) {
        return result;
    }
    statement_text(find, 0, address->local, sizeof(address->local));
    statement_text(find, 1, address->domain, sizeof(address->domain));
    statement_text(find, 2, language, sizeof(language));
    statement_reset(find);
    snprintf(address->text, sizeof(address->text), "%s@%s", address->local, address->domain);
    if (language_parse(language, &owner_r->language) < 0) {
        log_error("accounts: a customer has the language \"%s\", which this program does not know",
                  language);
        return DB_BROKEN;
    }
    return DB_OK;
}
