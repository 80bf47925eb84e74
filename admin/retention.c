#include <event2/event.h>
#include <inttypes.h>
#include <string.h>

#include "admin/retention.h"
#include "admin/store.h"
#include "lib/clock.h"
#include "lib/log.h"

/* Seconds: the first sweep does not meet the crowd of clients that a restart brings. */
#define FIRST_SWEEP 2
#define SWEEP_EVERY 3541 /* not an hour: a client that comes each hour would be met each time */
#define PATIENCE    1

/*
 * After each answer the sweep rests for so many times what the answer took: it has at most a fifth
 * of stored when that is idle, and less the more stored has to do.
 */
#define REST 4

/* Microseconds. */
#define REST_LEAST 1000
#define REST_MOST  1000000
#define A_DAY      (UINT64_C(86400) * 1000000)

static void wait_seconds(struct retention *retention, time_t seconds)
{
    const struct timeval pause = {.tv_sec = seconds};

    event_add(retention->tick, &pause);
}

static void rest(struct retention *retention)
{
    uint64_t pause = REST * (clock_microseconds() - retention->asked);

    pause = pause < REST_LEAST ? REST_LEAST : pause > REST_MOST ? REST_MOST : pause;
    const struct timeval interval = {.tv_sec = (time_t)(pause / 1000000),
                                     .tv_usec = (suseconds_t)(pause % 1000000)};
    event_add(retention->tick, &interval);
}

static void end_sweep(struct retention *retention)
{
    if (retention->messages > 0)
        log_info("retention: removed %" PRIu64 " messages of %" PRIu64
                 " mailboxes that were older than their plan allows",
                 retention->messages, retention->mailboxes);
    retention->at = (struct db_retention){0};
    retention->messages = 0;
    retention->mailboxes = 0;
    wait_seconds(retention, SWEEP_EVERY);
}

/* What it looks at is the next mailbox, from its beginning. */
static void leave_mailbox(struct retention *retention)
{
    retention->mailboxes += retention->removed;
    retention->removed = false;
    retention->request = (struct store_expire){0};
    rest(retention);
}

static void take_answer(struct retention *retention)
{
    retention->told = false;
    retention->messages += retention->answer.count;
    retention->removed |= retention->answer.count > 0;
    retention->request.after = retention->answer.next;
    if (retention->answer.more != 0)
        rest(retention);
    else
        leave_mailbox(retention);
}

static void on_expired(void *context, enum store_result result)
{
    struct retention *retention = context;

    if (retention->stopped)
        return;
    switch (result) {
    case STORE_OK: take_answer(retention); break;
    case STORE_IN_USE:
    case STORE_NO_MAILBOX: leave_mailbox(retention); break;
    case STORE_BUSY: wait_seconds(retention, PATIENCE); break;
    default:
        if (!retention->told)
            log_error("old mail of mailbox=%" PRIu64 " cannot be removed now, as the lines of "
                      "stored say; trying again each second until it can",
                      retention->at.mailbox);
        retention->told = true;
        wait_seconds(retention, PATIENCE);
    }
}

/* Goes to the next mailbox. Returns 0, or -1: the sweep has ended. */
static int next_mailbox(struct retention *retention)
{
    if (db_retention_next(retention->db, &retention->at) != DB_OK)
        return -1;
    uint64_t now = clock_wall();
    uint64_t kept = retention->at.days * A_DAY;
    retention->request = (struct store_expire){
        .mailbox = retention->at.mailbox,
        .before = now > kept ? now - kept : 0,
    };
    return 0;
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    struct retention *retention = context;
    (void)fd;
    (void)what;

    if (retention->request.mailbox == 0 && next_mailbox(retention) < 0) {
        end_sweep(retention);
        return;
    }
    retention->asked = clock_microseconds();
    store_expire(retention->store, &retention->request, &retention->answer,
                 (struct store_caller){on_expired, retention});
}

void retention_init(struct retention *retention, struct event_base *base, struct db *db,
                    struct store *store)
{
    memset(retention, 0, sizeof(*retention));
    retention->db = db;
    retention->store = store;
    retention->tick = evtimer_new(base, on_tick, retention);
    if (retention->tick == NULL)
        log_fatal("cannot make a timer: out of memory");
    wait_seconds(retention, FIRST_SWEEP);
}

void retention_stop(struct retention *retention)
{
    retention->stopped = true;
    event_free(retention->tick);
}
