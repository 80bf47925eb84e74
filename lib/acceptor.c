#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>

#include "lib/acceptor.h"
#include "lib/child.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/xalloc.h"

/* Seconds between two lines in the log that say the same. */
#define COMPLAIN_SECONDS 60

struct place {
    struct acceptor *acceptor;
    struct evconnlistener *listener;
    void (*accepted)(void *context, int fd, const struct sockaddr *address);
    void *context;
};

struct acceptor {
    struct event_base *base;
    struct event *pause; /* pending: descriptors have run out just now */
    bool open;
    bool enabled;
    uint32_t complained; /* 0: never */
    unsigned count;
    struct place places[ACCEPTOR_SOCKETS_MAX];
};

static void apply(struct acceptor *acceptor)
{
    bool enabled = acceptor->open && !event_pending(acceptor->pause, EV_TIMEOUT, NULL);

    if (enabled == acceptor->enabled)
        return;
    acceptor->enabled = enabled;
    for (unsigned i = 0; i < acceptor->count; i++)
        if (enabled)
            evconnlistener_enable(acceptor->places[i].listener);
        else
            evconnlistener_disable(acceptor->places[i].listener);
}

static void on_pause_end(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    apply(context);
}

static void complain(struct acceptor *acceptor, const char *why)
{
    uint32_t now = clock_seconds();

    if (acceptor->complained != 0 && now - acceptor->complained < COMPLAIN_SECONDS)
        return;
    acceptor->complained = now;
    log_warning("cannot accept a connection: %s; clients wait", why);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int length, void *context)
{
    const struct place *place = context;
    (void)listener;
    (void)length;

    place->accepted(place->context, fd, address);
}

static void on_error(struct evconnlistener *listener, void *context)
{
    static const struct timeval pause = {.tv_usec = ACCEPTOR_PAUSE_MS * 1000};
    const struct place *place = context;
    struct acceptor *acceptor = place->acceptor;
    (void)listener;

    complain(acceptor, strerror(errno));
    if (event_add(acceptor->pause, &pause) < 0)
        log_fatal("cannot set a timer: out of memory");
    apply(acceptor);
}

struct acceptor *acceptor_new(struct event_base *base)
{
    struct acceptor *acceptor = xcalloc(1, sizeof(*acceptor));

    acceptor->base = base;
    acceptor->open = true;
    acceptor->enabled = true;
    acceptor->pause = evtimer_new(base, on_pause_end, acceptor);
    if (acceptor->pause == NULL)
        log_fatal("out of memory");
    return acceptor;
}

void acceptor_free(struct acceptor *acceptor)
{
    if (acceptor == NULL)
        return;
    for (unsigned i = 0; i < acceptor->count; i++)
        evconnlistener_free(acceptor->places[i].listener);
    event_free(acceptor->pause);
    free(acceptor);
}

void acceptor_listen(struct acceptor *acceptor, const char *name,
                     void (*accepted)(void *context, int fd, const struct sockaddr *address),
                     void *context)
{
    int fd;

    if (child_descriptor(name, 0) < 0)
        log_fatal("the socket \"%s\" was not passed on", name);
    for (unsigned i = 0; (fd = child_descriptor(name, i)) >= 0; i++) {
        if (acceptor->count == ACCEPTOR_SOCKETS_MAX)
            log_fatal("more than %d listening sockets", ACCEPTOR_SOCKETS_MAX);
        struct place *place = &acceptor->places[acceptor->count++];
        place->acceptor = acceptor;
        place->accepted = accepted;
        place->context = context;
        place->listener = evconnlistener_new(
            acceptor->base, on_accept, place,
            LEV_OPT_CLOSE_ON_EXEC | (acceptor->enabled ? 0 : LEV_OPT_DISABLED), 0, fd);
        if (place->listener == NULL)
            log_fatal("cannot listen on a %s socket", name);
        evconnlistener_set_error_cb(place->listener, on_error);
    }
}

void acceptor_set_open(struct acceptor *acceptor, bool open)
{
    acceptor->open = open;
    apply(acceptor);
}
