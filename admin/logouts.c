#include <event2/event.h>
#include <string.h>
#include <time.h>

#include "admin/logouts.h"
#include "admin/store.h"
#include "db/logout.h"
#include "lib/log.h"

/* In ms: between two looks, each of which is one indexed query, and after a failure. */
#define PAUSE    250
#define PATIENCE 1000

/* Looks for new ones until all are told again. */
#define ROUND 4

static void step(struct logouts *logouts);

static void wait_for(struct logouts *logouts, int duration)
{
    const struct timeval pause = {.tv_sec = duration / 1000, .tv_usec = duration % 1000 * 1000};

    event_add(logouts->tick, &pause);
}

/* All that there are have been told. */
static void end_round(struct logouts *logouts)
{
    /* Another writer is not waited for: the next round tries again. */
    if (logouts->old)
        (void)db_logout_forget(logouts->notes, logouts->told);
    logouts->old = false;
    wait_for(logouts, PAUSE);
}

static void on_told(void *context, enum store_result result)
{
    struct logouts *logouts = context;

    if (logouts->stopped)
        return;
    if (result == STORE_OK) {
        logouts->told = logouts->asking;
        step(logouts);
    } else {
        wait_for(logouts, PATIENCE);
    }
}

static void tell(struct logouts *logouts, const struct db_logout *found, size_t count)
{
    static struct store_logout told[STORE_MAILBOXES_MAX];

    for (size_t i = 0; i < count; i++)
        told[i] = (struct store_logout){.mailbox = found[i].mailbox, .number = found[i].number};
    logouts->asking = found[count - 1].number;
    logouts->old |= found[0].created + DB_LOGOUT_SECONDS < (uint64_t)time(NULL);
    store_log_out(logouts->store, told, count, (struct store_caller){on_told, logouts});
}

static void step(struct logouts *logouts)
{
    static struct db_logout found[STORE_MAILBOXES_MAX];
    size_t count;

    switch (db_logout_list(logouts->db, logouts->told, found, STORE_MAILBOXES_MAX, &count)) {
    case DB_OK: tell(logouts, found, count); break;
    case DB_NONE: end_round(logouts); break;
    default: wait_for(logouts, PATIENCE);
    }
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    struct logouts *logouts = context;
    (void)fd;
    (void)what;

    if (++logouts->ticks >= ROUND) {
        logouts->ticks = 0;
        logouts->told = 0;
    }
    step(logouts);
}

void logouts_init(struct logouts *logouts, struct event_base *base, struct db *db, struct db *notes,
                  struct store *store)
{
    memset(logouts, 0, sizeof(*logouts));
    logouts->db = db;
    logouts->notes = notes;
    logouts->store = store;
    logouts->tick = evtimer_new(base, on_tick, logouts);
    if (logouts->tick == NULL)
        log_fatal("cannot make a timer: out of memory");
    step(logouts);
}

void logouts_stop(struct logouts *logouts)
{
    logouts->stopped = true;
    event_free(logouts->tick);
}
