#include <event2/event.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "admin/purger.h"
#include "lib/log.h"

/* Seconds. */
#define FIRST_SWEEP 1
#define SWEEP_EVERY 60
#define PATIENCE    5 /* after a failure */

/* In ms, between two parts. */
#define REST 20

static void wait_for(struct purger *purger, time_t seconds, suseconds_t ms)
{
    const struct timeval pause = {.tv_sec = seconds, .tv_usec = ms * 1000};

    event_add(purger->tick, &pause);
}

static struct purger *purger_of(struct writing *writing)
{
    return (struct purger *)((char *)writing - offsetof(struct purger, writing));
}

/* NONE: somebody was here before. */
static enum db_result run(struct writing *writing, struct db *db)
{
    struct purger *purger = purger_of(writing);

    return db_removal_purge_part(db, &purger->removal, DB_REMOVAL_PART, &purger->last);
}

static void done(struct writing *writing)
{
    struct purger *purger = purger_of(writing);

    if (writing->result == DB_OK && purger->last)
        log_info("%s purged customer=%" PRIu64, db_removal_kind_name(purger->removal.kind),
                 purger->removal.customer);
    if (purger->stopped)
        return;
    if (writing->result == DB_OK || writing->result == DB_NONE)
        wait_for(purger, 0, REST);
    else
        wait_for(purger, PATIENCE, 0);
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    struct purger *purger = context;
    (void)fd;
    (void)what;

    enum db_result result = db_removal_due(purger->db, &purger->removal);
    if (result == DB_NONE)
        wait_for(purger, SWEEP_EVERY, 0);
    else if (result != DB_OK || writer_submit(purger->writer, &purger->writing) != 0)
        wait_for(purger, PATIENCE, 0);
}

void purger_init(struct purger *purger, struct event_base *base, struct db *db,
                 struct writer *writer)
{
    memset(purger, 0, sizeof(*purger));
    purger->db = db;
    purger->writer = writer;
    purger->writing.run = run;
    purger->writing.done = done;
    purger->tick = evtimer_new(base, on_tick, purger);
    if (purger->tick == NULL)
        log_fatal("cannot make a timer: out of memory");
    wait_for(purger, FIRST_SWEEP, 0);
}

void purger_stop(struct purger *purger)
{
    purger->stopped = true;
    event_free(purger->tick);
}
