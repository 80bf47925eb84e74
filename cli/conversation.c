#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#include "cli/conversation.h"
#include "lib/xalloc.h"

struct conversation {
    struct event_base *base;
    struct event *late;
    struct channel *channel;
    int (*message)(void *context, const struct channel_message *message);
    void *context;
    bool done;
};

static int on_message(void *context, const struct channel_message *message)
{
    struct conversation *conversation = context;

    return conversation->message(conversation->context, message);
}

static void on_closed(void *context)
{
    struct conversation *conversation = context;

    event_base_loopbreak(conversation->base);
}

static void on_late(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    on_closed(context);
}

struct conversation *conversation_begin(const char *path,
                                        int (*message)(void *context,
                                                       const struct channel_message *message),
                                        void *context)
{
    static const struct channel_events events = {.message = on_message, .closed = on_closed};
    struct conversation *conversation = xcalloc(1, sizeof(*conversation));

    conversation->message = message;
    conversation->context = context;
    conversation->base = event_base_new();
    if (conversation->base != NULL)
        conversation->late = evtimer_new(conversation->base, on_late, conversation);
    if (conversation->late == NULL)
        errno = ENOMEM;
    else
        conversation->channel = channel_connect(conversation->base, path, &events, conversation);
    if (conversation->channel != NULL)
        return conversation;
    const int error = errno;
    conversation_free(conversation);
    errno = error;
    return NULL;
}

void conversation_send(struct conversation *conversation, uint8_t type, uint32_t id,
                       const void *payload, size_t length)
{
    channel_send(conversation->channel, type, id, payload, length, NULL, 0);
}

void conversation_done(struct conversation *conversation)
{
    conversation->done = true;
    event_base_loopbreak(conversation->base);
}

bool conversation_wait(struct conversation *conversation, unsigned seconds)
{
    const struct timeval limit = {.tv_sec = seconds};

    conversation->done = false;
    event_add(conversation->late, &limit);
    event_base_dispatch(conversation->base);
    event_del(conversation->late);
    return conversation->done;
}

void conversation_free(struct conversation *conversation)
{
    if (conversation == NULL)
        return;
    channel_free(conversation->channel);
    if (conversation->late != NULL)
        event_free(conversation->late);
    if (conversation->base != NULL)
        event_base_free(conversation->base);
    free(conversation);
}
