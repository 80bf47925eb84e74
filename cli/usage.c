#include <errno.h>
#include <string.h>

#include "cli/conversation.h"
#include "cli/instance.h"
#include "cli/usage.h"
#include "lib/storemsg.h"

/* A store that takes longer to look up its own index is not in order. */
#define WAIT_SECONDS 5

/* Requests under way at once; more would fill the socket while nobody reads the answers. */
#define WINDOW 256

struct asking {
    struct conversation *conversation;
    struct usage *usages; /* a message's id is the index here */
    size_t count;
    size_t asked;
    size_t answered;
};

static void ask_next(struct asking *asking)
{
    while (asking->asked < asking->count && asking->asked - asking->answered < WINDOW) {
        struct store_mailbox_id request = {.mailbox = asking->usages[asking->asked].mailbox};
        conversation_send(asking->conversation, STORE_USAGE, (uint32_t)asking->asked, &request,
                          sizeof(request));
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
        conversation_done(asking->conversation);
    ask_next(asking);
    return 0;
}

const char *usage_ask(struct usage *usages, size_t count)
{
    struct asking asking = {.usages = usages, .count = count};

    for (size_t i = 0; i < count; i++)
        usages[i].known = false;
    asking.conversation = conversation_begin(INSTANCE_CONTROL, on_message, &asking);
    if (asking.conversation == NULL)
        return errno == EACCES || errno == EPERM ? "you may not ask the service"
                                                 : "the service is not running";
    ask_next(&asking);
    bool answered = count == 0 || conversation_wait(asking.conversation, WAIT_SECONDS);
    conversation_free(asking.conversation);
    return answered ? NULL : "the store does not answer";
}
