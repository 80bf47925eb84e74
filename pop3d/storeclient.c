/*
 * The requester's side of lib/storemsg.h. A session's id is never used again while an answer to
 * its former owner may be under way: ids only count up, and answers to unknown ones are dropped.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/channel.h"
#include "lib/log.h"
#include "lib/reconnect.h"
#include "lib/storehello.h"
#include "lib/xalloc.h"
#include "pop3d/regions.h"
#include "pop3d/storeclient.h"

struct storeclient {
    struct event_base *base;
    const char *path;
    struct channel *channel; /* NULL: no connection */
    struct regions *regions; /* of this connection; NULL: none yet, or never */
    struct reconnect *reconnect;
    struct store_session *sessions;
    uint32_t last_id;
};

static void forget(struct store_session *session)
{
    HASH_DEL(session->client->sessions, session);
    session->id = 0;
}

static int handle_opening(struct store_session *session, const struct channel_message *message)
{
    struct store_totals totals;

    if (message->length != sizeof(totals))
        return -1;
    memcpy(&totals, message->payload, sizeof(totals));
    return session->events->opening(session->context, &totals);
}

static int handle_entries(struct store_session *session, const struct channel_message *message)
{
    if (message->length == 0 || message->length % sizeof(struct store_entry) != 0)
        return -1;
    return session->events->entries(session->context, message->payload,
                                    message->length / sizeof(struct store_entry));
}

static int handle_growths(struct store_session *session, const struct channel_message *message)
{
    if (message->length == 0 || message->length % sizeof(struct store_growth) != 0)
        return -1;
    return session->events->growths(session->context, message->payload,
                                    message->length / sizeof(struct store_growth));
}

static int handle_unique_ids(struct store_session *session, const struct channel_message *message)
{
    if (message->length == 0)
        return -1;
    return session->events->unique_ids(session->context, message->payload, message->length);
}

static int handle_opened(struct store_session *session, const struct channel_message *message)
{
    struct store_totals totals;

    if (message->length != sizeof(totals))
        return -1;
    memcpy(&totals, message->payload, sizeof(totals));
    session->opened = true;
    return session->events->opened(session->context, &totals);
}

static int handle_data(struct store_session *session, const struct channel_message *message)
{
    struct store_data data;

    if (message->length < sizeof(data))
        return -1;
    memcpy(&data, message->payload, sizeof(data));
    return session->events->data(session->context, &data,
                                 (const char *)message->payload + sizeof(data),
                                 message->length - sizeof(data));
}

static int handle_placed(struct store_session *session, const struct channel_message *message)
{
    struct store_placed placed;

    if (message->length != sizeof(placed))
        return -1;
    memcpy(&placed, message->payload, sizeof(placed));
    return session->events->data(session->context, &placed.data, NULL, placed.octets);
}

static int handle_expunged(struct store_session *session, const struct channel_message *message)
{
    if (message->length != 0)
        return -1;
    return session->events->expunged(session->context);
}

static int handle_failed(struct store_session *session, const struct channel_message *message)
{
    struct store_failed failed;

    if (message->length != sizeof(failed))
        return -1;
    memcpy(&failed, message->payload, sizeof(failed));
    if (!session->opened)
        forget(session);
    return session->events->failed(session->context, &failed);
}

static int handle_ended(struct store_session *session, const struct channel_message *message)
{
    if (message->length != 0)
        return -1;
    storeclient_close(session);
    session->events->ended(session->context);
    return 0;
}

static int handle_memory(struct storeclient *client, const struct channel_message *message)
{
    int fd = channel_take_descriptor(client->channel);

    if (message->length != 0 || client->regions != NULL || fd < 0)
        return -1;
    client->regions = regions_new(fd);
    if (client->regions == NULL)
        log_warning("the memory that stored shares cannot be used: %s", strerror(errno));
    return 0;
}

