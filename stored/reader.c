#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/xalloc.h"
#include "stored/checksum.h"
#include "stored/mailbox.h"
#include "stored/places.h"
#include "stored/reader.h"
#include "stored/record.h"
#include "stored/segments.h"
#include "stored/server.h"
#include "stored/session.h"
#include "stored/store.h"
#include "stored/trouble.h"

/* Requests of one session that wait; a front needs one, and a few more to read ahead. */
#define REQUESTS_MAX 16

/* What is checked of a long message before other work has its turn: about 0.1 ms. */
#define SLICE (256 * 1024)

#define NO_MESSAGE UINT32_MAX

struct reading {
    struct session *session;
    struct store_read requests[REQUESTS_MAX];
    unsigned first, count;
    uint32_t placed; /* the message that `place` is of */
    struct place place;
    uint32_t checked;       /* the message whose body was found good last */
    struct store_data data; /* of it */
    /* The check of a long message, for the first request in the queue. */
    XXH3_state_t *sum;
    uint64_t summed;
    uint64_t body_sum; /* what it should be */
    struct event *turn;
};

/* One header at a time is looked at; and one slice of a long body. */
static union {
    struct record_header header;
    uint8_t octets[RECORD_HEADER_MAX];
} scratch;
static uint8_t slice[SLICE];

static void serve(struct reading *reading);

static void on_turn(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    serve(context);
}

struct reading *reading_new(struct session *session)
{
    struct reading *reading = xcalloc(1, sizeof(*reading));

    reading->session = session;
    reading->placed = NO_MESSAGE;
    reading->checked = NO_MESSAGE;
    reading->turn = event_new(session->store->base, -1, 0, on_turn, reading);
    if (reading->turn == NULL)
        log_fatal("out of memory");
    return reading;
}

void reading_free(struct reading *reading)
{
    if (reading == NULL)
        return;
    event_free(reading->turn);
    XXH3_freeState(reading->sum);
    free(reading);
}

static const struct store_read *request_of(const struct reading *reading)
{
    return &reading->requests[reading->first];
}

static void next_request(struct reading *reading)
{
    reading->first = (reading->first + 1) % REQUESTS_MAX;
    reading->count--;
}

static void refuse(struct reading *reading, enum store_result result)
{
    session_refuse(reading->session, result);
    next_request(reading);
}

/* Says what is wrong with a message on disk, in the words that `store verify` uses. */
static enum store_result damaged(const struct reading *reading, const char *what)
{
    const struct place *place = &reading->place;
    char name[SEGMENT_NAME_SIZE];

    segment_name(place->segment, name);
    if (request_of(reading)->ahead != 0)
        return STORE_DAMAGED;
    log_error("damaged: mailbox=%" PRIu64 " uid=%" PRIu64 " file=%s offset=%" PRIu64 ": %s",
              reading->session->mailbox->id,
              session_uid(reading->session, request_of(reading)->message), name, place->offset,
              what);
    metric_add(METRIC_STORE_DAMAGED, 1);
    return STORE_DAMAGED;
}

/* Reads pieces of the message's record. STORE_OK, STORE_DAMAGED or STORE_BROKEN. */
static enum store_result read_pieces(const struct reading *reading, struct iovec *pieces, int count,
                                     uint64_t offset)
{
    const struct place *place = &reading->place;

    /* More than the scratch holds: the index is damaged. */
    if (place->header_length > RECORD_HEADER_MAX)
        return damaged(reading, "the index gives its header an impossible length");
    int error = segments_read(reading->session->store->segments, place->segment, pieces, count,
                              place->offset + offset);

    if (error == 0) {
        trouble_passed(TROUBLE_READ);
        return STORE_OK;
    }
    if (error == ENOENT || error == ENODATA || error == EIO || error == EBADMSG || error == EXDEV ||
        error == EINVAL)
        return damaged(reading, segment_problem(error));
    if (request_of(reading)->ahead == 0)
        trouble_tell(TROUBLE_READ, "a message cannot be read", error);
    return STORE_BROKEN;
}

/* Whether the header in scratch is this message's own. */
static enum store_result check_header(const struct reading *reading)
{
    const struct place *place = &reading->place;
    const struct session *session = reading->session;

    if (record_check(scratch.octets, place->header_length, place->segment, place->offset,
                     session->store->seed) != 0)
        return damaged(reading, "its header's checksum does not fit");
    if (scratch.header.body_length != place->body_length ||
        scratch.header.octets != place->octets || scratch.header.time != place->time ||
        !record_names(&scratch.header, session->mailbox->id,
                      session_uid(session, request_of(reading)->message)))
        return damaged(reading, "the index names another message's place");
    return STORE_OK;
}

/* Where the octets of an answer go: into the memory shared with the front, or into the answer. */
static uint8_t *begin_answer(const struct reading *reading, size_t length)
{
    const struct connection *connection = reading->session->connection;
    uint32_t place = request_of(reading)->place;

    if (place != STORE_NO_PLACE)
        return connection->bodies + place;
    uint8_t *payload = channel_begin(connection->channel, sizeof(struct store_data) + length);
    return payload + sizeof(struct store_data);
}

static void cancel_answer(struct reading *reading, enum store_result result)
{
    if (request_of(reading)->place == STORE_NO_PLACE)
        channel_cancel(reading->session->connection->channel);
    refuse(reading, result);
}

/* What the header in scratch says of the message. */
static struct store_data data_of_header(void)
{
    return (struct store_data){.length = scratch.header.body_length,
                               .top_length = scratch.header.top_length,
                               .form = (uint8_t)record_form(&scratch.header)};
}

