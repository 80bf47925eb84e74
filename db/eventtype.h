#ifndef DB_EVENTTYPE_H
#define DB_EVENTTYPE_H

#include <stdbool.h>

/*
 * The types of events that webhooks are told of: the actions of the audit, and what db/outbox.h
 * writes besides. What a webhook asks for is one of these, "address.*" for all that begin with
 * "address.", or "*" for everything; the table has these patterns too.
 */

/* NULL at the end. */
extern const char *const db_eventtypes[];

/* Room for a sentence with the types of one kind, or with all kinds. */
#define DB_EVENTTYPE_ERROR_SIZE 600

/*
 * Whether `types`, with commas between them, are all in the table and at least one. Returns 0, or
 * -1 with one sentence that says what there is in place of the first that is not.
 */
int db_eventtype_check(const char *types, char error_r[DB_EVENTTYPE_ERROR_SIZE]);

/* Whether `type` is one of `types`, or one of their patterns stands for it. */
bool db_eventtype_wants(const char *types, const char *type);

#endif
