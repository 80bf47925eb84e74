/*
 * A message that fits into one piece for certain ("whole") is asked for with one request, and only
 * behind such a one may the next message be asked for: a second piece of the first would otherwise
 * come after the next message. One that is longer than what LIST says allows is damaged.
 *
 * The final "." is a promise that the message is complete, so it is never sent after a failure.
 */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "lib/message.h"
#include "lib/metrics.h"
#include "lib/surrogate.h"
#include "lib/xalloc.h"
#include "pop3d/command.h"
#include "pop3d/fetch.h"
#include "pop3d/limits.h"
#include "pop3d/number.h"
#include "pop3d/regions.h"
#include "pop3d/reply.h"
#include "pop3d/session.h"

struct fetch {
    struct fetch *prev;
    struct fetch *next;
    uint32_t message; /* index */
    uint32_t room;    /* octets asked for and not yet answered */
    uint32_t place;   /* where they are to come, in regions; or STORE_NO_PLACE */
    struct regions *regions;
    uint64_t offset; /* of the next octet, in stored form */
    uint64_t length; /* of the whole body; known once `begun` */
    uint64_t lines;  /* of TOP */
    struct message_top cut;
    struct surrogate *surrogate; /* NULL: the message goes out as it is */
    enum store_form form;
    bool top;
    bool whole;
    bool begun; /* "+OK" is sent */
};

static void give_place(struct fetch *fetch)
{
    if (fetch->place != STORE_NO_PLACE)
        regions_give(fetch->regions, fetch->place);
    fetch->place = STORE_NO_PLACE;
}

static void free_surrogate(struct fetch *fetch)
{
    if (fetch->surrogate != NULL)
        surrogate_clear(fetch->surrogate);
    free(fetch->surrogate);
    fetch->surrogate = NULL;
}

static void drop_first(struct fetches *fetches)
{
    struct fetch *fetch = fetches->queue;

    give_place(fetch);
    free_surrogate(fetch);
    DL_DELETE(fetches->queue, fetch);
    fetches->count--;
    fetches->expected -= fetch->room;
    free(fetch);
}

void fetches_clear(struct fetches *fetches)
{
    while (fetches->queue != NULL)
        drop_first(fetches);
}

static bool has_room(const struct session *session)
{
    return session_waiting(session) + session->fetches.expected < LIMIT_OUTPUT;
}

bool fetch_may_begin(const struct session *session)
{
    const struct fetch *first = session->fetches.queue;

    if (session->aheads.waiting > 0)
        return false;
    /* In a utlist the last one stands before the first. */
    return first == NULL ||
           (first->prev->whole && session->fetches.count < LIMIT_FETCHES && has_room(session));
}

static void ask(struct session *session, struct fetch *fetch, uint32_t room)
{
    struct store_read request = {.message = fetch->message, .room = room, .offset = fetch->offset};

    fetch->room = room;
    fetch->regions = storeclient_regions(&session->store);
    request.place = fetch->place = regions_take(fetch->regions, room);
    session->fetches.expected += room;
    storeclient_read(&session->store, &request);
}

/*
 * The most octets that a message's stored form can have: a line that gets a second dot has at
 * least three octets.
 */
static uint64_t most_stored(uint64_t octets)
{
    return octets + octets / 3 + 4;
}

uint32_t fetch_room(const struct session *session, uint32_t message)
{
    uint64_t octets = maildrop_stored_octets(&session->maildrop, message);

    if (octets >= LIMIT_PIECE || most_stored(octets) > LIMIT_PIECE)
        return 0;
    return (uint32_t)most_stored(octets);
}

void fetch_begin(struct session *session, uint32_t message, bool top, uint64_t lines)
{
    uint64_t octets = maildrop_stored_octets(&session->maildrop, message);
    struct fetch *fetch = xcalloc(1, sizeof(*fetch));
    uint32_t most = top ? LIMIT_TOP_PIECE : LIMIT_PIECE;

    fetch->message = message;
    fetch->place = STORE_NO_PLACE;
    fetch->top = top;
    fetch->lines = lines;
    fetch->whole = octets < most && most_stored(octets) <= most;
    DL_APPEND(session->fetches.queue, fetch);
    session->fetches.count++;
    session->wait = SESSION_FETCHING;
    ask(session, fetch, fetch->whole ? (uint32_t)most_stored(octets) : most);
    session->aheads.wanted = fetch->whole && !top;
}

void fetch_continue(struct session *session)
{
    struct fetch *first = session->fetches.queue;

    if (first != NULL && first->room == 0 && has_room(session)) {
        uint64_t left = first->length - first->offset;
        ask(session, first, left < LIMIT_PIECE ? (uint32_t)left : LIMIT_PIECE);
    }
}

/*
 * "+OK 1234 octets" once, before the first piece; then nothing. Of a surrogate they are not known
 * where nobody has looked when the message came.
 */
static const char *head_line(struct session *session, struct fetch *fetch, char text_r[64])
{
    size_t length = 4;

    if (fetch->begun)
        return "";
    fetch->begun = true;
    if (fetch->top || (fetch->surrogate != NULL && fetch->form != STORE_FORM_SURROGATE))
        return "+OK\r\n";
    memcpy(text_r, "+OK ", 4);
    length += number_format(text_r + length, maildrop_octets(&session->maildrop, fetch->message));
    memcpy(text_r + length, " octets\r\n", 10);
    return text_r;
}

static void count_sent(struct session *session, const struct fetch *fetch, size_t octets,
                       bool complete)
{
    session->retrieved_octets += octets;
    metric_add(METRIC_POP3_RETRIEVED_OCTETS, (int64_t)octets);
    if (complete && !fetch->top) {
        session->retrieved++;
        metric_add(METRIC_POP3_RETRIEVED, 1);
    }
}

