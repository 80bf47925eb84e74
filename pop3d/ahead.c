#include <event2/buffer.h>
#include <stdlib.h>
#include <utlist.h>

#include "lib/clock.h"
#include "lib/xalloc.h"
#include "pop3d/ahead.h"
#include "pop3d/fetch.h"
#include "pop3d/limits.h"
#include "pop3d/regions.h"
#include "pop3d/server.h"
#include "pop3d/session.h"

struct ahead {
    struct ahead *prev, *next;   /* of the session */
    struct ahead *older, *newer; /* of the process */
    struct session *session;
    struct regions *regions;
    uint32_t message;
    uint32_t place;
    uint32_t room;
    bool answered;
    bool failed;
    size_t length;
    struct store_data data;
    uint32_t asked; /* clock_seconds() */
};

static void forget(struct ahead *ahead)
{
    DL_DELETE(ahead->session->aheads.queue, ahead);
    DL_DELETE2(ahead->session->server->aheads, ahead, older, newer);
    free(ahead);
}

static void drop(struct ahead *ahead)
{
    regions_give(ahead->regions, ahead->place);
    forget(ahead);
}

void ahead_clear(struct session *session)
{
    while (session->aheads.queue != NULL)
        drop(session->aheads.queue);
    session->aheads.waiting = 0;
}

void ahead_note(struct session *session, uint32_t message)
{
    struct aheads *aheads = &session->aheads;

    aheads->in_order = message == aheads->next && message > 0 ? aheads->in_order + 1 : 0;
    aheads->next = message + 1;
}

bool ahead_take(struct session *session, uint32_t message, struct ahead_found *found_r)
{
    struct ahead *first;

    while ((first = session->aheads.queue) != NULL) {
        if (first->message == message && !first->failed) {
            *found_r = (struct ahead_found){.regions = first->regions,
                                            .place = first->place,
                                            .length = first->length,
                                            .data = first->data};
            forget(first);
            return true;
        }
        drop(first);
    }
    return false;
}

/* Whose client has stopped to fetch does not keep others from it. */
static void drop_old(struct server *server, uint32_t now)
{
    while (server->aheads != NULL && server->aheads->answered &&
           server->aheads->asked + LIMIT_AHEAD_TIME < now)
        drop(server->aheads);
}

static bool ask_one(struct session *session, uint32_t message, uint32_t now)
{
    uint32_t room = fetch_room(session, message);
    struct regions *regions = storeclient_regions(&session->store);
    struct store_read request = {.message = message, .room = room, .ahead = 1};

    if (regions == NULL || regions_taken(regions) + room > STORE_MEMORY_SIZE / 2)
        return false;
    request.place = regions_take(regions, room);
    if (request.place == STORE_NO_PLACE)
        return false;
    struct ahead *ahead = xcalloc(1, sizeof(*ahead));
    ahead->session = session;
    ahead->regions = regions;
    ahead->message = message;
    ahead->place = request.place;
    ahead->room = room;
    ahead->asked = now;
    DL_APPEND(session->aheads.queue, ahead);
    DL_APPEND2(session->server->aheads, ahead, older, newer);
    session->aheads.waiting++;
    storeclient_read(&session->store, &request);
    return true;
}

/* Not for who is behind with reading, nor for who asks for several at once anyway. */
static bool is_worth_it(const struct session *session)
{
    return session->aheads.in_order > 0 && session->fetches.count == 1 &&
           session_waiting(session) == 0 && evbuffer_get_length(session->stream.input) == 0;
}

void ahead_ask(struct session *session)
{
    uint32_t message = session->aheads.next;
    uint32_t left = session->aheads.in_order;
    uint32_t octets = 0;

    if (!session->aheads.wanted)
        return;
    session->aheads.wanted = false;
    if (!is_worth_it(session))
        return;
    ahead_clear(session);
    uint32_t now = clock_seconds();
    drop_old(session->server, now);
    if (left > LIMIT_AHEAD_MESSAGES)
        left = LIMIT_AHEAD_MESSAGES;
    for (; left > 0 && message < session->maildrop.count; message++) {
        if (maildrop_deleted(&session->maildrop, message))
            continue;
        uint32_t room = fetch_room(session, message);
        octets += room;
        if (room == 0 || octets > LIMIT_AHEAD || !ask_one(session, message, now))
            return;
        left--;
    }
}

static struct ahead *first_waiting(const struct session *session)
{
    struct ahead *ahead;

    DL_FOREACH (session->aheads.queue, ahead)
        if (!ahead->answered)
            return ahead;
    return NULL;
}

int ahead_data(struct session *session, const struct store_data *data, const void *piece,
               size_t length)
{
    struct ahead *ahead = first_waiting(session);

    if (ahead == NULL || piece != NULL || length > ahead->room || length > data->length)
        return -1;
    ahead->answered = true;
    ahead->failed = length < data->length;
    ahead->length = length;
    ahead->data = *data;
    session->aheads.waiting--;
    return 0;
}

int ahead_failed(struct session *session)
{
    struct ahead *ahead = first_waiting(session);

    if (ahead == NULL)
        return -1;
    session->aheads.waiting--;
    drop(ahead);
    return 0;
}
