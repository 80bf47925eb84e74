#include "db/limit.h"

#include <string.h>

#include "db/handle.h"

static const char *const kinds[DB_LIMIT__MAX] = {
    [DB_LIMIT_ADDRESSES] = "addresses",
    [DB_LIMIT_DOMAINS] = "domains",
    [DB_LIMIT_MAILBOX_OCTETS] = "mailbox-bytes",
    [DB_LIMIT_TRUSTED_NETWORKS] = "trusted-networks",
    [DB_LIMIT_APP_PASSWORDS] = "app-passwords",
    [DB_LIMIT_WEBHOOKS] = "webhooks",
    [DB_LIMIT_API_KEYS] = "api-keys",
    [DB_LIMIT_TOKEN_ISSUERS] = "token-issuers",
    [DB_LIMIT_JOBS] = "jobs",
    [DB_LIMIT_ADMIN_USERS] = "admin-users",
};

const char *db_limit_kind_name(enum db_limit_kind kind)
{
    return kinds[kind];
}

int db_limit_kind_parse(const char *name, enum db_limit_kind *kind_r)
{
    for (unsigned i = 0; i < DB_LIMIT__MAX; i++) {
        if (strcmp(name, kinds[i]) == 0) {
            *kind_r = (enum db_limit_kind)i;
            return 0;
        }
    }
    return -1;
}

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
