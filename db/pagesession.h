#ifndef DB_PAGESESSION_H
#define DB_PAGESESSION_H

#include <stdint.h>

#include "db/db.h"
#include "db/mailaddress.h"
#include "db/person.h"

/*
 * Sessions of the pages. Each has a cookie, of which only a digest is kept; the digest also names
 * the session in the list that its owner ends it from, for it opens nothing. Times are seconds
 * since 1970.
 */

#define DB_PAGE_SESSION_REMOTE_MAX 63
#define DB_PAGE_SESSION_AGENT_MAX  255
#define DB_PAGE_SESSIONS_MAX       32

struct db_page_session {
    uint8_t digest[DB_DIGEST_SIZE];
    struct db_person person;
    uint64_t created;
    uint64_t seen;
    uint64_t expires;
    char remote[DB_PAGE_SESSION_REMOTE_MAX + 1]; /* address of the client that began it */
    char agent[DB_PAGE_SESSION_AGENT_MAX + 1];   /* what it calls itself, as it said */
};

/*
 * Begins one; `seen` is `created`. Of a person's sessions the newest DB_PAGE_SESSIONS_MAX stay.
 * DB_NONE: no such person.
 */
enum db_result db_page_session_add(struct db *db, const struct db_page_session *session);

/* The session of a cookie, whose ever it is. DB_NONE: there is none, or it has expired. */
enum db_result db_page_session_find(struct db *db, const uint8_t digest[DB_DIGEST_SIZE],
                                    uint64_t now, struct db_page_session *session_r);

/* Notes that a cookie has been shown, and until when its session lives now. */
enum db_result db_page_session_seen(struct db *db, const uint8_t digest[DB_DIGEST_SIZE],
                                    uint64_t now, uint64_t expires);

/*
 * A person's sessions, the newest first: the next one after *session, which it replaces (begin with
 * one that has only `created`, as INT64_MAX). DB_NONE after the last.
 */
enum db_result db_page_session_next(struct db *db, const struct db_person *person, uint64_t now,
                                    struct db_page_session *session);

/* DB_NONE: the person has no such session. */
enum db_result db_page_session_end(struct db *db, const struct db_person *person,
                                   const uint8_t digest[DB_DIGEST_SIZE]);

/* Ends all of a person's but one, or all: `but` is NULL then. After a new password or second
 * factor. */
enum db_result db_page_sessions_end(struct db *db, const struct db_person *person,
                                    const uint8_t *but);

/* Removes what has expired. */
enum db_result db_page_session_prune(struct db *db, uint64_t now);

#endif
