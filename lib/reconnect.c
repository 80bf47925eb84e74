#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/log.h"
#include "lib/reconnect.h"
#include "lib/xalloc.h"

struct reconnect {
    struct event *timer;
    const char *path;
    int (*connect)(void *context);
    void *context;
    uint64_t last; /* attempt after a loss, in milliseconds */
    bool complained;
};

static uint64_t milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void wait_for(struct reconnect *reconnect, uint64_t pause)
{
    const struct timeval delay = {.tv_usec = (suseconds_t)(pause * 1000)};

    if (event_add(reconnect->timer, &delay) < 0)
        log_fatal("cannot set a timer: out of memory");
}

static void try_to_connect(struct reconnect *reconnect)
{
    if (reconnect->connect(reconnect->context) == 0) {
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

    reconnect->last = milliseconds();
    try_to_connect(reconnect);
}

struct reconnect *reconnect_new(struct event_base *base, const char *path,
                                int (*connect)(void *context), void *context)
{
    struct reconnect *reconnect = xcalloc(1, sizeof(*reconnect));

    reconnect->path = path;
    reconnect->connect = connect;
    reconnect->context = context;
    reconnect->timer = evtimer_new(base, on_timer, reconnect);
    if (reconnect->timer == NULL)
        log_fatal("out of memory");
    try_to_connect(reconnect);
    return reconnect;
}

void reconnect_free(struct reconnect *reconnect)
{
    if (reconnect == NULL)
        return;
    event_free(reconnect->timer);
    free(reconnect);
}

void reconnect_again(struct reconnect *reconnect)
{
    uint64_t now = milliseconds();

    if (now - reconnect->last < RECONNECT_PAUSE_MS) {
        wait_for(reconnect, RECONNECT_PAUSE_MS - (now - reconnect->last));
        return;
    }
    reconnect->last = now;
    try_to_connect(reconnect);
}