static void end_answer(struct reading *reading, uint8_t *body, size_t length,
                       const struct store_data *data)
{
    struct session *session = reading->session;
    struct channel *channel = session->connection->channel;
    struct store_placed placed = {.data = *data, .octets = length};

    if (request_of(reading)->place != STORE_NO_PLACE) {
        channel_send(channel, STORE_PLACED, session->id, &placed, sizeof(placed), NULL, 0);
    } else {
        memcpy(body - sizeof(*data), data, sizeof(*data));
        channel_end(channel, STORE_DATA, session->id, sizeof(*data) + length);
    }
    metric_add(METRIC_STORE_READ_OCTETS, (int64_t)length);
    session->octets += length;
    next_request(reading);
}

/* A message that fits the answer: header and body in one read, the body straight into it. */
static void serve_whole(struct reading *reading)
{
    const struct place *place = &reading->place;
    size_t length = (size_t)place->body_length;

    uint8_t *body = begin_answer(reading, length);
    struct iovec pieces[] = {{scratch.octets, place->header_length}, {body, length}};
    enum store_result result = read_pieces(reading, pieces, 2, 0);
    if (result == STORE_OK)
        result = check_header(reading);
    if (result == STORE_OK &&
        record_sum(reading->session->store->seed, body, length) != scratch.header.body_sum)
        result = damaged(reading, "its body's checksum does not fit");
    const struct store_data data = data_of_header();
    if (result == STORE_OK)
        end_answer(reading, body, length, &data);
    else
        cancel_answer(reading, result);
}

/* A piece of a message whose checksum has been found good in this session. */
static void serve_piece(struct reading *reading)
{
    const struct store_read *request = request_of(reading);
    const struct place *place = &reading->place;
    uint64_t left = request->offset < place->body_length ? place->body_length - request->offset : 0;
    size_t length = left < request->room ? (size_t)left : request->room;

    uint8_t *body = begin_answer(reading, length);
    struct iovec piece = {body, length};
    enum store_result result =
        read_pieces(reading, &piece, 1, place->header_length + request->offset);
    if (result == STORE_OK)
        end_answer(reading, body, length, &reading->data);
    else
        cancel_answer(reading, result);
}

static enum store_result start_check(struct reading *reading)
{
    struct iovec piece = {scratch.octets, reading->place.header_length};
    enum store_result result = read_pieces(reading, &piece, 1, 0);

    if (result == STORE_OK)
        result = check_header(reading);
    if (result != STORE_OK)
        return result;
    reading->checked = NO_MESSAGE; /* `data` is this message's from here on */
    reading->sum = XXH3_createState();
    if (reading->sum == NULL)
        log_fatal("out of memory");
    XXH3_64bits_reset_withSeed(reading->sum, reading->session->store->seed);
    reading->summed = 0;
    reading->body_sum = scratch.header.body_sum;
    reading->data = data_of_header();
    return STORE_OK;
}

static void stop_check(struct reading *reading)
{
    XXH3_freeState(reading->sum);
    reading->sum = NULL;
}

/* Checks one more slice of a long message. */
static void go_on_checking(struct reading *reading)
{
    const struct place *place = &reading->place;
    uint64_t left = place->body_length - reading->summed;
    struct iovec piece = {slice, left < SLICE ? (size_t)left : SLICE};
    size_t length = piece.iov_len;
    enum store_result result =
        read_pieces(reading, &piece, 1, place->header_length + reading->summed);

    if (result == STORE_OK) {
        XXH3_64bits_update(reading->sum, slice, length);
        reading->summed += length;
        if (reading->summed < place->body_length)
            return;
        if (XXH3_64bits_digest(reading->sum) == reading->body_sum)
            reading->checked = request_of(reading)->message;
        else
            result = damaged(reading, "its body's checksum does not fit");
    }
    stop_check(reading);
    if (result != STORE_OK)
        refuse(reading, result);
}

/* Finds where the first request's message is. */
static enum store_result find_place(struct reading *reading)
{
    struct session *session = reading->session;
    uint32_t message = request_of(reading)->message;
    const struct place *place;

    if (message >= session->count || (session->uids[message] & SESSION_EXPUNGED) != 0)
        return STORE_NO_MESSAGE;
    if (message == reading->placed)
        return STORE_OK;
    if (session->places == NULL)
        session->places = places_new(session);
    enum store_result result = places_find(session->places, message, &place);
    if (result == STORE_BROKEN || session->mailbox->dropped)
        return result;
    reading->place = *place;
    reading->placed = result == STORE_OK ? message : NO_MESSAGE;
    return result == STORE_OK ? STORE_OK : damaged(reading, "the index has lost it");
}

/* One step for the first request. Whether the loop should take a turn before the next step. */
static bool step(struct reading *reading)
{
    const struct store_read *request = request_of(reading);
    enum store_result result = STORE_OK;

    if (reading->sum != NULL) {
        go_on_checking(reading);
        return reading->sum != NULL;
    }
    result = find_place(reading);
    if (result == STORE_OK && request->offset == 0 && reading->place.body_length <= request->room)
        serve_whole(reading);
    else if (result == STORE_OK && reading->checked == request->message)
        serve_piece(reading);
    else if (result == STORE_OK)
        result = start_check(reading);
    if (result != STORE_OK)
        refuse(reading, result);
    return false;
}

static void serve(struct reading *reading)
{
    /* A timer, because what is made active by hand runs in the same turn. */
    static const struct timeval next_turn = {0};

    while (reading->count > 0)
        if (step(reading)) {
            if (event_add(reading->turn, &next_turn) < 0)
                log_fatal("out of memory");
            return;
        }
}

int reading_add(struct reading *reading, const struct store_read *request)
{
    if (reading->count == REQUESTS_MAX)
        return -1;
    reading->requests[(reading->first + reading->count++) % REQUESTS_MAX] = *request;
    if (reading->sum == NULL)
        serve(reading);
    return 0;
}
