#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/importer.h"
#include "cli/progress.h"
#include "cli/source.h"
#include "lib/channel.h"
#include "lib/growth.h"
#include "lib/message.h"
#include "lib/xalloc.h"

/* Messages under way at once: enough that a group commit has always more to write. */
#define WINDOW 128

/* The body leaves for stored in pieces of at most this size, before they are encoded. */
#define PIECE (64 * 1024)

/* With more than this on its way to stored, the source is not read. */
#define PENDING_MAX (1024 * 1024)

enum state {
    STATE_NEW,
    STATE_ASKED,     /* stored says whether it wants the message */
    STATE_WANTED,    /* it does */
    STATE_COMMITTED, /* it has been sent whole */
    STATE_SETTLED
};

struct importer {
    struct source *source;
    struct store_recipient recipient;
    struct event_base *base;
    struct channel *channel;
    struct progress *progress;
    uint8_t *states; /* enum state of each message; its index is its id on the channel */
    size_t asked;    /* messages before this one have been asked for */
    size_t sent;     /* messages before this one have been sent, or need not be */
    size_t settled;  /* how many are */
    bool closed;     /* stored has gone */
    bool stopped;    /* nothing more is begun: a line has said why */
    /* The message that is being sent. */
    size_t sending;
    struct message_encoder encoder;
    struct growth growth;
    uint64_t time;
    bool too_large;
    /* For the summary. */
    uint64_t imported, present, gone, refused;
    unsigned crossed;
    char encoded[MESSAGE_ENCODED_MAX(PIECE)];
};

static const struct source_message *message_of(const struct importer *importer, size_t index)
{
    return &importer->source->messages[index];
}

static const char *name_of(const struct importer *importer, size_t index)
{
    const struct source_message *message = message_of(importer, index);

    return message->name != NULL ? message->name : message->unique_id;
}

/* --- what becomes of a message ---------------------------------------------------------------- */

static void settle(struct importer *importer, size_t index, uint64_t *count)
{
    importer->states[index] = STATE_SETTLED;
    importer->settled++;
    (*count)++;
    progress_add(importer->progress, message_of(importer, index)->size);
}

static void stop(struct importer *importer, const char *why)
{
    if (!importer->stopped)
        refuse("%s", why);
    importer->stopped = true;
}

static void refuse_too_large(struct importer *importer, size_t index)
{
    refuse("message %s is larger than the plan's largest message, %" PRIu64 " octets",
           name_of(importer, index), importer->recipient.octets_max);
    settle(importer, index, &importer->refused);
}

static void on_delivered(struct importer *importer, size_t index, enum store_result result)
{
    switch (result) {
    case STORE_OK: settle(importer, index, &importer->imported); return;
    case STORE_EXISTS: settle(importer, index, &importer->present); return;
    case STORE_TOO_LARGE: refuse_too_large(importer, index); return;
    case STORE_OVER_QUOTA:
        stop(importer, "the mailbox is full; give its customer a larger plan, or make room, and "
                       "run the same command again");
        break;
    case STORE_NO_MAILBOX: stop(importer, "the address was removed just now"); break;
    case STORE_FULL:
        stop(importer, "the disk is full; make room, and run the same command again");
        break;
    default:
        stop(importer, "the store failed, as its log says; run the same command again when it is "
                       "in order");
        break;
    }
    settle(importer, index, &importer->refused);
}

static int on_message(void *context, const struct channel_message *message)
{
    struct importer *importer = context;
    struct store_delivered delivered;
    size_t index = message->id;

    if (index >= importer->asked)
        return -1;
    uint8_t state = importer->states[index];
    if (message->type == STORE_IMPORTING && state == STATE_ASKED) {
        importer->states[index] = STATE_WANTED;
        return 0;
    }
    if (message->type != STORE_DELIVERED || message->length != sizeof(delivered) ||
        (state != STATE_ASKED && state != STATE_COMMITTED))
        return -1;
    memcpy(&delivered, message->payload, sizeof(delivered));
    if (delivered.crossed > importer->crossed)
        importer->crossed = delivered.crossed;
    on_delivered(importer, index, delivered.result);
    return 0;
}

