#include <event2/event.h>
#include <stdlib.h>

#include "cli/rotation.h"
#include "lib/log.h"
#include "lib/ticketkeys.h"
#include "lib/xalloc.h"

struct rotation {
    struct event *due;
};

static void on_due(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    ticketkeys_rotate(context);
}

struct rotation *rotation_new(struct event_base *base, struct ticketkeys *keys, int period)
{
    const struct timeval interval = {.tv_sec = period / 1000, .tv_usec = period % 1000 * 1000};
    struct rotation *rotation = xcalloc(1, sizeof(*rotation));

    rotation->due = event_new(base, -1, EV_PERSIST, on_due, keys);
    if (rotation->due == NULL || event_add(rotation->due, &interval) < 0)
        log_fatal("cannot make a timer: out of memory");
    return rotation;
}

void rotation_free(struct rotation *rotation)
{
    event_free(rotation->due);
    free(rotation);
}
