#include "db/pagesession.h"

#include "db/handle.h"

static enum db_result make_room(struct db *db, const struct db_person *person)
{
    struct sqlite3_stmt *end = statement_get(db, STATEMENT_PAGE_SESSION_MAKE_ROOM);
    person_bind(end, person);
    statement_bind_number(end, 4, DB_PAGE_SESSIONS_MAX - 1);
    enum db_result result = statement_change(db, end);
    return result == DB_NONE ? DB_OK : result;
}

enum db_result db_page_session_add(struct db *db, const struct db_page_session *session)
{
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *add = statement_get(db, STATEMENT_PAGE_SESSION_ADD);
    person_bind(add, &session->person);
    statement_bind_blob(add, 4, session->digest, sizeof(session->digest));
    statement_bind_number(add, 5, session->created);
    statement_bind_number(add, 6, session->expires);
    statement_bind_text(add, 7, session->remote);
    statement_bind_text(add, 8, session->agent);
    result = statement_change(db, add);
    if (result == DB_OK) {
        result = make_room(db, &session->person);
    }
    return person_change_end(db, result, "session.begin", &session->person);
}

static enum db_result read_session(struct db *db, struct sqlite3_stmt *row,
                                   struct db_page_session *session_r)
{
    enum db_result result = statement_row(db, row);
    if (result != DB_OK) {
        return result;
    }
    statement_blob(row, 0, session_r->digest, sizeof(session_r->digest));
    session_r->person.customer = statement_number(row, 1);
    session_r->person.admin_user = statement_number(row, 2);
    session_r->person.mailbox = statement_number(row, 3);
    session_r->created = statement_number(row, 4);
    session_r->seen = statement_number(row, 5);
    session_r->expires = statement_number(row, 6);
    statement_text(row, 7, session_r->remote, sizeof(session_r->remote));
    statement_text(row, 8, session_r->agent, sizeof(session_r->agent));
    statement_reset(row);
    return DB_OK;
}

enum db_result db_page_session_find(struct db *db, const uint8_t digest[DB_DIGEST_SIZE],
                                    uint64_t now, struct db_page_session *session_r)
{
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_PAGE_SESSION_FIND);
    statement_bind_blob(find, 1, digest, DB_DIGEST_SIZE);
    statement_bind_number(find, 2, now);
    return read_session(db, find, session_r);
}

enum db_result db_page_session_seen(struct db *db, const uint8_t digest[DB_DIGEST_SIZE],
                                    uint64_t now, uint64_t expires)
{
    struct sqlite3_stmt *seen = statement_get(db, STATEMENT_PAGE_SESSION_SEEN);
    statement_bind_blob(seen, 1, digest, DB_DIGEST_SIZE);
    statement_bind_number(seen, 2, now);
    statement_bind_number(seen, 3, expires);
    return statement_change(db, seen);
}

enum db_result db_page_session_next(struct db *db, const struct db_person *person, uint64_t now,
                                    struct db_page_session *session)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_PAGE_SESSION_NEXT);
    person_bind(next, person);
    statement_bind_number(next, 4, now);
    statement_bind_number(next, 5, session->created);
    statement_bind_blob(next, 6, session->digest, sizeof(session->digest));
    return read_session(db, next, session);
}

enum db_result db_page_session_end(struct db *db, const struct db_person *person,
                                   const uint8_t digest[DB_DIGEST_SIZE])
{
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *end = statement_get(db, STATEMENT_PAGE_SESSION_END);
    person_bind(end, person);
    statement_bind_blob(end, 4, digest, DB_DIGEST_SIZE);
    return person_change_end(db, statement_change(db, end), "session.end", person);
}

enum db_result db_page_sessions_end(struct db *db, const struct db_person *person,
                                    const uint8_t *but)
{
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *end = statement_get(db, STATEMENT_PAGE_SESSIONS_END);
    person_bind(end, person);
    if (but != NULL) {
        statement_bind_blob(end, 4, but, DB_DIGEST_SIZE);
    }
    return person_change_end(db, statement_change(db, end), "session.end-all", person);
}

enum db_result db_page_session_prune(struct db *db, uint64_t now)
{
    struct sqlite3_stmt *prune = statement_get(db, STATEMENT_PAGE_SESSION_PRUNE);
    statement_bind_number(prune, 1, now);
    enum db_result result = statement_change(db, prune);
    return result == DB_NONE ? DB_OK : result;
}
