#ifndef DB_IDEMPOTENCY_H
#define DB_IDEMPOTENCY_H

#include <stddef.h>
#include <stdint.h>

#include "db/db.h"

/*
 * Answers to requests that a client named with a key of its own, so that one that comes twice, also
 * after a crash, gets the first one's answer and changes nothing again. Each is written in the
 * transaction of the change it answers. No audit: they are gone in a day.
 */

#define DB_IDEMPOTENCY_KEY_MAX 255
#define DB_IDEMPOTENCY_TIME    86400 /* seconds for which an answer is kept */

struct db_idempotency {
    uint64_t api_key; /* whose request it is */
    const char *key;
    uint8_t request[32]; /* a digest of all that the request asks for */
    void *answer;        /* as it was written: to db_idempotency_find() the caller's, to free() */
    size_t length;
};

/*
 * Finds what was answered under this API key and key less than a day before `now`, in seconds since
 * 1970: DB_OK, DB_NONE.
 */
enum db_result db_idempotency_find(struct db *db, struct db_idempotency *idempotency, uint64_t now);

/* Keeps an answer, and forgets some that are older than a day: more than come in. */
enum db_result db_idempotency_add(struct db *db, const struct db_idempotency *idempotency,
                                  uint64_t now);

#endif
