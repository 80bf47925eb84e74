#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "admin/store.h"
#include "lib/channel.h"
#include "lib/log.h"
#include "lib/storehello.h"
#include "lib/xalloc.h"

#define CONTROL_PATH "run/stored-control.sock"

/* Seconds. Whoever asks for /readyz wants to know by then; a large mailbox takes time to drop. */
#define PING_TIME   2
#define USAGE_TIME  2
#define DROP_TIME   60
#define EXPIRE_TIME 60
#define LOGOUT_TIME 5

struct pending {
    struct pending *prev;
    struct pending *next;
    struct store *store;
    uint32_t id;
    uint8_t type;
    struct store_caller caller;
    union {
        struct store_expired *expired_r;   /* of STORE_EXPIRE */
        struct store_usage_is *usage_r;    /* of STORE_USAGE */
        struct store_sessions *sessions_r; /* of STORE_SESSIONS */
    };
    struct event *late;
};

struct store {
    struct event_base *base;
    struct channel *channel; /* NULL: not connected */
    struct pending *pendings;
    uint32_t last_id;
};

static void pending_end(struct pending *pending, enum store_result result)
{
    const struct store_caller caller = pending->caller;

    DL_DELETE(pending->store->pendings, pending);
    event_free(pending->late);
    free(pending);
    caller.done(caller.context, result);
}

static void on_late(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    pending_end(context, STORE_BUSY);
}

static struct pending *pending_find(struct store *store, uint32_t id)
{
    struct pending *pending;

    DL_SEARCH_SCALAR(store->pendings, pending, id, id);
    return pending;
}

static int take_sessions(const struct pending *pending, const struct channel_message *message)
{
    struct store_sessions *sessions = pending->sessions_r;
    size_t size = sizeof(sessions->found[0]);

    if (pending->type != STORE_SESSIONS || message->length % size != 0 ||
        message->length > sizeof(sessions->found))
        return -1;
    sessions->count = message->length / size;
    memcpy(sessions->found, message->payload, message->length);
    return STORE_OK;
}

/* What an answer means to a request, or -1 when it is not an answer to it. */
static int read_answer(const struct pending *pending, const struct channel_message *message)
{
    const uint8_t *payload = message->payload;

    switch (message->type) {
    case STORE_PONG: return pending->type == STORE_PING && message->length == 0 ? STORE_OK : -1;
    case STORE_DROPPED: return pending->type == STORE_DROP && message->length == 0 ? STORE_OK : -1;
    case STORE_LOGGED_OUT:
        return pending->type == STORE_LOGOUT && message->length == sizeof(struct store_logged_out)
                   ? STORE_OK
                   : -1;
    case STORE_EXPIRED:
        if (pending->type != STORE_EXPIRE || message->length != sizeof(*pending->expired_r))
            return -1;
        memcpy(pending->expired_r, payload, sizeof(*pending->expired_r));
        return STORE_OK;
    case STORE_SESSIONS_ARE: return take_sessions(pending, message);
    case STORE_USAGE_IS:
        if (pending->type != STORE_USAGE || message->length != sizeof(*pending->usage_r))
            return -1;
        memcpy(pending->usage_r, payload, sizeof(*pending->usage_r));
        return STORE_OK;
    case STORE_FAILED:
        if (message->length != sizeof(struct store_failed))
            return -1;
        return payload[0] != STORE_OK && payload[0] <= STORE_BROKEN ? payload[0] : -1;
    default: return -1;
    }
}

static int on_message(void *context, const struct channel_message *message)
{
    if (message->id == 0)
        return storehello_take(message);
    struct pending *pending = pending_find(context, message->id);
    /* Somebody stopped waiting for this one. */
    if (pending == NULL)
        return 0;
    int result = read_answer(pending, message);
    if (result < 0)
        return -1;
    pending_end(pending, (enum store_result)result);
    return 0;
}