static void on_closed(void *context)
{
    struct importer *importer = context;

    importer->closed = true;
    stop(importer, "the service has ended; start it and run the same command again, which goes on "
                   "where this one was");
    event_base_loopbreak(importer->base);
}

/* Waits for stored: for an answer, or to take what was sent. */
static void wait_for_store(struct importer *importer)
{
    if (!importer->closed && event_base_loop(importer->base, EVLOOP_ONCE) < 0)
        on_closed(importer);
}

/* --- sending one ------------------------------------------------------------------------------ */

/* Sends what has been encoded; `last`: nothing of the message follows. */
static void send_piece(struct importer *importer, size_t length, bool last)
{
    growth_take(&importer->growth, &importer->encoder, importer->encoded, length, last);
    if (length == 0 || importer->closed)
        return;
    channel_send(importer->channel, STORE_DELIVER_DATA, (uint32_t)importer->sending,
                 importer->encoded, length, NULL, 0);
    while (!importer->closed && channel_pending(importer->channel) > PENDING_MAX)
        wait_for_store(importer);
}

bool importer_write(struct importer *importer, const char *octets, size_t length)
{
    while (length > 0 && !importer->closed && !importer->too_large) {
        size_t part = length < PIECE ? length : PIECE;
        send_piece(importer, message_encode(&importer->encoder, octets, part, importer->encoded),
                   false);
        importer->too_large = importer->encoder.octets > importer->recipient.octets_max;
        octets += part;
        length -= part;
    }
    return !importer->closed && !importer->too_large;
}

void importer_set_time(struct importer *importer, uint64_t time)
{
    importer->time = time;
}

static void give_up(struct importer *importer, uint64_t *count)
{
    channel_send(importer->channel, STORE_DELIVER_ABORT, (uint32_t)importer->sending, NULL, 0, NULL,
                 0);
    settle(importer, importer->sending, count);
}

static void commit(struct importer *importer)
{
    send_piece(importer, message_encode_end(&importer->encoder, importer->encoded), true);
    struct store_deliver_commit end = {.octets = importer->encoder.octets,
                                       .top_length = importer->encoder.top_length,
                                       .time = importer->time};

    growth_tell(&importer->growth, &end.surrogate);
    channel_send(importer->channel, STORE_DELIVER_COMMIT, (uint32_t)importer->sending, &end,
                 sizeof(end), NULL, 0);
    importer->states[importer->sending] = STATE_COMMITTED;
}

static void send_message(struct importer *importer, size_t index)
{
    const struct source_message *message = message_of(importer, index);

    importer->sending = index;
    importer->time = message->time;
    importer->too_large = false;
    message_encoder_init(&importer->encoder);
    growth_clear(&importer->growth);
    enum source_result result = importer->source->transfer(importer->source, message, importer);
    if (importer->closed)
        return;
    if (importer->too_large) {
        channel_send(importer->channel, STORE_DELIVER_ABORT, (uint32_t)index, NULL, 0, NULL, 0);
        refuse_too_large(importer, index);
    } else if (result == SOURCE_DONE) {
        commit(importer);
    } else if (result == SOURCE_GONE) {
        give_up(importer, &importer->gone);
    } else {
        give_up(importer, &importer->refused);
    }
    importer->stopped = importer->stopped || result == SOURCE_ENDED;
    /* A slow source must not keep what has been read from getting on its way. */
    event_base_loop(importer->base, EVLOOP_NONBLOCK);
}

/* --- asking ----------------------------------------------------------------------------------- */

static void ask(struct importer *importer, size_t index)
{
    const struct source_message *message = message_of(importer, index);
    struct store_import import = {.recipient = importer->recipient, .size = message->size};

    memcpy(import.unique_id, message->unique_id, strlen(message->unique_id));
    importer->states[index] = STATE_ASKED;
    channel_send(importer->channel, STORE_IMPORT, (uint32_t)index, &import, sizeof(import), NULL,
                 0);
}

