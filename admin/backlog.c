#include "admin/backlog.h"
#include "db/outbox.h"
#include "lib/metrics.h"

/* Seconds between the begin of two counts; and webhooks of one look: each costs a millisecond at
 * most, as of each DB_OUTBOX_COUNTED events are counted. */
#define EVERY      5
#define LOOKED_MAX 50

static void add(struct backlog *backlog, struct db *db, const struct db_webhook *webhook)
{
    uint64_t events;
    uint64_t first;

    if (webhook->disabled != 0 || db_outbox_waiting(db, webhook, &events, &first) != DB_OK)
        return;
    backlog->events += events;
    if (backlog->first == 0 || first < backlog->first)
        backlog->first = first;
}

static void tell(const struct backlog *backlog, uint64_t now)
{
    uint64_t since = backlog->first / 1000000;
    uint64_t age = backlog->first > 0 && now > since ? now - since : 0;

    metric_set(METRIC_WEBHOOKS_WAITING, (int64_t)backlog->events);
    metric_set(METRIC_WEBHOOKS_BEHIND, (int64_t)age);
}

void backlog_look(struct backlog *backlog, struct db *db, uint64_t now)
{
    struct db_webhook webhook = {.id = backlog->after};

    if (now < backlog->due)
        return;
    backlog->due = now + 1;
    for (unsigned looked = 0; looked < LOOKED_MAX; looked++) {
        if (db_operator_webhook_next(db, &webhook) != DB_OK) {
            tell(backlog, now);
            *backlog = (struct backlog){.due = now + EVERY};
            return;
        }
        add(backlog, db, &webhook);
    }
    backlog->after = webhook.id;
}

void backlog_end(void)
{
    metric_set(METRIC_WEBHOOKS_WAITING, 0);
    metric_set(METRIC_WEBHOOKS_BEHIND, 0);
}