/* What is asked from within the callbacks goes over a new connection, and is not ended here. */
static void fail_all(struct store *store)
{
    const uint32_t last = store->last_id;
    struct pending *pending;
    struct pending *next;

    DL_FOREACH_SAFE(store->pendings, pending, next)
    if ((int32_t)(pending->id - last) <= 0)
        pending_end(pending, STORE_BUSY);
}

static void on_closed(void *context)
{
    struct store *store = context;

    channel_free(store->channel);
    store->channel = NULL;
    fail_all(store);
}

static const struct channel_events events = {.message = on_message, .closed = on_closed};

struct store *store_new(struct event_base *base)
{
    struct store *store = xcalloc(1, sizeof(*store));

    store->base = base;
    return store;
}

void store_free(struct store *store)
{
    channel_free(store->channel);
    store->channel = NULL;
    fail_all(store);
    free(store);
}

static void connect_to_stored(struct store *store)
{
    store->channel = channel_connect(store->base, CONTROL_PATH, &events, store);
    if (store->channel != NULL)
        storehello_ask(store->channel);
}

static uint32_t next_id(struct store *store)
{
    return ++store->last_id != 0 ? store->last_id : ++store->last_id;
}

static struct pending *request(struct store *store, uint8_t type, const void *payload,
                               size_t length, time_t seconds, struct store_caller caller)
{
    struct pending *pending = xcalloc(1, sizeof(*pending));
    struct timeval limit = {.tv_sec = seconds};

    pending->store = store;
    pending->id = next_id(store);
    pending->type = type;
    pending->caller = caller;
    pending->late = evtimer_new(store->base, on_late, pending);
    DL_APPEND(store->pendings, pending);
    if (store->channel == NULL)
        connect_to_stored(store);
    if (store->channel != NULL) {
        channel_send(store->channel, type, pending->id, payload, length, NULL, 0);
    } else {
        log_warning("cannot connect to " CONTROL_PATH ": %s", strerror(errno));
        limit.tv_sec = 0;
    }
    if (pending->late == NULL || event_add(pending->late, &limit) < 0)
        log_fatal("cannot set a time limit: out of memory");
    return pending;
}

void store_ping(struct store *store, struct store_caller caller)
{
    request(store, STORE_PING, NULL, 0, PING_TIME, caller);
}

void store_drop(struct store *store, uint64_t mailbox, struct store_caller caller)
{
    const struct store_mailbox_id payload = {.mailbox = mailbox};

    request(store, STORE_DROP, &payload, sizeof(payload), DROP_TIME, caller);
}

void store_log_out(struct store *store, const struct store_logout *logouts, size_t count,
                   struct store_caller caller)
{
    request(store, STORE_LOGOUT, logouts, count * sizeof(logouts[0]), LOGOUT_TIME, caller);
}

void store_find_sessions(struct store *store, const uint64_t *mailboxes, size_t count,
                         struct store_sessions *sessions_r, struct store_caller caller)
{
    _Static_assert(sizeof(struct store_mailbox_id) == sizeof(*mailboxes), "an id is what is sent");
    struct pending *pending =
        request(store, STORE_SESSIONS, mailboxes, count * sizeof(*mailboxes), USAGE_TIME, caller);

    pending->sessions_r = sessions_r;
}

void store_usage(struct store *store, uint64_t mailbox, struct store_usage_is *usage_r,
                 struct store_caller caller)
{
    const struct store_mailbox_id payload = {.mailbox = mailbox};
    struct pending *pending =
        request(store, STORE_USAGE, &payload, sizeof(payload), USAGE_TIME, caller);

    pending->usage_r = usage_r;
}

void store_expire(struct store *store, const struct store_expire *expire,
                  struct store_expired *expired_r, struct store_caller caller)
{
    struct pending *pending =
        request(store, STORE_EXPIRE, expire, sizeof(*expire), EXPIRE_TIME, caller);

    pending->expired_r = expired_r;
}
