#include "db/credential.h"

#include "db/handle.h"

enum db_result db_credential_next(struct db *db, uint64_t customer,
                                  struct db_credential *credential)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_CREDENTIAL_NEXT);
    statement_bind_number(next, 1, customer);
    statement_bind_number(next, 2, credential->mailbox);
    enum db_result result = statement_row(db, next);
    if (result != DB_OK) {
        return result;
    }
    credential->mailbox = statement_number(next, 0);
    statement_text(next, 1, credential->address, sizeof(credential->address));
    statement_text(next, 2, credential->hash, sizeof(credential->hash));
    credential->changed = statement_number(next, 3);
    statement_reset(next);
    return DB_OK;
}
