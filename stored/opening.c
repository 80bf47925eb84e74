#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "lib/log.h"
#include "lib/xalloc.h"
#include "stored/index.h"
#include "stored/mailbox.h"
#include "stored/opening.h"
#include "stored/server.h"
#include "stored/session.h"
#include "stored/store.h"

/* Messages in a slice: about 1 ms, and less than a channel's message has room for. */
#define SLICE 2048

/* A mailbox with so many messages is opened at once. */
#define SMALL 512

/* A front that has so much to read gets no more for the moment. */
#define OUTPUT_MAX ((size_t)256 * 1024)

/* Memory is taken for so many messages beforehand at most; the count may be wrong. */
#define EXPECTED_MAX 1000000

struct opening {
    struct session *session;
    uint64_t from, to; /* uids that are still to be told */
    uint64_t octets;
    uint32_t room; /* of session->uids */
    struct opening *prev, *next;
};

struct openings {
    struct store *store;
    struct opening *queue; /* the next slice is the first one's that has room in its output */
    struct event *turn;
};

/* One at a time is gathered. */
struct slice {
    struct opening *opening;
    struct store_entry entries[SLICE];
    uint32_t count;
    uint8_t unique_ids[SLICE * (sizeof(struct store_unique_id) + STORE_UNIQUE_ID_MAX)];
    size_t unique_ids_length;
};

_Static_assert(sizeof(((struct slice *)0)->unique_ids) <= CHANNEL_PAYLOAD_MAX, "one message");

static struct slice slice;

static void add_unique_id(const char *text)
{
    struct store_unique_id head = {.message = slice.opening->session->count,
                                   .length = (uint32_t)strnlen(text, STORE_UNIQUE_ID_MAX)};
    uint8_t *end = slice.unique_ids + slice.unique_ids_length;

    if (head.length == 0)
        return;
    memcpy(end, &head, sizeof(head));
    memcpy(end + sizeof(head), text, head.length);
    slice.unique_ids_length += sizeof(head) + head.length;
}

static int add_message(void *context, const struct index_message *message)
{
    struct opening *opening = context;
    struct session *session = opening->session;

    if (message->unique_id != NULL)
        add_unique_id(message->unique_id);
    if (session->count == opening->room) {
        opening->room += opening->room / 2 + 32;
        session->uids = xrealloc(session->uids, opening->room * sizeof(session->uids[0]));
    }
    session->uids[session->count++] = message->uid;
    slice.entries[slice.count++] =
        (struct store_entry){message->uid, message->time, message->octets};
    opening->octets += message->octets;
    return 0;
}

/* 1: there may be more; 0: that was all; -1: the index fails. */
static int run_slice(struct opening *opening, struct index *index)
{
    struct session *session = opening->session;
    struct channel *channel = session->connection->channel;
    const struct index_range range = {session->mailbox->id, opening->from, opening->to, SLICE};

    slice.opening = opening;
    slice.count = 0;
    slice.unique_ids_length = 0;
    if (opening->from <= opening->to && index_list(index, &range, add_message, opening) < 0)
        return -1;
    if (slice.count > 0)
        channel_send(channel, STORE_ENTRIES, session->id, slice.entries,
                     slice.count * sizeof(slice.entries[0]), NULL, 0);
    if (slice.unique_ids_length > 0)
        channel_send(channel, STORE_UNIQUE_IDS, session->id, slice.unique_ids,
                     slice.unique_ids_length, NULL, 0);
    if (slice.count < SLICE)
        return 0;
    opening->from = session->uids[session->count - 1] + 1;
    return 1;
}

static void tell_opened(const struct opening *opening)
{
    const struct session *session = opening->session;
    struct store_opened opened = {.messages = session->count, .octets = opening->octets};

    channel_send(session->connection->channel, STORE_OPENED, session->id, &opened, sizeof(opened),
                 NULL, 0);
}

static void schedule(struct openings *openings)
{
    /* A timer, because what is made active by hand runs in the same turn. */
    static const struct timeval next_turn = {0};

    if (event_add(openings->turn, &next_turn) < 0)
        log_fatal("out of memory");
}

static bool has_room(const struct opening *opening)
{
    return channel_pending(opening->session->connection->channel) < OUTPUT_MAX;
}

/* Each in its turn has one slice. When no front has room, openings_go_on() comes. */
static void on_turn(evutil_socket_t fd, short what, void *context)
{
    struct openings *openings = context;
    struct opening *opening;
    (void)fd;
    (void)what;

    DL_FOREACH (openings->queue, opening)
        if (has_room(opening))
            break;
    if (opening == NULL)
        return;
    struct session *session = opening->session;
    int more = run_slice(opening, session_index(session));
    if (more == 0)
        tell_opened(opening);
    if (more == 1) {
        DL_DELETE(openings->queue, opening);
        DL_APPEND(openings->queue, opening);
    } else {
        opening_stop(opening);
    }
    if (more < 0) {
        session_refuse(session, STORE_BROKEN);
        session_end(session);
    }
    if (openings->queue != NULL)
        schedule(openings);
}

struct openings *openings_new(struct store *store)
{
    struct openings *openings = xcalloc(1, sizeof(*openings));

    openings->store = store;
    openings->turn = event_new(store->base, -1, 0, on_turn, openings);
    if (openings->turn == NULL)
        log_fatal("out of memory");
    return openings;
}

void openings_free(struct openings *openings)
{
    if (openings == NULL)
        return;
    event_free(openings->turn);
    free(openings);
}

void openings_go_on(struct openings *openings)
{
    if (openings->queue != NULL)
        schedule(openings);
}

static void tell_opening(const struct session *session, uint64_t messages)
{
    struct store_opening begun = {messages < UINT32_MAX ? (uint32_t)messages : UINT32_MAX};

    channel_send(session->connection->channel, STORE_OPENING, session->id, &begun, sizeof(begun),
                 NULL, 0);
}

enum store_result opening_begin(struct session *session)
{
    struct openings *openings = session->store->openings;
    uint64_t messages = session->mailbox->messages;
    struct opening opening = {
        .session = session,
        .from = 1,
        .to = session->mailbox->uid_next - 1,
        .room = messages < EXPECTED_MAX ? (uint32_t)messages : EXPECTED_MAX,
    };
    int more = 1;

    tell_opening(session, messages);
    if (opening.room > 0)
        session->uids = xmalloc(opening.room * sizeof(session->uids[0]));
    if (messages <= SMALL)
        more = run_slice(&opening, session->store->index);
    if (more < 0)
        return STORE_BROKEN;
    if (more == 0) {
        tell_opened(&opening);
        return STORE_OK;
    }
    session->large = true;
    index_commit(session->store->index); /* what the other connection is to see */
    session->opening = xmalloc(sizeof(opening));
    *session->opening = opening;
    DL_APPEND(openings->queue, session->opening);
    schedule(openings);
    return STORE_OK;
}

void opening_stop(struct opening *opening)
{
    if (opening == NULL)
        return;
    DL_DELETE(opening->session->store->openings->queue, opening);
    opening->session->opening = NULL;
    free(opening);
}
