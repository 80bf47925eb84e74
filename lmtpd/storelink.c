#include <event2/event.h>
#include <stdlib.h>
#include <utlist.h>

#include "lib/log.h"
#include "lib/reconnect.h"
#include "lib/storehello.h"
#include "lib/xalloc.h"
#include "lmtpd/limits.h"
#include "lmtpd/storelink.h"

struct store_link {
    struct event_base *base;
    const char *path;
    struct channel *channel; /* NULL: not connected */
    struct reconnect *reconnect;
    const struct timeval *patience; /* in libevent's queue of equal timeouts */
    uint32_t last_id;
    struct store_call *calls; /* by id */
    struct store_waiter *waiters;
};

static void end_call(struct store_call **calls, struct store_call *call)
{
    HASH_DEL(*calls, call);
    call->id = 0;
    event_del(&call->late);
}

/* stored answers what was forgotten in the meantime as well; that is no fault of its own. */
static int on_message(void *context, const struct channel_message *message)
{
    struct store_link *link = context;
    struct store_call *call;

    reconnect_heard(link->reconnect);
    if (message->id == 0)
        return storehello_take_ready(message);
    if (message->type != STORE_DELIVERED && message->type != STORE_USAGE_IS)
        return -1;
    HASH_FIND(hh, link->calls, &message->id, sizeof(message->id), call);
    if (call == NULL)
        return 0;
    end_call(&link->calls, call);
    return call->answer(call, message);
}

bool store_link_full(const struct store_link *link)
{
    return link->channel != NULL && channel_pending(link->channel) > STORE_PENDING_MAX;
}

void store_link_wait_end(struct store_link *link, struct store_waiter *waiter)
{
    if (waiter->prev == NULL)
        return;
    DL_DELETE(link->waiters, waiter);
    waiter->prev = NULL;
    event_del(&waiter->late);
}

static void wake_waiters(struct store_link *link)
{
    while (link->waiters != NULL && !store_link_full(link)) {
        struct store_waiter *waiter = link->waiters;
        store_link_wait_end(link, waiter);
        waiter->ready(waiter);
    }
}

/* Connects before it tells: what is asked for then belongs to the new connection. */
static void on_closed(void *context)
{
    struct store_link *link = context;
    struct store_call *calls = link->calls;

    log_warning("stored is gone; %u deliveries and questions are deferred", HASH_COUNT(calls));
    channel_free(link->channel);
    link->channel = NULL;
    link->calls = NULL;
    reconnect_again(link->reconnect);
    while (calls != NULL) {
        struct store_call *call = calls;
        end_call(&calls, call);
        (void)call->answer(call, NULL);
    }
    wake_waiters(link);
}

static void on_late(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;

    log_error("stored hangs: it has left something unanswered for too long");
    on_closed(context);
}

void store_link_wait(struct store_link *link, struct store_waiter *waiter,
                     void (*ready)(struct store_waiter *waiter))
{
    waiter->ready = ready;
    DL_APPEND(link->waiters, waiter);
    evtimer_assign(&waiter->late, link->base, on_late, link);
    event_add(&waiter->late, link->patience);
}

static void on_drained(void *context)
{
    wake_waiters(context);
}

static const struct channel_events store_events = {
    .message = on_message, .closed = on_closed, .drained = on_drained};

static int connect_to_stored(void *context)
{
    struct store_link *link = context;

    link->channel = channel_connect(link->base, link->path, &store_events, link);
    if (link->channel == NULL)
        return -1;
    storehello_ask(link->channel);
    return 0;
}

static const struct reconnect_events reconnect_events = {.connect = connect_to_stored,
                                                         .away = on_closed};

struct store_link *store_link_new(struct event_base *base, const char *path,
                                  const struct timeval *patience)
{
    struct store_link *link = xcalloc(1, sizeof(*link));

    link->base = base;
    link->path = path;
    link->patience = event_base_init_common_timeout(base, patience);
    if (link->patience == NULL)
        log_fatal("cannot make a timer");
    link->reconnect = reconnect_new(base, path, &reconnect_events, link);
    return link;
}

void store_link_free(struct store_link *link)
{
    if (link == NULL)
        return;
    channel_free(link->channel);
    reconnect_free(link->reconnect);
    free(link);
}

int store_link_call(struct store_link *link, struct store_call *call,
                    int (*answer)(struct store_call *call, const struct channel_message *message))
{
    struct store_call *taken;

    if (link->channel == NULL || reconnect_is_away(link->reconnect))
        return -1;
    do {
        call->id = ++link->last_id;
        HASH_FIND(hh, link->calls, &call->id, sizeof(call->id), taken);
    } while (call->id == 0 || taken != NULL);
    call->answer = answer;
    evtimer_assign(&call->late, link->base, on_late, link);
    HASH_ADD(hh, link->calls, id, sizeof(call->id), call);
    return 0;
}

void store_link_send(struct store_link *link, const struct store_call *call, enum store_type type,
                     const void *fixed, size_t fixed_length, const void *rest, size_t rest_length)
{
    if (link->channel != NULL)
        channel_send(link->channel, (uint8_t)type, call->id, fixed, fixed_length, rest,
                     rest_length);
}

void store_link_ask(struct store_link *link, struct store_call *call, enum store_type type,
                    const void *payload, size_t length)
{
    store_link_send(link, call, type, payload, length, NULL, 0);
    event_add(&call->late, link->patience);
}

void store_link_forget(struct store_link *link, struct store_call *call)
{
    if (call->id != 0)
        end_call(&link->calls, call);
}