static int on_message(void *context, const struct channel_message *message)
{
    struct storeclient *client = context;
    struct store_session *session;

    reconnect_heard(client->reconnect);
    if (message->type == STORE_MEMORY_IS)
        return handle_memory(client, message);
    if (message->id == 0)
        return storehello_take_ready(message);
    HASH_FIND(hh, client->sessions, &message->id, sizeof(message->id), session);
    if (session == NULL)
        return (message->type >= STORE_OPENING && message->type <= STORE_FAILED) ||
                       message->type == STORE_GROWTHS || message->type == STORE_ENDED
                   ? 0
                   : -1;
    switch (message->type) {
    case STORE_OPENING: return handle_opening(session, message);
    case STORE_ENTRIES: return handle_entries(session, message);
    case STORE_GROWTHS: return handle_growths(session, message);
    case STORE_UNIQUE_IDS: return handle_unique_ids(session, message);
    case STORE_OPENED: return handle_opened(session, message);
    case STORE_DATA: return handle_data(session, message);
    case STORE_PLACED: return handle_placed(session, message);
    case STORE_EXPUNGED: return handle_expunged(session, message);
    case STORE_FAILED: return handle_failed(session, message);
    case STORE_ENDED: return handle_ended(session, message);
    default: return -1;
    }
}

/* Connects before it tells: what a session asks for then belongs to the new connection. */
static void on_closed(void *context)
{
    struct storeclient *client = context;
    struct store_session *sessions = client->sessions;

    log_warning("the connection to stored is lost; %u mailboxes were open or being opened",
                HASH_COUNT(sessions));
    channel_free(client->channel);
    client->channel = NULL;
    regions_free(client->regions);
    client->regions = NULL;
    client->sessions = NULL;
    reconnect_again(client->reconnect);
    while (sessions != NULL) {
        struct store_session *session = sessions;
        HASH_DEL(sessions, session);
        session->id = 0;
        session->events->lost(session->context);
    }
}

static const struct channel_events channel_events = {.message = on_message, .closed = on_closed};

static int connect_to_stored(void *context)
{
    struct storeclient *client = context;

    client->channel = channel_connect(client->base, client->path, &channel_events, client);
    if (client->channel == NULL)
        return -1;
    storehello_ask(client->channel);
    channel_expect_descriptor(client->channel);
    channel_send(client->channel, STORE_MEMORY, 0, NULL, 0, NULL, 0);
    return 0;
}

static const struct reconnect_events reconnect_events = {.connect = connect_to_stored,
                                                         .away = on_closed};

struct storeclient *storeclient_new(struct event_base *base, const char *path)
{
    struct storeclient *client = xcalloc(1, sizeof(*client));

    client->base = base;
    client->path = path;
    client->reconnect = reconnect_new(base, path, &reconnect_events, client);
    return client;
}

void storeclient_free(struct storeclient *client)
{
    if (client == NULL)
        return;
    channel_free(client->channel);
    regions_free(client->regions);
    reconnect_free(client->reconnect);
    free(client);
}

int storeclient_open(struct storeclient *client, struct store_session *session,
                     const struct store_events *events, void *context,
                     const struct store_open *open)
{
    struct store_session *taken;

    if (client->channel == NULL || reconnect_is_away(client->reconnect))
        return -1;
    do {
        session->id = ++client->last_id;
        HASH_FIND(hh, client->sessions, &session->id, sizeof(session->id), taken);
    } while (session->id == 0 || taken != NULL);
    session->client = client;
    session->events = events;
    session->context = context;
    session->opened = false;
    HASH_ADD(hh, client->sessions, id, sizeof(session->id), session);
    channel_send(client->channel, STORE_OPEN, session->id, open, sizeof(*open), NULL, 0);
    return 0;
}

bool storeclient_is_open(const struct store_session *session)
{
    return session->id != 0;
}

struct regions *storeclient_regions(const struct store_session *session)
{
    return session->client->regions;
}

void storeclient_read(struct store_session *session, const struct store_read *request)
{
    channel_send(session->client->channel, STORE_READ, session->id, request, sizeof(*request), NULL,
                 0);
}

void storeclient_expunge(struct store_session *session, const uint32_t *messages, size_t count)
{
    channel_send(session->client->channel, STORE_EXPUNGE, session->id, NULL, 0, messages,
                 count * sizeof(messages[0]));
}

/* While the mailbox is being opened, stored stops that; answers on their way are dropped. */
void storeclient_close(struct store_session *session)
{
    if (session->id == 0)
        return;
    channel_send(session->client->channel, STORE_CLOSE, session->id, NULL, 0, NULL, 0);
    forget(session);
}
