#include <event2/event.h>
#include <stddef.h>
#include <string.h>

#include "admin/crossings.h"
#include "db/crossing.h"
#include "lib/log.h"

/* Seconds between two questions. */
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

    for (size_t i = 0; i < crossings->found.count; i++) {
        const struct store_crossing *found = &crossings->found.found[i];
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
        crossings->found.count = 0;
    if (!crossings->stopped)
        wait_for(crossings, PAUSE);
}

static void write_down(struct crossings *crossings)
{
    if (writer_submit(crossings->writer, &crossings->writing) != 0)
        wait_for(crossings, PAUSE);
}

static void on_found(void *context, enum store_result result)
{
    struct crossings *crossings = context;

    if (crossings->stopped)
        return;
    if (result != STORE_OK)
        crossings->found.count = 0;
    if (crossings->found.count > 0)
        write_down(crossings);
    else
        wait_for(crossings, PAUSE);
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    struct crossings *crossings = context;
    (void)fd;
    (void)what;

    if (crossings->found.count > 0)
        write_down(crossings);
    else
        store_find_crossings(crossings->store, &crossings->found,
                             (struct store_caller){on_found, crossings});
}

void crossings_init(struct crossings *crossings, struct event_base *base, struct writer *writer,
                    struct store *store)
{
    memset(crossings, 0, sizeof(*crossings));
    crossings->writer = writer;
    crossings->store = store;
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
}