static void begin_message(struct importer *importer)
{
    struct source *source = importer->source;
    size_t index = importer->asked++;
    enum source_result result = SOURCE_DONE;

    if (source->identify != NULL)
        result = source->identify(source, &source->messages[index]);
    if (result == SOURCE_DONE)
        ask(importer, index);
    else
        settle(importer, index, result == SOURCE_GONE ? &importer->gone : &importer->refused);
    importer->stopped = importer->stopped || result == SOURCE_ENDED;
}

static bool may_begin(const struct importer *importer)
{
    size_t window = importer->source->identify != NULL ? 1 : WINDOW;

    return !importer->stopped && importer->asked < importer->source->count &&
           importer->asked - importer->settled < window;
}

/* Sends what stored wants, in the source's order. Whether it had to do anything. */
static bool send_wanted(struct importer *importer)
{
    bool any = false;

    while (importer->sent < importer->asked && importer->states[importer->sent] != STATE_ASKED &&
           !importer->closed) {
        size_t index = importer->sent++;
        if (importer->states[index] != STATE_WANTED)
            continue;
        any = true;
        if (importer->stopped) {
            importer->sending = index;
            give_up(importer, &importer->refused);
        } else {
            send_message(importer, index);
        }
    }
    return any;
}

static void import_all(struct importer *importer)
{
    while (!importer->closed) {
        while (may_begin(importer))
            begin_message(importer);
        if (importer->settled == importer->asked && !may_begin(importer))
            return;
        if (!send_wanted(importer) && importer->settled < importer->asked)
            wait_for_store(importer);
    }
}

/* --- the frame -------------------------------------------------------------------------------- */

static void print_summary(const struct importer *importer)
{
    uint64_t left =
        importer->source->count - importer->imported - importer->present - importer->gone;

    printf("%" PRIu64 " imported, %" PRIu64 " there already", importer->imported,
           importer->present);
    if (importer->gone > 0)
        printf(", %" PRIu64 " gone from the source meanwhile", importer->gone);
    if (left > 0)
        printf(", %" PRIu64 " NOT imported", left);
    printf("\n");
    if (importer->crossed > 0)
        printf("the mailbox is more than %u percent full\n", importer->crossed);
}

static int import_over(struct importer *importer, bool asked)
{
    struct source *source = importer->source;

    importer->progress = progress_begin("import", PROGRESS_OCTETS, source->size, asked);
    import_all(importer);
    progress_end(importer->progress);
    print_summary(importer);
    bool whole = importer->imported + importer->present + importer->gone == source->count;
    return whole && !importer->stopped ? EXIT_DONE : EXIT_REFUSED;
}

int importer_run(struct source *source, const struct store_recipient *recipient, bool asked)
{
    static const struct channel_events events = {.message = on_message, .closed = on_closed};
    struct importer *importer = xcalloc(1, sizeof(*importer));
    int done = EXIT_REFUSED;

    source->octets_max = recipient->octets_max;
    importer->source = source;
    importer->recipient = *recipient;
    importer->states = xcalloc(source->count + 1, 1);
    importer->base = event_base_new();
    if (importer->base != NULL)
        importer->channel = channel_connect(importer->base, INSTANCE_CONTROL, &events, importer);
    if (importer->channel != NULL)
        done = import_over(importer, asked);
    else if (importer->base != NULL && (errno == EACCES || errno == EPERM))
        refuse("you may not bring mail into this instance; run bellhop as its user, or as root");
    else
        refuse("the service is not running; an import needs it: \"bellhop -C DIR serve\"");
    channel_free(importer->channel);
    if (importer->base != NULL)
        event_base_free(importer->base);
    free(importer->states);
    growth_clear(&importer->growth);
    free(importer);
    return done;
}
