/*
 * Sockets: octets to the session, replies from it, one write a turn. Nothing is read while the
 * session waits for stored or the client does not take its replies.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/xalloc.h"
#include "lmtpd/connection.h"
#include "lmtpd/limits.h"
#include "lmtpd/server.h"
#include "lmtpd/session.h"

struct connection {
    struct connections *connections;
    int fd;
    struct event *readable;
    struct event *writable;
    bool reading;
    struct event *deadline; /* NULL until all is written; then the client is to close by it */
    size_t linger_left;     /* octets that it may still send */
    struct evbuffer *output;
    struct session *session;
    char *rest; /* of the input, which the session did not take */
    size_t rest_length;
    struct connection *next;
    struct connection *prev;
};

void connections_init(struct connections *connections, struct event_base *base,
                      const struct server *server, void (*closed)(void *context), void *context)
{
    static const struct timeval idle = {.tv_sec = IDLE_SECONDS};
    static const struct timeval linger = {.tv_sec = LINGER_SECONDS};

    *connections =
        (struct connections){.base = base, .server = server, .closed = closed, .context = context};
    connections->idle = event_base_init_common_timeout(base, &idle);
    connections->linger = event_base_init_common_timeout(base, &linger);
    connections->input = xmalloc(INPUT_SIZE);
    if (connections->idle == NULL || connections->linger == NULL)
        log_fatal("cannot make timers");
}

static void connection_free(struct connection *connection)
{
    struct connections *connections = connection->connections;

    DL_DELETE(connections->all, connection);
    connections->count--;
    metric_add(METRIC_LMTP_SESSIONS, -1);
    session_free(connection->session);
    event_free(connection->readable);
    event_free(connection->writable);
    if (connection->deadline != NULL)
        event_free(connection->deadline);
    evbuffer_free(connection->output);
    close(connection->fd);
    free(connection->rest);
    free(connection);
    connections->closed(connections->context);
}

static void set_reading(struct connection *connection, bool reading)
{
    if (reading == connection->reading)
        return;
    connection->reading = reading;
    if (reading)
        event_add(connection->readable, connection->connections->idle);
    else
        event_del(connection->readable);
}

static void on_deadline(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    connection_free(context);
}

/* What follows the last reply is thrown away until the client closes: RFC 9293 section 3.6.1
   would have a close with unread input destroy replies on their way. */
static void start_lingering(struct connection *connection)
{
    connection->deadline = event_new(connection->connections->base, -1, 0, on_deadline, connection);
    if (connection->deadline == NULL)
        log_fatal("cannot make a timer");
    connection->linger_left = LINGER_OCTETS_MAX;
    shutdown(connection->fd, SHUT_WR);
    event_add(connection->deadline, connection->connections->linger);
    event_add(connection->readable, NULL);
}

static void throw_away(struct connection *connection)
{
    ssize_t got = recv(connection->fd, connection->connections->input, INPUT_SIZE, 0);

    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (got <= 0 || (size_t)got > connection->linger_left)
        connection_free(connection);
    else
        connection->linger_left -= (size_t)got;
}

/* Writes what there is; returns -1 when the client is gone. */
static int flush(struct connection *connection)
{
    while (evbuffer_get_length(connection->output) > 0) {
        int written = evbuffer_write(connection->output, connection->fd);
        if (written > 0 || (written < 0 && errno == EINTR))
            continue;
        if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            event_add(connection->writable, connection->connections->idle);
            return 0;
        }
        return -1;
    }
    return 0;
}

/* After the session has done something. The connection may be gone when this returns. */
static void settle(struct connection *connection)
{
    /* The replies to commands before the one that waits leave together with its own. */
    if (session_waiting(connection->session) && !session_left(connection->session))
        return;
    if (flush(connection) < 0) {
        connection_free(connection);
        return;
    }
    size_t pending = evbuffer_get_length(connection->output);
    if (session_left(connection->session)) {
        set_reading(connection, false);
        if (pending > 0)
            return;
        if (connection->connections->server->draining)
            connection_free(connection);
        else
            start_lingering(connection);
        return;
    }
    set_reading(connection, pending <= OUTPUT_PENDING_MAX);
}

/* Keeps what the session has not taken; `input` is the shared buffer or the old rest. */
static void keep_rest(struct connection *connection, const char *input, size_t length)
{
    char *rest = NULL;

    if (length > 0) {
        rest = xmalloc(length);
        memcpy(rest, input, length);
    }
    free(connection->rest);
    connection->rest = rest;
    connection->rest_length = length;
}

static void feed(struct connection *connection, const char *input, size_t length)
{
    size_t used = session_input(connection->session, input, length);

    if (used < length || connection->rest != NULL)
        keep_rest(connection, input + used, length - used);
    settle(connection);
}

static void on_resume(void *context)
{
    struct connection *connection = context;

    feed(connection, connection->rest != NULL ? connection->rest : "", connection->rest_length);
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct connection *connection = context;
    char *input = connection->connections->input;
    size_t length = connection->rest_length;

    if (connection->deadline != NULL) {
        throw_away(connection);
        return;
    }
    if ((what & EV_TIMEOUT) != 0) {
        session_timeout(connection->session);
        settle(connection);
        return;
    }
    if (session_waiting(connection->session)) {
        /* Only now, because most clients are silent while they wait. */
        set_reading(connection, false);
        return;
    }
    memcpy(input, connection->rest != NULL ? connection->rest : "", length);
    ssize_t got = recv(fd, input + length, INPUT_SIZE - length, 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (got <= 0)
        connection_free(connection);
    else
        feed(connection, input, length + (size_t)got);
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    struct connection *connection = context;
    (void)fd;

    if ((what & EV_TIMEOUT) != 0)
        connection_free(connection);
    else
        settle(connection);
}

void connection_add(struct connections *connections, int fd, const char *peer)
{
    struct connection *connection = xcalloc(1, sizeof(*connection));

    connection->connections = connections;
    connection->fd = fd;
    connection->output = evbuffer_new();
    connection->readable =
        event_new(connections->base, fd, EV_READ | EV_PERSIST, on_readable, connection);
    connection->writable = event_new(connections->base, fd, EV_WRITE, on_writable, connection);
    if (connection->output == NULL || connection->readable == NULL || connection->writable == NULL)
        log_fatal("cannot watch a socket: out of memory");
    connection->session =
        session_new(connections->server, peer, connection->output, on_resume, connection);
    DL_APPEND(connections->all, connection);
    connections->count++;
    metric_add(METRIC_LMTP_CONNECTIONS, 1);
    metric_add(METRIC_LMTP_SESSIONS, 1);
    settle(connection);
}

void connections_drain(struct connections *connections)
{
    struct connection *next;

    for (struct connection *connection = connections->all; connection != NULL; connection = next) {
        next = connection->next;
        session_drain(connection->session);
        settle(connection);
    }
}

void connections_stop(struct connections *connections)
{
    struct connection *next;

    for (struct connection *connection = connections->all; connection != NULL; connection = next) {
        next = connection->next;
        session_stop(connection->session);
        (void)flush(connection);
        connection_free(connection);
    }
}
