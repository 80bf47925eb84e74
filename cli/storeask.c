#include <errno.h>
#include <event2/event.h>
#include <stdint.h>

#include "cli/instance.h"
#include "cli/storeask.h"
#include "lib/channel.h"

/* Each answer takes stored a millisecond. */
#define WAIT_SECONDS 5

struct asking {
    const struct storeask *ask;
    struct event_base *base;
    struct channel *channel;
    size_t done; /* items that have been answered, and those that have been asked about */
    size_t asked;
};

static void ask_next(struct asking *asking)
{
    const struct storeask *ask = asking->ask;
    size_t left = ask->count - asking->asked;
    size_t count = left < STORE_MAILBOXES_MAX ? left : STORE_MAILBOXES_MAX;

    channel_send(asking->channel, (uint8_t)ask->request, 1, NULL, 0,
                 (const uint8_t *)ask->items + asking->asked * ask->item_size,
                 count * ask->item_size);
    asking->asked += count;
}

static int on_message(void *context, const struct channel_message *message)
{
    struct asking *asking = context;
    const struct storeask *ask = asking->ask;

    if (message->type != ask->answer || asking->done == asking->asked)
        return -1;
    if (ask->take != NULL && ask->take(ask->context, message->payload, message->length) < 0)
        return -1;
    asking->done = asking->asked;
    event_base_loopbreak(asking->base);
    return 0;
}

static void on_closed(void *context)
{
    struct asking *asking = context;

    event_base_loopbreak(asking->base);
}

/* One request and its answer. */
static void exchange(struct asking *asking)
{
    static const struct timeval wait = {.tv_sec = WAIT_SECONDS};

    ask_next(asking);
    event_base_loopexit(asking->base, &wait);
    event_base_dispatch(asking->base);
}

static const char *ask_all(struct asking *asking)
{
    static const struct channel_events events = {.message = on_message, .closed = on_closed};

    asking->channel = channel_connect(asking->base, INSTANCE_CONTROL, &events, asking);
    if (asking->channel == NULL)
        return errno == EACCES || errno == EPERM ? "you may not ask the service"
                                                 : "the service is not running";
    do
        exchange(asking);
    while (asking->done == asking->asked && asking->asked < asking->ask->count);
    channel_free(asking->channel);
    return asking->done == asking->ask->count ? NULL : "the store does not answer";
}

const char *storeask_run(const struct storeask *ask)
{
    struct asking asking = {.ask = ask, .base = event_base_new()};

    if (asking.base == NULL)
        return "libevent does not work on this machine";
    const char *problem = ask->count > 0 ? ask_all(&asking) : NULL;
    event_base_free(asking.base);
    return problem;
}
