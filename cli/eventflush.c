#include <stdbool.h>
#include <stdio.h>

#include "cli/conversation.h"
#include "cli/eventflush.h"
#include "cli/instance.h"
#include "lib/authmsg.h"

/* What waits to be written takes a moment; with authd or admin away, what is written is shown. */
#define WAIT_SECONDS 3

static int on_message(void *context, const struct channel_message *message)
{
    struct conversation *const *conversation = context;

    if (message->type != AUTH_FLUSHED)
        return -1;
    conversation_done(*conversation);
    return 0;
}

void eventflush(void)
{
    struct conversation *conversation =
        conversation_begin(INSTANCE_AUTH_CONTROL, on_message, &conversation);

    if (conversation == NULL)
        return;
    conversation_send(conversation, AUTH_FLUSH, 1, NULL, 0);
    if (!conversation_wait(conversation, WAIT_SECONDS))
        fprintf(stderr,
                "bellhop: the last events are not shown: admin has not written them within "
                "%d seconds, and the log of the service says why\n",
                WAIT_SECONDS);
    conversation_free(conversation);
}
