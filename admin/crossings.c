#include <event2/event.h>
#include <stddef.h>
#include <string.h>

#include "admin/crossings.h"
#include "db/crossing.h"
#include "lib/channel.h"
#include "lib/log.h"
#include "lib/storehello.h"

#define CONTROL_PATH "run/stored-control.sock"

/* Seconds before each question: many mailboxes are written with one transaction. */
#define PAUSE 1

static void wait_for(struct crossings *crossings, time_t seconds)
{
    const struct timeval pause = {.tv_sec = seconds};

    event_add(crossings->tick, &pause);
}

/* NONE: nobody wants to hear of it, or the mailbox has been removed meanwhile. */
static enum db_result run(struct writing *writing, struct db *db)
{
    const struct crossings *crossings =
        (struct crossings *)((char *)writing - offsetof(struct crossings, writing));
    enum db_result result = DB_NONE;

    for (size_t i = 0; i < crossings->count; i++) {
        const struct store_crossing *found = &crossings->found[i];
        const struct db_crossing crossing = {.mailbox = found->mailbox,
                                             .percent = found->percent,
                                             .octets = found->usage.octets,
                                             .messages = found->usage.messages,
                                             .quota_octets = found->quota_octets,
                                             .quota_messages = found->quota_messages};
        result = db_crossing_add(db, &crossing);
        if (result != DB_OK && result != DB_NONE)
            return result;
    }
    return DB_OK;
}

static void done(struct writing *writing)
{
    struct crossings *crossings =
        (struct crossings *)((char *)writing - offsetof(struct crossings, writing));

    if (writing->result == DB_OK)
        crossings->count = 0;
    if (!crossings->stopped)
        wait_for(crossings, PAUSE);
}

static void write_down(struct crossings *crossings)
{
    if (writer_submit(crossings->writer, &crossings->writing) != 0)
        wait_for(crossings, PAUSE);
}

static int on_message(void *context, const struct channel_message *message)
{
    struct crossings *crossings = context;
    const size_t size = sizeof(crossings->found[0]);

    if (message->id == 0)
        return storehello_take(message);
    if (message->type != STORE_CROSSINGS_ARE || crossings->count > 0 ||
        message->length % size != 0 || message->length > sizeof(crossings->found))
        return -1;
    crossings->count = message->length / size;
    memcpy(crossings->found, message->payload, message->length);
    if (crossings->count > 0)
        write_down(crossings);
    else
        wait_for(crossings, PAUSE);
    return 0;
}

static void on_closed(void *context)
{
    struct crossings *crossings = context;

    channel_free(crossings->channel);
    crossings->channel = NULL;
    if (crossings->count == 0)
        wait_for(crossings, PAUSE);
}

static const struct channel_events events = {.message = on_message, .closed = on_closed};

static void ask(struct crossings *crossings)
{
    if (crossings->channel == NULL) {
        crossings->channel = channel_connect(crossings->base, CONTROL_PATH, &events, crossings);
        if (crossings->channel == NULL) {
            wait_for(crossings, PAUSE);
            return;
        }
        storehello_ask(crossings->channel);
    }
    channel_send(crossings->channel, STORE_CROSSINGS, 1, NULL, 0, NULL, 0);
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    struct crossings *crossings = context;
    (void)fd;
    (void)what;

    if (crossings->count > 0)
        write_down(crossings);
    else
        ask(crossings);
}

void crossings_init(struct crossings *crossings, struct event_base *base, struct writer *writer)
{
    memset(crossings, 0, sizeof(*crossings));
    crossings->base = base;
    crossings->writer = writer;
    crossings->writing.run = run;
    crossings->writing.done = done;
    crossings->tick = evtimer_new(base, on_tick, crossings);
    if (crossings->tick == NULL)
        log_fatal("cannot make a timer: out of memory");
    wait_for(crossings, PAUSE);
}

void crossings_stop(struct crossings *crossings)
{
    crossings->stopped = true;
    event_free(crossings->tick);
    channel_free(crossings->channel);
}
