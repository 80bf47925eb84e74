#include <event2/event.h>
#include <stdbool.h>
#include <string.h>

#include "admin/eventpruner.h"
#include "db/event.h"
#include "lib/log.h"

/* Seconds. */
#define FIRST_SWEEP 10
#define SWEEP_EVERY 3600
#define PATIENCE    5 /* after another writer was met, or a failure */

/* In ms, between two steps. */
#define REST 20

static void wait_for(struct eventpruner *pruner, time_t seconds, suseconds_t ms)
{
    const struct timeval pause = {.tv_sec = seconds, .tv_usec = ms * 1000};

    event_add(pruner->tick, &pause);
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    struct eventpruner *pruner = context;
    uint64_t customer = pruner->customer;
    bool more;
    (void)fd;
    (void)what;

    switch (db_event_prune(pruner->db, &customer, &more)) {
    case DB_OK:
        if (!more)
            pruner->customer = customer;
        wait_for(pruner, 0, REST);
        break;
    case DB_NONE:
        pruner->customer = 0;
        wait_for(pruner, SWEEP_EVERY, 0);
        break;
    default: wait_for(pruner, PATIENCE, 0);
    }
}

void eventpruner_init(struct eventpruner *pruner, struct event_base *base, struct db *db)
{
    memset(pruner, 0, sizeof(*pruner));
    pruner->db = db;
    pruner->tick = evtimer_new(base, on_tick, pruner);
    if (pruner->tick == NULL)
        log_fatal("cannot make a timer: out of memory");
    wait_for(pruner, FIRST_SWEEP, 0);
}

void eventpruner_stop(struct eventpruner *pruner)
{
    event_free(pruner->tick);
}
