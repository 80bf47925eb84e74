#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

#include "authd/client.h"
#include "authd/listener.h"
#include "authd/service.h"
#include "lib/log.h"
#include "lib/xalloc.h"

/* Before accepting again where a descriptor or memory was not to be had. */
static const struct timeval pause_time = {.tv_usec = 100 * 1000};

struct connection {
    struct client *client;
    struct listener *listener;
    struct connection *prev;
    struct connection *next;
};

struct listener {
    const struct service *service;
    struct event *acceptable;
    struct event *resume;
    struct connection *connections;
    unsigned count;
    bool draining;
};

static void connection_free(struct connection *connection)
{
    client_free(connection->client);
    DL_DELETE(connection->listener->connections, connection);
    connection->listener->count--;
    free(connection);
}

static void on_closed(struct client *client, void *context)
{
    struct connection *connection = context;
    struct listener *listener = connection->listener;
    (void)client;

    connection_free(connection);
    if (!listener->draining)
        event_add(listener->acceptable, NULL);
}

static const struct client_events client_events = {.closed = on_closed};

static void connection_add(struct listener *listener, int fd)
{
    struct connection *connection = xcalloc(1, sizeof(*connection));

    connection->listener = listener;
    connection->client = client_new(listener->service, fd, &client_events, connection);
    DL_APPEND(listener->connections, connection);
    listener->count++;
    if (listener->count < listener->service->connections_max)
        return;
    log_warning("%s has %u connections; further clients wait", listener->service->name,
                listener->count);
    event_del(listener->acceptable);
}

static void on_acceptable(evutil_socket_t socket, short what, void *context)
{
    struct listener *listener = context;
    (void)what;

    int fd = accept4(socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        connection_add(listener, fd);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        log_warning("cannot accept a client of %s now: %s", listener->service->name,
                    strerror(errno));
        event_del(listener->acceptable);
        event_add(listener->resume, &pause_time);
    }
}

static void on_resume(evutil_socket_t fd, short what, void *context)
{
    struct listener *listener = context;
    (void)fd;
    (void)what;

    if (!listener->draining)
        event_add(listener->acceptable, NULL);
}

struct listener *listener_new(const struct service *service, int fd)
{
    struct listener *listener = xcalloc(1, sizeof(*listener));

    listener->service = service;
    listener->acceptable =
        event_new(service->base, fd, EV_READ | EV_PERSIST, on_acceptable, listener);
    listener->resume = evtimer_new(service->base, on_resume, listener);
    if (listener->acceptable == NULL || listener->resume == NULL ||
        event_add(listener->acceptable, NULL) < 0)
        log_fatal("cannot watch the socket %s", service->name);
    return listener;
}

void listener_free(struct listener *listener)
{
    if (listener == NULL)
        return;
    while (listener->connections != NULL)
        connection_free(listener->connections);
    event_free(listener->acceptable);
    event_free(listener->resume);
    free(listener);
}

void listener_drain(struct listener *listener)
{
    struct connection *connection;

    listener->draining = true;
    event_del(listener->acceptable);
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
