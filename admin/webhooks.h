#ifndef ADMIN_WEBHOOKS_H
#define ADMIN_WEBHOOKS_H

#include <stdint.h>

#include "db/webhook.h"

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

/* What came of a test: `status` is 0 where `failure` says why there was no answer. */
struct webhooks_tested {
    unsigned status;
    char failure[DB_WEBHOOK_FAILURE_MAX + 1]; /* empty: it answered with a status of 2xx */
};

/*
 * Tells a webhook now, once, and apart from the order, of an event "webhook.test" whose cursor is
 * 0, and calls done(), which may be at once, or out of webhooks_free(). Returns 0, or the
 * milliseconds after which one that was tested too often may be tested again.
 */
uint64_t webhooks_test(struct webhooks *webhooks, const struct db_webhook *webhook,
                       void (*done)(void *context, const struct webhooks_tested *tested),
                       void *context);

/* What is being told now will be told again by who comes after this one. NULL is allowed. */
void webhooks_free(struct webhooks *webhooks);

#endif
