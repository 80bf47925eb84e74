#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "lib/fault.h"
#include "lib/log.h"
#include "lib/storemsg.h"
#include "lib/xalloc.h"
#include "stored/commit.h"
#include "stored/control.h"
#include "stored/index.h"
#include "stored/mailbox.h"
#include "stored/server.h"
#include "stored/store.h"

/*
 * Messages of a large mailbox that go with one record: to take them out of the index keeps stored
 * from other work for some milliseconds.
 */
#define DROP_MESSAGES 2048

/* A mailbox's drop on its way into the log. */
struct drop {
    struct commit commit;          /* first: on_dropped() finds the drop by it */
    struct connection *connection; /* NULL: gone */
    uint32_t id;
    struct store *store;
    struct mailbox *mailbox; /* locked */
    bool again;              /* it had been dropped before */
    struct drop *prev, *next;
};

static struct drop *drops; /* all that run: a handful, after a customer was removed */

static void answer(struct connection *connection, uint32_t id, enum store_result result)
{
    struct store_failed failed = {.result = (uint8_t)result};

    channel_send(connection->channel, STORE_FAILED, id, &failed, sizeof(failed), NULL, 0);
}

static uint64_t mailbox_id(const struct channel_message *message)
{
    struct store_mailbox_id id;

    memcpy(&id, message->payload, sizeof(id));
    return id.mailbox;
}

int control_hello(struct connection *connection, const struct channel_message *message)
{
    const struct store_hello hello = {.version = STORE_VERSION};

    channel_send(connection->channel, STORE_HELLO_IS, message->id, &hello, sizeof(hello), NULL, 0);
    return 0;
}

int control_ping(struct connection *connection, const struct channel_message *message)
{
    if (commits_healthy(connection->store->commits))
        channel_send(connection->channel, STORE_PONG, message->id, NULL, 0, NULL, 0);
    else
        answer(connection, message->id, STORE_BROKEN);
    return 0;
}

int control_usage(struct connection *connection, const struct channel_message *message)
{
    struct mailboxes *mailboxes = connection->store->mailboxes;
    struct mailbox *mailbox = mailbox_get(mailboxes, mailbox_id(message));

    if (mailbox == NULL) {
        answer(connection, message->id, STORE_BROKEN);
        return 0;
    }
    struct store_usage_is usage = {
        .octets = mailbox->octets + mailbox->waiting_octets,
        .messages = mailbox->messages + mailbox->waiting_messages,
    };
    mailbox_put(mailboxes, mailbox);
    channel_send(connection->channel, STORE_USAGE_IS, message->id, &usage, sizeof(usage), NULL, 0);
    return 0;
}

int control_hold(struct connection *connection, const struct channel_message *message)
{
    if (!connection->holding)
        connection->store->holds++;
    connection->holding = true;
    /* Who holds reads the index beside us. */
    index_commit(connection->store->index);
    channel_send(connection->channel, STORE_HELD, message->id, NULL, 0, NULL, 0);
    return 0;
}

static void send_drop(struct drop *drop, struct record_header *header,
                      void (*done)(struct commit *commit, enum store_result result))
{
    header->time = (uint64_t)time(NULL) * 1000000;
    drop->commit = (struct commit){.header = header, .frees_space = true, .done = done};
    commit_add(drop->store->commits, &drop->commit);
}

static void end_drop(struct drop *drop, enum store_result result)
{
    if (result == STORE_OK) {
        fault_point("drop.unanswered");
        log_info("dropped mailbox=%" PRIu64, drop->mailbox->id);
        mailbox_reload(drop->store->mailboxes, drop->mailbox);
    } else {
        drop->mailbox->dropped = drop->again;
    }
    mailbox_unlock(drop->mailbox);
    mailbox_put(drop->store->mailboxes, drop->mailbox);
    if (drop->connection != NULL && result == STORE_OK)
        channel_send(drop->connection->channel, STORE_DROPPED, drop->id, NULL, 0, NULL, 0);
    else if (drop->connection != NULL)
        answer(drop->connection, drop->id, result);
    DL_DELETE(drops, drop);
    free(drop);
}

static void on_dropped(struct commit *commit, enum store_result result)
{
    free(commit->header);
    end_drop((struct drop *)(void *)commit, result);
}

struct slice {
    struct record_header *header;
    uint32_t count;
};

static int name_message(void *context, const struct index_message *message)
{
    struct slice *slice = context;

    record_refs(slice->header)[slice->count] = (struct record_ref){message->mailbox, message->uid};
    record_places(slice->header)[slice->count++] = message->segment;
    return 0;
}

static void drop_some(struct drop *drop);

static void on_some_dropped(struct commit *commit, enum store_result result)
{
    struct drop *drop = (struct drop *)(void *)commit;

    free(commit->header);
    if (result == STORE_OK)
        drop_some(drop);
    else
        end_drop(drop, result);
}

/* Expunges one slice after the other, and drops the mailbox with what is less than one. */
static void drop_some(struct drop *drop)
{
    const struct index_range some = {drop->mailbox->id, 1, INT64_MAX, DROP_MESSAGES};
    struct slice slice = {.header = record_new(RECORD_EXPUNGE, DROP_MESSAGES, NULL)};

    if (index_each_message(drop->store->index, &some, name_message, &slice) < 0)
        log_retry("the index cannot be read");
    if (slice.count == DROP_MESSAGES) {
        send_drop(drop, slice.header, on_some_dropped);
        return;
    }
    free(slice.header);
    struct record_header *header = record_new(RECORD_DROP, 1, NULL);
    record_refs(header)[0].mailbox = drop->mailbox->id;
    send_drop(drop, header, on_dropped);
}

int control_drop(struct connection *connection, const struct channel_message *message)
{
    struct store *store = connection->store;
    uint64_t id = mailbox_id(message);
    struct mailbox *mailbox = id > 0 ? mailbox_get(store->mailboxes, id) : NULL;

    if (mailbox == NULL || !mailbox_lock(mailbox)) {
        answer(connection, message->id, mailbox == NULL ? STORE_BROKEN : STORE_IN_USE);
        if (mailbox != NULL)
            mailbox_put(store->mailboxes, mailbox);
        return 0;
    }
    struct drop *drop = xcalloc(1, sizeof(*drop));
    drop->connection = connection;
    drop->id = message->id;
    drop->store = store;
    drop->mailbox = mailbox;
    drop->again = mailbox->dropped;
    /* From now on nothing is delivered to it and nobody opens it. */
    mailbox->dropped = true;
    DL_APPEND(drops, drop);
    drop_some(drop);
    fault_point("drop.waiting");
    return 0;
}

void control_end_all(struct connection *connection)
{
    struct drop *drop;

    if (connection->holding)
        connection->store->holds--;
    DL_FOREACH (drops, drop)
        if (drop->connection == connection)
            drop->connection = NULL;
}
