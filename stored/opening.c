#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "lib/log.h"
#include "lib/surrogate.h"
#include "lib/xalloc.h"
#include "stored/index.h"
#include "stored/mailbox.h"
#include "stored/opening.h"
#include "stored/record.h"
#include "stored/server.h"
#include "stored/session.h"
#include "stored/store.h"
#include "stored/uniqueid.h"

/* Messages in a slice: about 1 ms, and less than a channel's message has room for. */
#define SLICE 2048

/* A mailbox with so many messages is opened at once, and what it holds needs no announcing. */
#define SMALL 512

/* A front that has so much to read gets no more for the moment. */
#define OUTPUT_MAX ((size_t)256 * 1024)

/* Memory is taken for so many messages beforehand at most; the count may be wrong. */
#define EXPECTED_MAX 1000000

struct opening {
    struct session *session;
    uint64_t from, to; /* uids that are still to be told */
    uint64_t octets;
    int64_t growth;
    uint32_t room;   /* of session->uids */
    bool surrogates; /* some of the messages have one */
    bool own_ids;    /* none of the messages was imported with a unique-id */
    bool announced;
    struct store_totals totals; /* as announced */
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
    struct store_growth growths[SLICE];
    uint32_t growths_count;
    uint8_t unique_ids[SLICE * (sizeof(struct store_unique_id) + STORE_UNIQUE_ID_MAX)];
    size_t unique_ids_length;
};

_Static_assert(sizeof(((struct slice *)0)->unique_ids) <= CHANNEL_PAYLOAD_MAX, "one message");

static struct slice slice;

/* The front would take it for a fault of ours, and end the sessions of all mailboxes. */
static void leave_out(const struct session *session, uint64_t uid, const char *what)
{
    log_error("the index tells %s that no message can have of mailbox=%" PRIu64 " uid=%" PRIu64
              ", which is left out; stop the service and run \"bellhop -C DIR store rebuild\"",
              what, session->mailbox->id, uid);
}

static void add_unique_id(uint64_t uid, const char *text)
{
    const struct session *session = slice.opening->session;
    struct store_unique_id head = {.message = session->count, .length = (uint32_t)strlen(text)};
    uint8_t *end = slice.unique_ids + slice.unique_ids_length;

    if (!unique_id_is_text(text, strlen(text))) {
        leave_out(session, uid, "a unique-id");
        return;
    }
    memcpy(end, &head, sizeof(head));
    memcpy(end + sizeof(head), text, head.length);
    slice.unique_ids_length += sizeof(head) + head.length;
}

