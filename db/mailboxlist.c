#include "db/mailboxlist.h"

#include "db/handle.h"

enum db_result db_mailbox_list(struct db *db, uint64_t customer, uint64_t after,
                               uint64_t *mailboxes_r, size_t most, size_t *count_r)
{
    size_t count = 0;
    struct sqlite3_stmt *list =
        statement_get(db, customer == 0 ? STATEMENT_OPERATOR_MAILBOX_LIST : STATEMENT_MAILBOX_LIST);
    statement_bind_number(list, 1, customer);
    statement_bind_number(list, 2, after);
    statement_bind_number(list, 3, most);
    enum db_result result = statement_row(db, list);
    while (result == DB_OK) {
        mailboxes_r[count++] = statement_number(list, 0);
        result = statement_row(db, list);
    }
    *count_r = count;
    return result == DB_NONE && count > 0 ? DB_OK : result;
}
