#include "db/idempotency.h"

#include <sqlite3.h>
#include <string.h>

#include "db/handle.h"
#include "lib/xalloc.h"

static struct sqlite3_stmt *start(struct db *db, enum statement_id id,
                                  const struct db_idempotency *idempotency)
{
    struct sqlite3_stmt *statement = statement_get(db, id);
    statement_bind_number(statement, 1, idempotency->api_key);
    statement_bind_text(statement, 2, idempotency->key);
    return statement;
}

enum db_result db_idempotency_find(struct db *db, struct db_idempotency *idempotency, uint64_t now)
{
    struct sqlite3_stmt *find = start(db, STATEMENT_IDEMPOTENCY_FIND, idempotency);
    statement_bind_number(find, 3, now - DB_IDEMPOTENCY_TIME);
    enum db_result result = statement_row(db, find);
    if (result != DB_OK) {
        return result;
    }
    statement_blob(find, 0, idempotency->request, sizeof(idempotency->request));
    const void *answer = sqlite3_column_blob(find, 1);
    idempotency->length = (size_t)sqlite3_column_bytes(find, 1);
    idempotency->answer = xmalloc(idempotency->length + 1);
    if (answer != NULL) {
        memcpy(idempotency->answer, answer, idempotency->length);
    }
    statement_reset(find);
    return DB_OK;
}

static enum db_result prune(struct db *db, uint64_t now)
{
    struct sqlite3_stmt *prune = statement_get(db, STATEMENT_IDEMPOTENCY_PRUNE);
    statement_bind_number(prune, 1, now - DB_IDEMPOTENCY_TIME);
    enum db_result result = statement_change(db, prune);
    return result == DB_NONE ? DB_OK : result;
}

enum db_result db_idempotency_add(struct db *db, const struct db_idempotency *idempotency,
                                  uint64_t now)
{
    struct sqlite3_stmt *remove = start(db, STATEMENT_IDEMPOTENCY_REMOVE, idempotency);
    enum db_result result = statement_change(db, remove);
    if (result == DB_OK || result == DB_NONE) {
        result = prune(db, now);
    }
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *add = start(db, STATEMENT_IDEMPOTENCY_ADD, idempotency);
    statement_bind_blob(add, 3, idempotency->request, sizeof(idempotency->request));
    statement_bind_blob(add, 4, idempotency->answer, idempotency->length);
    statement_bind_number(add, 5, now);
    return statement_change(db, add);
}