static int add_message(void *context, const struct index_message *message)
{
    struct opening *opening = context;
    struct session *session = opening->session;

    if (message->unique_id != NULL)
        add_unique_id(message->uid, message->unique_id);
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

/* Of one of the slice's messages; both ascend. */
static int add_growth(void *context, uint64_t uid, int64_t growth)
{
    struct opening *opening = context;
    const struct session *session = opening->session;
    const struct store_surrogate surrogate = {growth, SURROGATE_VERSION, 1, {0}};
    const uint32_t first = session->count - slice.count;
    uint32_t message = first;

    if (slice.growths_count > 0)
        message = slice.growths[slice.growths_count - 1].message + 1;
    while (message < session->count && session->uids[message] < uid)
        message++;
    if (message == session->count || session->uids[message] != uid)
        return 0;
    if (!record_surrogate_is_credible(&surrogate, slice.entries[message - first].octets)) {
        leave_out(session, uid, "a size of a surrogate");
        return 0;
    }
    slice.growths[slice.growths_count++] =
        (struct store_growth){.message = message, .growth = growth};
    opening->growth += growth;
    return 0;
}

static int find_growths(struct opening *opening, struct index *index)
{
    const struct session *session = opening->session;
    const struct index_range range = {
        .mailbox = session->mailbox->id,
        .from = slice.entries[0].uid,
        .to = slice.entries[slice.count - 1].uid,
    };

    return index_each_growth(index, &range, add_growth, opening);
}

static void send_slice(const struct session *session)
{
    struct channel *channel = session->connection->channel;

    channel_send(channel, STORE_ENTRIES, session->id, slice.entries,
                 slice.count * sizeof(slice.entries[0]), NULL, 0);
    if (slice.growths_count > 0)
        channel_send(channel, STORE_GROWTHS, session->id, slice.growths,
                     slice.growths_count * sizeof(slice.growths[0]), NULL, 0);
    if (slice.unique_ids_length > 0)
        channel_send(channel, STORE_UNIQUE_IDS, session->id, slice.unique_ids,
                     slice.unique_ids_length, NULL, 0);
}

/* 1: there may be more; 0: that was all; -1: the index fails. */
static int run_slice(struct opening *opening, struct index *index)
{
    struct session *session = opening->session;
    const struct index_range range = {session->mailbox->id, opening->from, opening->to, SLICE};

    slice.opening = opening;
    slice.count = 0;
    slice.growths_count = 0;
    slice.unique_ids_length = 0;
    if (opening->from <= opening->to &&
        (opening->own_ids ? index_list_own : index_list)(index, &range, add_message, opening) < 0)
        return -1;
    if (slice.count > 0 && opening->surrogates && find_growths(opening, index) < 0)
        return -1;
    if (slice.count > 0)
        send_slice(session);
    if (slice.count < SLICE)
        return 0;
    opening->from = session->uids[session->count - 1] + 1;
    return 1;
}

static void tell_totals(const struct session *session, enum store_type type,
                        const struct store_totals *totals)
{
    channel_send(session->connection->channel, (uint8_t)type, session->id, totals, sizeof(*totals),
                 NULL, 0);
}

/*
 * The front ends a session to which it has told other totals than there are. The next one waits for
 * the whole list, so that the mail can be had.
 */
static void note_miscounted(const struct opening *opening, const struct store_totals *totals)
{
    log_error("the index counts %" PRIu32 " messages with %" PRIu64 " octets (%" PRId64
              " more without UTF8) in mailbox=%" PRIu64 " and has %" PRIu32 " with %" PRIu64
              " (%" PRId64 "); stop the service and run \"bellhop -C DIR store rebuild\"",
              opening->totals.messages, opening->totals.octets, opening->totals.growth,
              opening->session->mailbox->id, totals->messages, totals->octets, totals->growth);
    opening->session->mailbox->miscounted = true;
}

static void tell_opened(const struct opening *opening)
{
    const struct session *session = opening->session;
    const struct store_totals totals = {
        .messages = session->count, .octets = opening->octets, .growth = opening->growth};

    if (opening->announced && memcmp(&totals, &opening->totals, sizeof(totals)) != 0)
        note_miscounted(opening, &totals);
    tell_totals(session, STORE_OPENED, &totals);
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

/*
 * What the index counts is what the list will come to: the session's lock keeps what there is, and
 * what comes has uids above. uid_next is the index's, because messages with uids that have been
 * given out may become durable while the list is made. 1, or -1: the index fails.
 */
static int announce(struct opening *opening)
{
    const struct session *session = opening->session;
    struct index *index = session->store->index;
    struct index_mailbox row;

    int named = index_has_unique_ids(index, session->mailbox->id);
    if (named < 0 || index_get_mailbox(index, session->mailbox->id, &row) < 0)
        return -1;
    opening->own_ids = named == 0;
    opening->to = row.uid_next - 1;
    opening->totals.messages = row.messages < UINT32_MAX ? (uint32_t)row.messages : UINT32_MAX;
    opening->totals.octets = row.octets;
    opening->totals.growth = row.growth;
    opening->surrogates = row.surrogates > 0;
    opening->announced = !session->mailbox->miscounted;
    if (opening->announced)
        tell_totals(session, STORE_OPENING, &opening->totals);
    return 1;
}

/* The list is made in the turns to come, by the other connection to the index. */
static void begin_large(const struct opening *opening)
{
    struct session *session = opening->session;
    struct openings *openings = session->store->openings;

    session->large = true;
    session->opening = xmalloc(sizeof(*opening));
    *session->opening = *opening;
    DL_APPEND(openings->queue, session->opening);
    schedule(openings);
    index_commit(session->store->index); /* what that is to see */
}

enum store_result opening_begin(struct session *session)
{
    uint64_t messages = session->mailbox->messages;
    struct opening opening = {
        .session = session,
        .from = 1,
        .to = session->mailbox->uid_next - 1,
        .surrogates = session->mailbox->surrogates > 0,
        .room = messages < EXPECTED_MAX ? (uint32_t)messages : EXPECTED_MAX,
    };

    if (opening.room > 0)
        session->uids = xmalloc(opening.room * sizeof(session->uids[0]));
    int more = messages <= SMALL ? run_slice(&opening, session->store->index) : announce(&opening);
    if (more == 0)
        tell_opened(&opening);
    else if (more == 1)
        begin_large(&opening);
    if (more < 0)
        return STORE_BROKEN;
    mailbox_note_login(session->mailbox);
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
