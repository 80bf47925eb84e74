#include <errno.h>
#include <stdint.h>

#include "cli/conversation.h"
#include "cli/instance.h"
#include "cli/storeask.h"

/* Each answer takes stored a millisecond. */
#define WAIT_SECONDS 5

struct asking {
    const struct storeask *ask;
    struct conversation *conversation;
    size_t asked; /* items */
    bool waiting;
};

static int on_message(void *context, const struct channel_message *message)
{
    struct asking *asking = context;
    const struct storeask *ask = asking->ask;

    if (message->type != ask->answer || !asking->waiting)
        return -1;
    if (ask->take != NULL && ask->take(ask->context, message->payload, message->length) < 0)
        return -1;
    asking->waiting = false;
    conversation_done(asking->conversation);
    return 0;
}

/* One request and its answer. */
static bool exchange(struct asking *asking)
{
    const struct storeask *ask = asking->ask;
    size_t left = ask->count - asking->asked;
    size_t count = left < STORE_MAILBOXES_MAX ? left : STORE_MAILBOXES_MAX;

    asking->waiting = true;
    conversation_send(asking->conversation, (uint8_t)ask->request, 1,
                      (const uint8_t *)ask->items + asking->asked * ask->item_size,
                      count * ask->item_size);
    asking->asked += count;
    return conversation_wait(asking->conversation, WAIT_SECONDS);
}

const char *storeask_run(const struct storeask *ask)
{
    struct asking asking = {.ask = ask};
    bool answered = true;

    if (ask->count == 0)
        return NULL;
    asking.conversation = conversation_begin(INSTANCE_CONTROL, on_message, &asking);
    if (asking.conversation == NULL)
        return errno == EACCES || errno == EPERM ? "you may not ask the service"
                                                 : "the service is not running";
    while (answered && asking.asked < ask->count)
        answered = exchange(&asking);
    conversation_free(asking.conversation);
    return answered ? NULL : "the store does not answer";
}
