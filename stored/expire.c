#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "lib/metrics.h"
#include "lib/storemsg.h"
#include "lib/xalloc.h"
#include "stored/commit.h"
#include "stored/expire.h"
#include "stored/index.h"
#include "stored/mailbox.h"
#include "stored/server.h"
#include "stored/store.h"

/*
 * Messages that one request looks at, and the most that it expunges: a millisecond of the event
 * loop each. There is no index on the time: it would double what a delivery costs in index.db, and
 * the whole of a mailbox of 200,000 young messages is read in 40 ms once an hour.
 */
#define LOOKED_AT_MAX 4096
#define EXPIRED_MAX   256

/* What one request has found. */
struct batch {
    uint64_t before;
    uint64_t last; /* uid looked at */
    uint32_t looked_at;
    uint32_t count;
    bool more;
    struct {
        uint64_t uid, segment;
    } old[EXPIRED_MAX];
};

/* A batch on its way into the log. */
struct expiry {
    struct commit commit;          /* first: on_expired() finds the expiry by it */
    struct connection *connection; /* NULL: gone */
    uint32_t id;
    struct store *store;
    struct mailbox *mailbox; /* locked */
    struct store_expired answer;
    struct expiry *prev, *next;
};

static struct expiry *expiries; /* admin asks for one at a time */

static void answer(struct connection *connection, uint32_t id, enum store_result result,
                   const struct store_expired *expired)
{
    struct store_failed failed = {.result = (uint8_t)result};

    if (result == STORE_OK)
        channel_send(connection->channel, STORE_EXPIRED, id, expired, sizeof(*expired), NULL, 0);
    else
        channel_send(connection->channel, STORE_FAILED, id, &failed, sizeof(failed), NULL, 0);
}

static int look_at(void *context, const struct index_message *message)
{
    struct batch *batch = context;

    if (batch->looked_at == LOOKED_AT_MAX || batch->count == EXPIRED_MAX) {
        batch->more = true;
        return 1;
    }
    batch->looked_at++;
    batch->last = message->uid;
    if (message->time < batch->before) {
        batch->old[batch->count].uid = message->uid;
        batch->old[batch->count++].segment = message->segment;
    }
    return 0;
}

static void on_expired(struct commit *commit, enum store_result result)
{
    struct expiry *expiry = (struct expiry *)(void *)commit;
    struct mailboxes *mailboxes = expiry->store->mailboxes;

    if (result == STORE_OK) {
        mailbox_reload(mailboxes, expiry->mailbox);
        metric_add(METRIC_STORE_EXPIRED, (int64_t)expiry->answer.count);
    }
    mailbox_unlock(expiry->mailbox);
    mailbox_put(mailboxes, expiry->mailbox);
    if (expiry->connection != NULL)
        answer(expiry->connection, expiry->id, result, &expiry->answer);
    DL_DELETE(expiries, expiry);
    free(commit->header);
    free(expiry);
}

/* Takes over the caller's use of the mailbox, and its lock. */
static void expunge(struct connection *connection, uint32_t id, struct mailbox *mailbox,
                    const struct batch *batch)
{
    struct expiry *expiry = xcalloc(1, sizeof(*expiry));
    struct record_header *header = record_new(RECORD_EXPUNGE, batch->count, NULL);

    for (uint32_t i = 0; i < batch->count; i++) {
        record_refs(header)[i] = (struct record_ref){mailbox->id, batch->old[i].uid};
        record_places(header)[i] = batch->old[i].segment;
    }
    header->time = (uint64_t)time(NULL) * 1000000;
    expiry->connection = connection;
    expiry->id = id;
    expiry->store = connection->store;
    expiry->mailbox = mailbox;
    expiry->answer = (struct store_expired){batch->count, batch->more, batch->last};
    expiry->commit.header = header;
    expiry->commit.frees_space = true;
    expiry->commit.done = on_expired;
    DL_APPEND(expiries, expiry);
    commit_add(connection->store->commits, &expiry->commit);
}

int expire_some(struct connection *connection, const struct channel_message *message)
{
    struct store *store = connection->store;
    struct store_expire request;
    struct batch batch = {0};

    memcpy(&request, message->payload, sizeof(request));
    batch.before = request.before;
    batch.last = request.after;
    struct index_range range = {request.mailbox, request.after + 1, INT64_MAX, LOOKED_AT_MAX + 1};
    if (index_each_message(store->index, &range, look_at, &batch) < 0) {
        answer(connection, message->id, STORE_BROKEN, NULL);
        return 0;
    }
    if (batch.count == 0) {
        struct store_expired expired = {.more = batch.more, .next = batch.last};
        answer(connection, message->id, STORE_OK, &expired);
        return 0;
    }
    struct mailbox *mailbox = mailbox_get(store->mailboxes, request.mailbox);
    if (mailbox != NULL && !mailbox->dropped && mailbox_lock(mailbox)) {
        expunge(connection, message->id, mailbox, &batch);
        return 0;
    }
    answer(connection, message->id,
           mailbox == NULL    ? STORE_BROKEN
           : mailbox->dropped ? STORE_NO_MAILBOX
                              : STORE_IN_USE,
           NULL);
    if (mailbox != NULL)
        mailbox_put(store->mailboxes, mailbox);
    return 0;
}

void expire_end_all(struct connection *connection)
{
    struct expiry *expiry;

    DL_FOREACH (expiries, expiry)
        if (expiry->connection == connection)
            expiry->connection = NULL;
}
