#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/reconnect.h"
#include "lib/xalloc.h"

struct reconnect {
    struct event *timer;
    struct event *late; /* pending: the peer is waited for */
    const char *path;
    const struct reconnect_events *events;
    void *context;
    uint64_t last; /* attempt after a loss, in milliseconds */
    bool complained;
    bool heard; /* over this connection */
    bool away;
};

static void wait_for(struct reconnect *reconnect, uint64_t pause)
{
    const struct timeval delay = {.tv_usec = (suseconds_t)(pause * 1000)};

    if (event_add(reconnect->timer, &delay) < 0)
        log_fatal("cannot set a timer: out of memory");
}

static void try_to_connect(struct reconnect *reconnect)
{
    if (reconnect->events->connect(reconnect->context) == 0) {
        reconnect->complained = false;
        return;
    }
    if (!reconnect->complained)
        log_warning("cannot connect to %s: %s; trying on", reconnect->path, strerror(errno));
    reconnect->complained = true;
    wait_for(reconnect, RECONNECT_PAUSE_MS);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    struct reconnect *reconnect = context;
    (void)fd;
    (void)what;

    reconnect->last = clock_milliseconds();
    try_to_connect(reconnect);
}

/* One that was away is not waited for again before it has been heard. */
static void expect(struct reconnect *reconnect)
{
    static const struct timeval patience = {.tv_sec = RECONNECT_PATIENCE_MS / 1000};

    reconnect->heard = false;
    if (!reconnect->away && !event_pending(reconnect->late, EV_TIMEOUT, NULL) &&
        event_add(reconnect->late, &patience) < 0)
        log_fatal("cannot set a timer: out of memory");
}

static void on_late(evutil_socket_t fd, short what, void *context)
{
    struct reconnect *reconnect = context;
    (void)fd;
    (void)what;

    log_error("nobody has answered at %s for %d ms; whoever asks is told to come again",
              reconnect->path, RECONNECT_PATIENCE_MS);
    reconnect->away = true;
    reconnect->events->away(reconnect->context);
}

struct reconnect *reconnect_new(struct event_base *base, const char *path,
                                const struct reconnect_events *events, void *context)
{
    struct reconnect *reconnect = xcalloc(1, sizeof(*reconnect));

    reconnect->path = path;
    reconnect->events = events;
    reconnect->context = context;
    reconnect->timer = evtimer_new(base, on_timer, reconnect);
    reconnect->late = evtimer_new(base, on_late, reconnect);
    if (reconnect->timer == NULL || reconnect->late == NULL)
        log_fatal("out of memory");
    expect(reconnect);
    try_to_connect(reconnect);
    return reconnect;
}

void reconnect_free(struct reconnect *reconnect)
{
    if (reconnect == NULL)
        return;
    event_free(reconnect->timer);
    event_free(reconnect->late);
    free(reconnect);
}

void reconnect_again(struct reconnect *reconnect)
{
    uint64_t now = clock_milliseconds();

    expect(reconnect);
    if (now - reconnect->last < RECONNECT_PAUSE_MS) {
        wait_for(reconnect, RECONNECT_PAUSE_MS - (now - reconnect->last));
        return;
    }
    reconnect->last = now;
    try_to_connect(reconnect);
}

void reconnect_heard(struct reconnect *reconnect)
{
    if (reconnect->heard)
        return;
    reconnect->heard = true;
    event_del(reconnect->late);
    if (reconnect->away)
        log_info("%s answers again", reconnect->path);
    reconnect->away = false;
}

bool reconnect_is_away(const struct reconnect *reconnect)
{
    return reconnect->away;
}
