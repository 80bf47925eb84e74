#include "db/note.h"

#include "db/handle.h"

static enum db_result set_text(struct db *db, enum statement_id id, uint64_t customer,
                               uint64_t mailbox, const char *hash, const char *text)
{
    struct sqlite3_stmt *set = statement_get(db, id);
    statement_bind_number(set, 1, customer);
    statement_bind_number(set, 2, mailbox);
    statement_bind_text(set, 3, hash);
    statement_bind_text(set, 4, text);
    return statement_change(db, set);
}

enum db_result db_note_upgrade(struct db *db, uint64_t customer, uint64_t mailbox,
                               const char *old_hash, const char *new_hash)
{
    return set_text(db, STATEMENT_NOTE_UPGRADE, customer, mailbox, old_hash, new_hash);
}

enum db_result db_note_scram(struct db *db, uint64_t customer, uint64_t mailbox, const char *hash,
                             const char *keys)
{
    return set_text(db, STATEMENT_NOTE_SCRAM, customer, mailbox, hash, keys);
}

enum db_result db_note_used(struct db *db, uint64_t customer, uint64_t app_password, uint64_t time,
                            const char *remote)
{
    struct sqlite3_stmt *set = statement_get(db, STATEMENT_NOTE_USED);
    statement_bind_number(set, 1, customer);
    statement_bind_number(set, 2, app_password);
    statement_bind_number(set, 3, time);
    statement_bind_text(set, 4, remote);
    return statement_change(db, set);
}
