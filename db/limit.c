#include "db/limit.h"

#include "db/handle.h"

void db_limit_get(const struct db *db, struct db_limit *limit_r)
{
    *limit_r = db->limit;
}

enum db_result limit_note(struct db *db, uint64_t customer, const char *plan)
{
    struct db_limit *limit = &db->limit;
    struct sqlite3_stmt *use = statement_get(db, STATEMENT_CUSTOMER_USE);
    statement_bind_number(use, 1, customer);
    statement_bind_text(use, 2, plan);
    enum db_result result = statement_row(db, use);
    if (result != DB_OK) {
        return result;
    }
    int kind = limit->kind == DB_LIMIT_DOMAINS ? 1 : 0;
    statement_text(use, 0, limit->customer, sizeof(limit->customer));
    statement_text(use, 1, limit->plan, sizeof(limit->plan));
    limit->allowed = statement_count(use, 2 + kind);
    limit->used = statement_count(use, 4 + kind);
    statement_reset(use);
    return DB_LIMIT;
}
