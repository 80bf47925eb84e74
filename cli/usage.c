#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "cli/instance.h"
#include "cli/usage.h"
#include "lib/channel.h"
#include "lib/storemsg.h"

/* A store that takes longer to look up its own index is not in order. */
#define WAIT_SECONDS 5

/* Requests under way at once; more would fill the socket while nobody reads the answers. */
#define WINDOW 256

struct asking {
    struct event_base *base;
    struct channel *channel;
    struct usage *usages; /* a message's id is the index here */
    size_t count;
    size_t asked;
    size_t answered;
};

static void ask_next(struct asking *asking)
{
    while (asking->asked < asking->count && asking->asked - asking->answered < WINDOW) {
        struct store_mailbox_id request = {.mailbox = asking->usages[asking->asked].mailbox};
        channel_send(asking->channel, STORE_USAGE, (uint32_t)asking->asked, &request,
                     sizeof(request), NULL, 0);
        asking->asked++;
    }
}

static int on_message(void *context, const struct channel_message *message)
{
    struct asking *asking = context;
    struct store_usage_is answer;

    if (message->type != STORE_USAGE_IS || message->length != sizeof(answer) ||
        message->id >= asking->asked || asking->usages[message->id].known)
        return -1;
    memcpy(&answer, message->payload, sizeof(answer));
    struct usage *usage = &asking->usages[message->id];
    usage->octets = answer.octets;
    usage->messages = answer.messages;
    usage->known = true;
    if (++asking->answered == asking->count)
        event_base_loopbreak(asking->base);
    ask_next(asking);
    return 0;
}

static void on_closed(void *context)
{
    struct asking *asking = context;

    event_base_loopbreak(asking->base);
}

const char *usage_ask(struct usage *usages, size_t count)
{
    static const struct channel_events events = {.message = on_message, .closed = on_closed};
    static const struct timeval wait = {.tv_sec = WAIT_SECONDS};
    struct asking asking = {.usages = usages, .count = count};

    for (size_t i = 0; i < count; i++)
        usages[i].known = false;
    asking.base = event_base_new();
    if (asking.base == NULL)
        return "libevent does not work on this machine";
    asking.channel = channel_connect(asking.base, INSTANCE_CONTROL, &events, &asking);
    if (asking.channel == NULL) {
        int reason = errno;
        event_base_free(asking.base);
        return reason == EACCES || reason == EPERM ? "you may not ask the service"
                                                   : "the service is not running";
    }
    ask_next(&asking);
    event_base_loopexit(asking.base, &wait);
    if (count > 0)
        event_base_dispatch(asking.base);
    channel_free(asking.channel);
    event_base_free(asking.base);
    return asking.answered == count ? NULL : "the store does not answer";
}
