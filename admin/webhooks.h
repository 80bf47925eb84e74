#ifndef ADMIN_WEBHOOKS_H
#define ADMIN_WEBHOOKS_H

struct db;
struct event_base;
struct fetcher;
struct webhooks;

/*
 * Tells webhooks (db/webhook.h) of what is in the outbox: each of one event after the other, and
 * the next only when it has answered with a status of 2xx. A POST with the event as JSON:
 *
 *   {"cursor": 1795376948123456, "type": "address.add", "time": "2026-11-22T12:00:00Z",
 *    "customer": "one", "object": "a@one.example", "actor": "bellhop uid=0", "remote": "",
 *    "request": "", "changes": [...]}
 *
 * "changes" are as in db/changes.h, and left out where they make it too long for one request; what
 * no audit row tells of has "detail" in place of the last four. Headers say the type and the cursor
 * too (Bellhop-Event, Bellhop-Cursor), and who sends it (lib/signature.h). An event may come twice,
 * with the same cursor: after a crash, and where the answer was lost.
 *
 * Any other answer, and none, is a failure: it is tried again after 10 seconds, then after twice as
 * long each time, up to an hour. After DB_WEBHOOK_PATIENCE the webhook is given up, with a row in
 * the audit.
 */

/*
 * Begins at once. `db` is opened with DB_NOTES, and nobody else's until webhooks_free(); before
 * that call, `fetcher` has been freed.
 */
struct webhooks *webhooks_new(struct event_base *base, struct db *db, struct fetcher *fetcher);

/* What is being told now will be told again by who comes after this one. NULL is allowed. */
void webhooks_free(struct webhooks *webhooks);

#endif
