#include <stdlib.h>
#include <string.h>

#include "lib/xalloc.h"
#include "stored/index.h"
#include "stored/mailbox.h"
#include "stored/places.h"
#include "stored/session.h"

/* Messages looked up at once: in order, and for one that was jumped to. A query costs as much as
 * ten further rows. */
#define WINDOW 64
#define GLANCE 8

struct places {
    const struct session *session;
    uint32_t first, count; /* messages that `found` is about */
    uint32_t room;
    struct place found[]; /* segment 0: the index does not have it */
};

struct places *places_new(const struct session *session)
{
    uint32_t room = session->count < WINDOW ? session->count : WINDOW;
    struct places *places = xcalloc(1, sizeof(*places) + room * sizeof(places->found[0]));

    places->session = session;
    places->room = room;
    return places;
}

void places_free(struct places *places)
{
    free(places);
}

/* Sets which messages to look up for this one. */
static void move_window(struct places *places, uint32_t message)
{
    uint32_t end = places->first + places->count;
    uint32_t all = places->session->count;

    if (places->count == 0 || (message >= end && message - end < WINDOW)) {
        places->first = message;
        places->count = places->room;
    } else if (message < places->first && places->first - message < WINDOW) {
        places->first = message + 1 > places->room ? message + 1 - places->room : 0;
        places->count = places->room;
    } else {
        places->first = message;
        places->count = places->room < GLANCE ? places->room : GLANCE;
    }
    if (places->count > all - places->first)
        places->count = all - places->first;
}

struct filling {
    struct places *places;
    uint32_t next; /* of places->found */
};

/* Both ascend. A row that is none of the session's came after it was opened. */
static int fill(void *context, const struct index_message *message)
{
    struct filling *filling = context;
    struct places *places = filling->places;

    while (filling->next < places->count &&
           session_uid(places->session, places->first + filling->next) < message->uid)
        filling->next++;
    if (filling->next == places->count ||
        session_uid(places->session, places->first + filling->next) != message->uid)
        return 0;
    places->found[filling->next++] = (struct place){
        .segment = message->segment,
        .offset = message->offset,
        .body_length = message->body_length,
        .octets = message->octets,
        .time = message->time,
        .header_length = message->header_length,
    };
    return 0;
}

static int look_up(struct places *places, uint32_t message)
{
    const struct session *session = places->session;
    struct filling filling = {.places = places};

    move_window(places, message);
    struct index_range range = {
        .mailbox = session->mailbox->id,
        .from = session_uid(session, places->first),
        .to = session_uid(session, places->first + places->count - 1),
        .most = INT64_MAX,
    };
    memset(places->found, 0, places->count * sizeof(places->found[0]));
    if (index_each_message(session_index(session), &range, fill, &filling) == 0)
        return 0;
    places->count = 0;
    return -1;
}

enum store_result places_find(struct places *places, uint32_t message, const struct place **place_r)
{
    if ((message < places->first || message - places->first >= places->count) &&
        look_up(places, message) < 0)
        return STORE_BROKEN;
    *place_r = &places->found[message - places->first];
    return (*place_r)->segment != 0 ? STORE_OK : STORE_NO_MESSAGE;
}
