#include "db/secondfactor.h"

#include <sodium.h>

#include "db/handle.h"
#include "db/pagesession.h"

static enum db_result change(struct db *db, enum statement_id id, const struct db_person *person)
{
    struct sqlite3_stmt *statement = statement_get(db, id);
    person_bind(statement, person);
    return statement_change(db, statement);
}

static enum db_result change_digest(struct db *db, enum statement_id id,
                                    const struct db_person *person,
                                    const uint8_t digest[DB_DIGEST_SIZE])
{
    struct sqlite3_stmt *statement = statement_get(db, id);
    person_bind(statement, person);
    statement_bind_blob(statement, 4, digest, DB_DIGEST_SIZE);
    return statement_change(db, statement);
}

/* Makes place for a new one. */
static enum db_result forget_unconfirmed(struct db *db, const struct db_person *person)
{
    struct db_second_factor factor;
    enum db_result result = db_second_factor_find(db, person, &factor);
    sodium_memzero(factor.secret, sizeof(factor.secret));
    if (result == DB_OK && factor.confirmed != 0) {
        return DB_TAKEN;
    }
    if (result == DB_OK) {
        result = change(db, STATEMENT_SECOND_FACTOR_REMOVE, person);
    }
    return result == DB_NONE ? DB_OK : result;
}

enum db_result db_second_factor_begin(struct db *db, const struct db_person *person,
                                      const uint8_t secret[DB_SECOND_FACTOR_SECRET_SIZE])
{
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = forget_unconfirmed(db, person);
    if (result == DB_OK) {
        struct sqlite3_stmt *begin = statement_get(db, STATEMENT_SECOND_FACTOR_BEGIN);
        person_bind(begin, person);
        statement_bind_blob(begin, 4, secret, DB_SECOND_FACTOR_SECRET_SIZE);
        result = statement_change(db, begin);
    }
    return person_change_end(db, result, "second-factor.begin", person);
}

enum db_result db_second_factor_find(struct db *db, const struct db_person *person,
                                     struct db_second_factor *factor_r)
{
    *factor_r = (struct db_second_factor){0};
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_SECOND_FACTOR_FIND);
    person_bind(find, person);
    enum db_result result = statement_row(db, find);
    if (result != DB_OK) {
        return result;
    }
    statement_blob(find, 0, factor_r->secret, sizeof(factor_r->secret));
    factor_r->confirmed = statement_number(find, 1);
    factor_r->step = statement_number(find, 2);
    factor_r->wrong = statement_count(find, 3);
    factor_r->blocked = statement_number(find, 4);
    factor_r->recovery_codes = statement_count(find, 5);
    statement_reset(find);
    return DB_OK;
}

enum db_result db_second_factor_confirm(struct db *db, const struct db_person *person, uint64_t now)
{
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *confirm = statement_get(db, STATEMENT_SECOND_FACTOR_CONFIRM);
    person_bind(confirm, person);
    statement_bind_number(confirm, 4, now);
    return person_change_end(db, statement_change(db, confirm), "second-factor.confirm", person);
}

enum db_result db_second_factor_take(struct db *db, const struct db_person *person, uint64_t step)
{
    struct sqlite3_stmt *take = statement_get(db, STATEMENT_SECOND_FACTOR_TAKE);
    person_bind(take, person);
    statement_bind_number(take, 4, step);
    return statement_change(db, take);
}

enum db_result db_second_factor_wrong(struct db *db, const struct db_person *person, unsigned wrong,
                                      uint64_t blocked)
{
    struct sqlite3_stmt *note = statement_get(db, STATEMENT_SECOND_FACTOR_WRONG);
    person_bind(note, person);
    statement_bind_number(note, 4, wrong);
    statement_bind_number(note, 5, blocked);
    return statement_change(db, note);
}

enum db_result db_second_factor_recovery_codes(struct db *db, const struct db_person *person,
                                               const uint8_t (*digests)[DB_DIGEST_SIZE],
                                               unsigned count)
{
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = change(db, STATEMENT_RECOVERY_CODES_REMOVE, person);
    if (result == DB_NONE) {
        result = DB_OK;
    }
    for (unsigned i = 0; i < count && result == DB_OK; i++) {
        result = change_digest(db, STATEMENT_RECOVERY_CODE_ADD, person, digests[i]);
    }
    return person_change_end(db, result, "second-factor.recovery-codes", person);
}

enum db_result db_second_factor_recover(struct db *db, const struct db_person *person,
                                        const uint8_t digest[DB_DIGEST_SIZE])
{
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = change_digest(db, STATEMENT_RECOVERY_CODE_TAKE, person, digest);
    return person_change_end(db, result, "second-factor.recover", person);
}

enum db_result db_second_factor_remove(struct db *db, const struct db_person *person)
{
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    return person_change_end(db, change(db, STATEMENT_SECOND_FACTOR_REMOVE, person),
                             "second-factor.remove", person);
}

enum db_result db_second_factor_take_away(struct db *db, const struct db_person *person)
{
    enum db_result result = db_second_factor_remove(db, person);
    if (result == DB_OK) {
        result = db_page_sessions_end(db, person, NULL);
    }
    return result == DB_NONE ? DB_OK : result;
}
