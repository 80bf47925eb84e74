#include <event2/event.h>
#include <stdlib.h>
#include <utlist.h>

#include "authd/client.h"
#include "authd/listener.h"
#include "authd/service.h"
#include "lib/acceptor.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/xalloc.h"

/* Seconds between two looks for exchanges that have been broken off. */
#define LOOK_EVERY 60

struct connection {
    struct client *client;
    struct listener *listener;
    struct connection *prev;
    struct connection *next;
};

struct listener {
    const struct service *service;
    struct acceptor *acceptor;
    struct event *look; /* where the service has exchanges expire */
    struct connection *connections;
    unsigned count;
    bool open;
    void (*idle)(void *context);
    void *context;
};

static void connection_free(struct connection *connection)
{
    client_free(connection->client);
    DL_DELETE(connection->listener->connections, connection);
    connection->listener->count--;
    free(connection);
}

static void set_accepting(struct listener *listener)
{
    acceptor_set_open(listener->acceptor,
                      listener->open && listener->count < listener->service->connections_max);
}

static void on_closed(struct client *client, void *context)
{
    struct connection *connection = context;
    struct listener *listener = connection->listener;
    (void)client;

    connection_free(connection);
    set_accepting(listener);
    if (listener->count == 0)
        listener->idle(listener->context);
}

static const struct client_events client_events = {.closed = on_closed};

static void on_accept(void *context, int fd, const struct sockaddr *address)
{
    struct listener *listener = context;
    struct connection *connection = xcalloc(1, sizeof(*connection));
    (void)address;

    connection->listener = listener;
    connection->client = client_new(listener->service, fd, &client_events, connection);
    DL_APPEND(listener->connections, connection);
    listener->count++;
    if (listener->count < listener->service->connections_max)
        return;
    log_warning("%s has %u connections; further clients wait", listener->service->name,
                listener->count);
    set_accepting(listener);
}

static void on_look(evutil_socket_t fd, short what, void *context)
{
    struct listener *listener = context;
    struct connection *connection;
    (void)fd;
    (void)what;

    DL_FOREACH (listener->connections, connection) {
        client_expire(connection->client, clock_seconds());
    }
}

static struct event *watch_exchanges(struct listener *listener)
{
    const struct timeval every = {.tv_sec = LOOK_EVERY};

    struct event *look = event_new(listener->service->base, -1, EV_PERSIST, on_look, listener);
    if (look == NULL || event_add(look, &every) < 0)
        log_fatal("out of memory");
    return look;
}

struct listener *listener_new(const struct service *service, void (*idle)(void *context),
                              void *context)
{
    struct listener *listener = xcalloc(1, sizeof(*listener));

    listener->service = service;
    listener->idle = idle;
    listener->context = context;
    listener->acceptor = acceptor_new(service->base);
    acceptor_set_open(listener->acceptor, false);
    acceptor_listen(listener->acceptor, service->name, on_accept, listener);
    if (service->expires)
        listener->look = watch_exchanges(listener);
    return listener;
}

void listener_set_open(struct listener *listener, bool open)
{
    listener->open = open;
    set_accepting(listener);
}

bool listener_is_idle(const struct listener *listener)
{
    return listener->count == 0;
}

void listener_free(struct listener *listener)
{
    if (listener == NULL)
        return;
    while (listener->connections != NULL)
        connection_free(listener->connections);
    acceptor_free(listener->acceptor);
    if (listener->look != NULL)
        event_free(listener->look);
    free(listener);
}

void listener_each(struct listener *listener, void (*tell)(void *context, struct client *client),
                   void *context)
{
    struct connection *connection;

    DL_FOREACH (listener->connections, connection) {
        tell(context, connection->client);
    }
}

void listener_drain(struct listener *listener)
{
    struct connection *connection;

    listener_set_open(listener, false);
    DL_FOREACH (listener->connections, connection) {
        client_drain(connection->client);
    }
}

bool listener_has_output(const struct listener *listener)
{
    const struct connection *connection;

    DL_FOREACH (listener->connections, connection) {
        if (client_has_output(connection->client))
            return true;
    }
    return false;
}
