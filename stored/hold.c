#include <errno.h>
#include <event2/event.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "lib/channel.h"
#include "lib/log.h"
#include "lib/storemsg.h"
#include "stored/hold.h"
#include "stored/index.h"
#include "stored/recovery.h"

#define CONTROL_PATH "run/stored-control.sock"

/* Seconds until whoever waits is told what for. */
#define PATIENCE 5

static int on_message(void *context, const struct channel_message *message)
{
    struct hold *hold = context;

    if (message->type != STORE_HELD || message->length != 0)
        return -1;
    hold->held = true;
    return 0;
}

static void on_closed(void *context)
{
    struct hold *hold = context;

    hold->lost = true;
}

static const struct channel_events events = {.message = on_message, .closed = on_closed};

static void on_late(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    (void)context;
    log_warning("the mail store does not answer yet: it is starting, or cannot start, as the log "
                "of the service says; waiting for it");
}

static void ask(struct hold *hold)
{
    static const struct timeval patience = {.tv_sec = PATIENCE};
    struct event *late = evtimer_new(hold->base, on_late, NULL);

    if (late == NULL || event_add(late, &patience) < 0)
        log_fatal("out of memory");
    hold->held = false;
    channel_send(hold->channel, STORE_HOLD, 0, NULL, 0, NULL, 0);
    while (!hold->held && !hold->lost)
        event_base_loop(hold->base, EVLOOP_ONCE);
    event_free(late);
    if (hold->lost)
        log_fatal("the service ended just now: try again");
}

void hold_take(struct hold *hold)
{
    memset(hold, 0, sizeof(*hold));
    hold->lock = -1;
    hold->base = event_base_new();
    if (hold->base == NULL)
        log_fatal("out of memory");
    hold->channel = channel_connect(hold->base, CONTROL_PATH, &events, hold);
    if (hold->channel != NULL)
        ask(hold);
    else if (errno == ENOENT || errno == ECONNREFUSED)
        hold->lock = recovery_lock();
    else
        log_fatal("the running service cannot be asked (%s): %s", CONTROL_PATH, strerror(errno));
}

void hold_catch_up(struct hold *hold)
{
    struct store store = {0};

    if (hold->channel != NULL)
        return;
    if (sodium_init() < 0)
        log_fatal("libsodium does not start");
    recovery_run(&store);
    index_close(store.index);
}

void hold_renew(struct hold *hold)
{
    if (hold->channel != NULL)
        ask(hold);
}

void hold_check(struct hold *hold)
{
    if (hold->channel != NULL && !hold->lost)
        event_base_loop(hold->base, EVLOOP_NONBLOCK);
    if (hold->lost)
        log_fatal("the service ended or was started again meanwhile, so the store may have changed "
                  "under this: run the same command again");
}

void hold_end(struct hold *hold)
{
    channel_free(hold->channel);
    event_base_free(hold->base);
    if (hold->lock >= 0)
        close(hold->lock);
}