static void finish_first(struct session *session)
{
    drop_first(&session->fetches);
    if (session->fetches.count == 0)
        session->wait = SESSION_READY;
}

/* Sent from where it is: stored puts nothing else there until it has been given back. */
static void on_sent(const void *octets, size_t length, void *context)
{
    struct regions *regions = context;
    (void)length;

    regions_give(regions, (uint32_t)((const uint8_t *)octets - regions_octets(regions, 0)));
}

/* The first piece has come. Its message is looked at only where nobody has done so. */
static void choose_form(const struct session *session, struct fetch *fetch,
                        const struct store_data *data, const void *piece, size_t length)
{
    fetch->form = (enum store_form)data->form;
    if (session->utf8 || fetch->form == STORE_FORM_ORIGINAL)
        return;
    if (fetch->form != STORE_FORM_SURROGATE &&
        !surrogate_is_needed(piece, length, data->top_length))
        return;
    fetch->surrogate = xmalloc(sizeof(*fetch->surrogate));
    surrogate_init(fetch->surrogate);
}

/* Returns how many octets the piece has become. */
static size_t add_surrogate(struct session *session, struct fetch *fetch, const void *piece,
                            size_t length, bool complete)
{
    struct evbuffer *output = session_output(session);
    char room[64];

    reply_add_piece(output, head_line(session, fetch, room), NULL, 0, "");
    size_t before = evbuffer_get_length(output);
    surrogate_take(fetch->surrogate, piece, length, output);
    if (complete)
        surrogate_end(fetch->surrogate, output);
    size_t added = evbuffer_get_length(output) - before;
    reply_add_piece(output, complete ? ".\r\n" : "", NULL, 0, "");
    give_place(fetch);
    return added;
}

static void add_original(struct session *session, struct fetch *fetch, const void *piece,
                         size_t length, const char *tail)
{
    struct evbuffer *output = session_output(session);
    char room[64];
    const char *head = head_line(session, fetch, room);

    if (fetch->place == STORE_NO_PLACE || length < LIMIT_COPY ||
        !stream_may_lend(&session->stream)) {
        reply_add_piece(output, head, piece, length, tail);
        give_place(fetch);
        return;
    }
    reply_add_piece(output, head, NULL, 0, "");
    stream_lend(&session->stream, piece, length, on_sent, fetch->regions);
    reply_add_piece(output, tail, NULL, 0, "");
    fetch->place = STORE_NO_PLACE;
}

static void add_piece(struct session *session, struct fetch *fetch, const void *piece,
                      size_t length, bool complete)
{
    const char *tail = complete ? ".\r\n" : "";

    if (fetch->surrogate != NULL)
        length = add_surrogate(session, fetch, piece, length, complete);
    else
        add_original(session, fetch, piece, length, tail);
    count_sent(session, fetch, length, complete);
}

static bool fits(const struct fetch *fetch, const struct store_data *data, size_t length)
{
    if (fetch == NULL || fetch->room == 0 || length > fetch->room)
        return false;
    if (fetch->begun && data->length != fetch->length)
        return false;
    if (fetch->offset > data->length || length > data->length - fetch->offset)
        return false;
    return length > 0 || fetch->offset == data->length;
}

int fetch_data(struct session *session, const struct store_data *data, const void *piece,
               size_t length)
{
    struct fetch *fetch = session->fetches.queue;

    if (!fits(fetch, data, length) || (piece == NULL) != (fetch->place != STORE_NO_PLACE))
        return -1;
    if (piece == NULL)
        piece = regions_octets(fetch->regions, fetch->place);
    if (fetch->whole && length < data->length)
        return fetch_failed(session, STORE_DAMAGED);
    if (!fetch->begun) {
        message_top_init(&fetch->cut, data->top_length, fetch->lines);
        choose_form(session, fetch, data, piece, length);
    }
    session->fetches.expected -= fetch->room;
    fetch->room = 0;
    fetch->length = data->length;
    fetch->offset += length;
    size_t shown = fetch->top ? message_top_take(&fetch->cut, piece, length) : length;
    bool complete = shown < length || fetch->offset == fetch->length;
    add_piece(session, fetch, piece, shown, complete);
    if (complete)
        finish_first(session);
    return 0;
}

bool fetch_from_ahead(struct session *session, uint32_t message)
{
    struct fetch fetch = {.message = message};
    struct ahead_found found;

    ahead_note(session, message);
    if (session->fetches.queue != NULL || !ahead_take(session, message, &found))
        return false;
    fetch.regions = found.regions;
    fetch.place = found.place;
    const void *octets = regions_octets(found.regions, found.place);
    choose_form(session, &fetch, &found.data, octets, found.length);
    add_piece(session, &fetch, octets, found.length, true);
    free_surrogate(&fetch);
    return true;
}

int fetch_failed(struct session *session, enum store_result result)
{
    const struct fetch *fetch = session->fetches.queue;

    if (fetch == NULL || fetch->room == 0)
        return -1;
    if (fetch->begun) {
        session_end(session, SESSION_STORE_FAILED);
        return 0;
    }
    finish_first(session);
    switch (result) {
    case STORE_NO_MESSAGE: command_answer(session, REPLY_NO_MESSAGE); break;
    case STORE_DAMAGED: command_answer(session, REPLY_DAMAGED); break;
    default: command_answer(session, REPLY_READ_FAILED); break;
    }
    return 0;
}

void fetch_lost(struct session *session)
{
    const struct fetch *fetch = session->fetches.queue;

    if (fetch->begun) {
        session_end(session, SESSION_STORE_FAILED);
        return;
    }
    fetches_clear(&session->fetches);
    session->wait = SESSION_READY;
    command_answer(session, REPLY_STORE_UNAVAILABLE);
}
