#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/xalloc.h"
#include "stored/mailbox.h"
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

#define NOTHING_CHECKED UINT32_MAX

struct reading {
    struct session *session;
    struct store_read requests[REQUESTS_MAX];
    unsigned first, count;
    uint32_t checked; /* the message whose body was found good last */
    uint64_t top_length;
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
    reading->checked = NOTHING_CHECKED;
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

static const struct session_message *message_of(const struct reading *reading)
{
    return &reading->session->messages[request_of(reading)->message];
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
    const struct session_message *message = message_of(reading);
    char name[SEGMENT_NAME_SIZE];

    segment_name(message->segment, name);
    log_error("damaged: mailbox=%" PRIu64 " uid=%" PRIu64 " file=%s offset=%" PRIu64 ": %s",
              reading->session->mailbox->id, message->uid, name, message->offset, what);
    metric_add(METRIC_STORE_DAMAGED, 1);
    return STORE_DAMAGED;
}

/* Reads pieces of the message's record. STORE_OK, STORE_DAMAGED or STORE_BROKEN. */
static enum store_result read_pieces(const struct reading *reading, struct iovec *pieces, int count,
                                     uint64_t offset)
{
    const struct session_message *message = message_of(reading);
    const struct segment *segment =
        segments_get(reading->session->store->segments, message->segment);
    int error =
        segment == NULL ? errno : segment_read(segment, pieces, count, message->offset + offset);

    if (error == 0) {
        trouble_passed(TROUBLE_READ);
        return STORE_OK;
    }
    if (error == ENOENT || error == ENODATA || error == EIO || error == EBADMSG)
        return damaged(reading, strerror(error));
    trouble_tell(TROUBLE_READ, "a message cannot be read", error);
    return STORE_BROKEN;
}

/* Whether the header in scratch is this message's own. */
static enum store_result check_header(const struct reading *reading)
{
    const struct session_message *message = message_of(reading);
    const struct session *session = reading->session;

    if (record_check(scratch.octets, message->header_length, message->segment, message->offset,
                     session->store->seed) != 0)
        return damaged(reading, "its header's checksum does not fit");
    if (scratch.header.body_length != message->body_length ||
        !record_names(&scratch.header, session->mailbox->id, message->uid))
        return damaged(reading, "the index names another message's place");
    return STORE_OK;
}

static void set_data(void *payload_r, const struct session_message *message, uint64_t top_length)
{
    struct store_data data = {.length = message->body_length, .top_length = top_length};

    memcpy(payload_r, &data, sizeof(data));
}

/* A message that fits the answer: header and body in one read, the body straight into it. */
static void serve_whole(struct reading *reading)
{
    const struct session_message *message = message_of(reading);
    struct channel *channel = reading->session->connection->channel;
    size_t length = (size_t)message->body_length;

    uint8_t *payload = channel_begin(channel, sizeof(struct store_data) + length);
    uint8_t *body = payload + sizeof(struct store_data);
    struct iovec pieces[] = {{scratch.octets, message->header_length}, {body, length}};
    enum store_result result = read_pieces(reading, pieces, 2, 0);
    if (result == STORE_OK)
        result = check_header(reading);
    if (result == STORE_OK &&
        record_sum(reading->session->store->seed, body, length) != scratch.header.body_sum)
        result = damaged(reading, "its body's checksum does not fit");
    if (result != STORE_OK) {
        channel_cancel(channel);
        refuse(reading, result);
        return;
    }
    set_data(payload, message, scratch.header.top_length);
    channel_end(channel, STORE_DATA, reading->session->id, sizeof(struct store_data) + length);
    metric_add(METRIC_STORE_READ_OCTETS, (int64_t)length);
    next_request(reading);
}

/* A piece of a message whose checksum has been found good in this session. */
static void serve_piece(struct reading *reading)
{
    const struct store_read *request = request_of(reading);
    const struct session_message *message = message_of(reading);
    struct channel *channel = reading->session->connection->channel;
    uint64_t left =
        request->offset < message->body_length ? message->body_length - request->offset : 0;
    size_t length = left < request->room ? (size_t)left : request->room;

    uint8_t *payload = channel_begin(channel, sizeof(struct store_data) + length);
    struct iovec piece = {payload + sizeof(struct store_data), length};
    enum store_result result =
        read_pieces(reading, &piece, 1, message->header_length + request->offset);
    if (result != STORE_OK) {
        channel_cancel(channel);
        refuse(reading, result);
        return;
    }
    set_data(payload, message, reading->top_length);
    channel_end(channel, STORE_DATA, reading->session->id, sizeof(struct store_data) + length);
    metric_add(METRIC_STORE_READ_OCTETS, (int64_t)length);
    next_request(reading);
}

static enum store_result start_check(struct reading *reading)
{
    struct iovec piece = {scratch.octets, message_of(reading)->header_length};
    enum store_result result = read_pieces(reading, &piece, 1, 0);

    if (result == STORE_OK)
        result = check_header(reading);
    if (result != STORE_OK)
        return result;
    reading->checked = NOTHING_CHECKED; /* top_length is this message's from here on */
    reading->sum = XXH3_createState();
    if (reading->sum == NULL)
        log_fatal("out of memory");
    XXH3_64bits_reset_withSeed(reading->sum, reading->session->store->seed);
    reading->summed = 0;
    reading->body_sum = scratch.header.body_sum;
    reading->top_length = scratch.header.top_length;
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
    const struct session_message *message = message_of(reading);
    uint64_t left = message->body_length - reading->summed;
    struct iovec piece = {slice, left < SLICE ? (size_t)left : SLICE};
    size_t length = piece.iov_len;
    enum store_result result =
        read_pieces(reading, &piece, 1, message->header_length + reading->summed);

    if (result == STORE_OK) {
        XXH3_64bits_update(reading->sum, slice, length);
        reading->summed += length;
        if (reading->summed < message->body_length)
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

/* One step for the first request. Whether the loop should take a turn before the next step. */
static bool step(struct reading *reading)
{
    const struct store_read *request = request_of(reading);
    struct session *session = reading->session;

    if (reading->sum != NULL) {
        go_on_checking(reading);
        return reading->sum != NULL;
    }
    if (request->message >= session->count || session->messages[request->message].expunged) {
        refuse(reading, STORE_NO_MESSAGE);
    } else if (request->offset == 0 && message_of(reading)->body_length <= request->room) {
        serve_whole(reading);
    } else if (reading->checked == request->message) {
        serve_piece(reading);
    } else {
        enum store_result result = start_check(reading);
        if (result != STORE_OK)
            refuse(reading, result);
    }
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
