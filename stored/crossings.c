#include "stored/crossings.h"

#include <string.h>

#include "lib/log.h"
#include "stored/server.h"
#include "stored/store.h"

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
}

/* Once it has left they are forgotten here: each is told once at most. */
int crossings_tell(struct connection *connection, const struct channel_message *message)
{
    struct crossings *crossings = &connection->store->crossings;
    unsigned count =
        crossings->count < STORE_CROSSINGS_MAX ? crossings->count : STORE_CROSSINGS_MAX;
    uint8_t *payload =
        channel_begin(connection->channel, STORE_CROSSINGS_MAX * sizeof(struct store_crossing));

    for (unsigned i = 0; i < count; i++) {
        memcpy(payload + i * sizeof(struct store_crossing), &crossings->ring[crossings->first],
               sizeof(struct store_crossing));
        crossings->first = (crossings->first + 1) % CROSSINGS_MAX;
    }
    crossings->count -= count;
    if (crossings->count == 0)
        crossings->overflowed = false;
    channel_end(connection->channel, STORE_CROSSINGS_ARE, message->id,
                count * sizeof(struct store_crossing));
    return 0;
}
