#include <event2/event.h>
#include <inttypes.h>

#include "admin/purger.h"
#include "db/removal.h"
#include "lib/log.h"

/* Seconds. */
#define FIRST_SWEEP 1
#define SWEEP_EVERY 600
#define PATIENCE    5 /* after another writer was met, or a failure */

/* In ms, between two. */
#define REST 20

static void wait_for(struct purger *purger, time_t seconds, suseconds_t ms)
{
    const struct timeval pause = {.tv_sec = seconds, .tv_usec = ms * 1000};

    event_add(purger->tick, &pause);
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    struct purger *purger = context;
    struct db_removal removal;
    (void)fd;
    (void)what;

    enum db_result result = db_removal_due(purger->db, &removal);
    if (result == DB_NONE) {
        wait_for(purger, SWEEP_EVERY, 0);
        return;
    }
    if (result == DB_OK)
        result = db_removal_purge(purger->db, &removal);
    if (result == DB_OK)
        log_info("%s purged customer=%" PRIu64, db_removal_kind_name(removal.kind),
                 removal.customer);
    /* NONE: somebody restored it just now. */
    if (result == DB_OK || result == DB_NONE)
        wait_for(purger, 0, REST);
    else
        wait_for(purger, PATIENCE, 0);
}

void purger_init(struct purger *purger, struct event_base *base, struct db *db)
{
    purger->db = db;
    purger->tick = evtimer_new(base, on_tick, purger);
    if (purger->tick == NULL)
        log_fatal("cannot make a timer: out of memory");
    wait_for(purger, FIRST_SWEEP, 0);
}

void purger_stop(struct purger *purger)
{
    event_free(purger->tick);
}
