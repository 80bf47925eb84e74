#include "db/secret.h"

#include <string.h>

#include "db/handle.h"
#include "lib/log.h"

enum db_result db_secret_find(struct db *db, const char *name, uint8_t octets_r[DB_SECRET_SIZE])
{
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_SECRET_FIND);
    statement_bind_text(find, 1, name);
    enum db_result result = statement_row(db, find);
    if (result == DB_OK) {
        statement_blob(find, 0, octets_r, DB_SECRET_SIZE);
        statement_reset(find);
    }
    return result;
}

enum db_result secret_need(struct db *db, const char *name, uint8_t *octets_r)
{
    enum db_result result = db_secret_find(db, name, octets_r);
    if (result == DB_NONE) {
        log_error("accounts: the secret \"%s\" has been lost; restore it from a backup", name);
    }
    return result == DB_NONE ? DB_BROKEN : result;
}
