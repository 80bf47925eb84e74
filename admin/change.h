#ifndef ADMIN_CHANGE_H
#define ADMIN_CHANGE_H

#include "admin/request.h"

struct db_limit;

/* How the change that a request asks for is made, once, and answered when it is durable. */

/* Hashes the password that it brings, if any, has the writer apply it, and sends the answer. */
void change_begin_request(struct request *request);

/*
 * Has the writer run this, and then the loop `done`, with the request. Returns 0, or -1 when too
 * many changes wait: the answer says so, and is the caller's to send.
 */
int change_submit(struct request *request,
                  enum db_result (*run)(struct writing *writing, struct db *db),
                  void (*done)(struct writing *writing));

/* What has set request->preparing is done: the request goes on, or is answered with a problem. */
void change_go_on(struct request *request);

/* Says to the audit who it is that changes something. */
void change_actor(struct db *db, const struct request *request);

/* Whether its idempotency key has an answer already, whoever gave it. In the event loop. */
bool change_is_known(struct request *request);

/* Gives that answer again. In the event loop. */
void change_replay(struct request *request);

/*
 * Sends the answer that was set to a request that has no `apply`, and keeps it before where there
 * is an idempotency key: what was asked for is done already.
 */
void change_keep_and_send(struct request *request);

/* Answers with what a result of db/ means; `db` tells of limits, and is NULL where there is none.
 */
void change_problem(struct request *request, const struct db *db, enum db_result result);

/* What a problem says of a limit beside its sentence. */
void change_note_limit(struct request *request, const struct db_limit *limit);

/* Has it written that a key was used now; nobody waits for it. */
void change_key_used(struct writer *writer, const struct db_api_key *key, const char *remote);

#endif
