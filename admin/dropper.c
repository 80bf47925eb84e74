#include <event2/event.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "admin/dropper.h"
#include "admin/store.h"
#include "db/drop.h"
#include "lib/log.h"

/* Seconds between two looks; each is one indexed query. */
#define DROPPER_PAUSE 1

static void step(struct dropper *dropper, uint64_t after);

static void pause_until_next(struct dropper *dropper)
{
    const struct timeval pause = {.tv_sec = DROPPER_PAUSE};

    event_add(dropper->tick, &pause);
}

static enum db_result write_done(struct writing *writing, struct db *db)
{
    const struct dropper *dropper =
        (struct dropper *)((char *)writing - offsetof(struct dropper, done));

    return db_drop_done(db, dropper->mailbox);
}

/* Where it could not be written the entry stays, and the drop is only repeated. */
static void on_written(struct writing *writing)
{
    struct dropper *dropper = (struct dropper *)((char *)writing - offsetof(struct dropper, done));

    if (dropper->stopped)
        return;
    if (writing->result == DB_OK)
        log_info("mailbox=%" PRIu64 " dropped", dropper->mailbox);
    step(dropper, dropper->mailbox);
}

static void on_dropped(void *context, enum store_result result)
{
    struct dropper *dropper = context;

    if (dropper->stopped)
        return;
    if (result == STORE_OK)
        dropper->told = false;
    switch (result) {
    case STORE_OK:
        if (writer_submit(dropper->writer, &dropper->done) != 0)
            pause_until_next(dropper);
        break;
    case STORE_IN_USE: step(dropper, dropper->mailbox); break;
    case STORE_BUSY: pause_until_next(dropper); break;
    default:
        if (!dropper->told)
            log_error("the mail of mailbox=%" PRIu64 " cannot be dropped now, as the lines of "
                      "stored say; trying again each second until it can",
                      dropper->mailbox);
        dropper->told = true;
        pause_until_next(dropper);
    }
}

static void step(struct dropper *dropper, uint64_t after)
{
    if (db_drop_next(dropper->db, after, &dropper->mailbox) == DB_OK)
        store_drop(dropper->store, dropper->mailbox, (struct store_caller){on_dropped, dropper});
    else
        pause_until_next(dropper);
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    step(context, 0);
}

void dropper_init(struct dropper *dropper, struct event_base *base, struct db *db,
                  struct writer *writer, struct store *store)
{
    memset(dropper, 0, sizeof(*dropper));
    dropper->db = db;
    dropper->writer = writer;
    dropper->done.run = write_done;
    dropper->done.done = on_written;
    dropper->store = store;
    dropper->tick = evtimer_new(base, on_tick, dropper);
    if (dropper->tick == NULL)
        log_fatal("cannot make a timer: out of memory");
    step(dropper, 0);
}

void dropper_stop(struct dropper *dropper)
{
    dropper->stopped = true;
    event_free(dropper->tick);
}
