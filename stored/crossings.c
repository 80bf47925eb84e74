#include "stored/crossings.h"

#include <string.h>

#include "lib/log.h"
#include "stored/server.h"
#include "stored/store.h"

/* Tells who waits what there is. Once it has left it is forgotten here: each is told once at most.
 */
static void tell(struct crossings *crossings)
{
    struct channel *channel = crossings->waiting->channel;
    unsigned count =
        crossings->count < STORE_CROSSINGS_MAX ? crossings->count : STORE_CROSSINGS_MAX;
    uint8_t *payload = channel_begin(channel, STORE_CROSSINGS_MAX * sizeof(struct store_crossing));

    for (unsigned i = 0; i < count; i++) {
        memcpy(payload + i * sizeof(struct store_crossing), &crossings->ring[crossings->first],
               sizeof(struct store_crossing));
        crossings->first = (crossings->first + 1) % CROSSINGS_MAX;
    }
    crossings->count -= count;
    if (crossings->count == 0)
        crossings->overflowed = false;
    crossings->waiting = NULL;
    channel_end(channel, STORE_CROSSINGS_ARE, crossings->waiting_id,
                count * sizeof(struct store_crossing));
}

void crossings_add(struct crossings *crossings, const struct store_crossing *crossing)
{
    if (crossings->count == CROSSINGS_MAX) {
        if (!crossings->overflowed)
            log_warning("%d mailboxes that are nearly full wait for admin to ask; the oldest are "
                        "told to no webhook",
                        CROSSINGS_MAX);
        crossings->overflowed = true;
        crossings->first = (crossings->first + 1) % CROSSINGS_MAX;
        crossings->count--;
    }
    crossings->ring[(crossings->first + crossings->count++) % CROSSINGS_MAX] = *crossing;
    if (crossings->waiting != NULL)
        tell(crossings);
}

int crossings_ask(struct connection *connection, const struct channel_message *message)
{
    struct crossings *crossings = &connection->store->crossings;

    if (crossings->waiting != NULL)
        tell(crossings);
    crossings->waiting = connection;
    crossings->waiting_id = message->id;
    if (crossings->count > 0)
        tell(crossings);
    return 0;
}

void crossings_end_all(const struct connection *connection)
{
    struct crossings *crossings = &connection->store->crossings;

    if (crossings->waiting == connection)
        crossings->waiting = NULL;
}
