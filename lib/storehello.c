#include <string.h>

#include "lib/channel.h"
#include "lib/child.h"
#include "lib/log.h"
#include "lib/storehello.h"
#include "lib/storemsg.h"

void storehello_ask(struct channel *channel)
{
    channel_send(channel, STORE_HELLO, 0, NULL, 0, NULL, 0);
}

int storehello_take(const struct channel_message *message)
{
    struct store_hello hello;

    if (message->type != STORE_HELLO_IS || message->length != sizeof(hello))
        return -1;
    memcpy(&hello, message->payload, sizeof(hello));
    if (hello.version != STORE_VERSION)
        log_fatal("the stored that runs speaks version %u of its messages and this program version "
                  "%d: restart bellhop serve",
                  hello.version, STORE_VERSION);
    return 0;
}

int storehello_take_ready(const struct channel_message *message)
{
    if (storehello_take(message) < 0)
        return -1;
    child_ready();
    return 0;
}
