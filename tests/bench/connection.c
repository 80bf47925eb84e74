#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/xalloc.h"
#include "tests/bench/connection.h"

/* What is handed on at once at most: UIDL of a mailbox of 100,000 messages takes 7 MiB. */
#define INPUT_SIZE (8 * 1024 * 1024)

struct loop {
    int epoll;
    struct connection_events events;
    struct tls_context *tls; /* NULL: none */
    char *input; /* shared by all connections: only the rest of a read is kept by each */
};

struct loop *loop_new(const struct connection_events *events, struct tls_context *tls)
{
    struct loop *loop = xmalloc(sizeof(*loop));

    loop->events = *events;
    loop->tls = tls;
    loop->input = xmalloc(INPUT_SIZE);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0)
        log_fatal("epoll: %s", strerror(errno));
    return loop;
}

void loop_free(struct loop *loop)
{
    close(loop->epoll);
    free(loop->input);
    free(loop);
}

static void watch(struct connection *connection, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};

    if (operation == EPOLL_CTL_MOD && connection->watched == events)
        return;
    if (epoll_ctl(connection->loop->epoll, operation, connection->fd, &event) < 0)
        log_fatal("epoll: %s", strerror(errno));
    connection->watched = events;
}

/* What there is to wait for. */
static uint32_t wanted(const struct connection *connection)
{
    return (connection->deaf ? 0 : EPOLLIN) | (connection->unsent_length > 0 ? EPOLLOUT : 0);
}

static void shake_hands(struct connection *connection)
{
    enum tls_progress progress = tls_shake_hands(&connection->tls);
    bool output =
        progress == TLS_WANTS_OUTPUT || (progress == TLS_DONE && connection->unsent_length > 0);

    connection->shaking = progress != TLS_DONE;
    watch(connection, EPOLL_CTL_MOD, output ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* The port is left to connect(), which may give one of another source's as well. */
static void leave_from(int fd, in_addr_t source)
{
    const struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = source};
    int on = 1;

    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) < 0 ||
        bind(fd, (const struct sockaddr *)&from, sizeof(from)) < 0)
        log_fatal("cannot bind to a source address: %s", strerror(errno));
}

static int make_socket(const struct route *route)
{
    int fd = socket(route->server->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0)
        log_fatal("cannot make a socket: %s (see ulimit -n)", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (route->room != 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &route->room, sizeof(route->room));
    if (route->source != 0)
        leave_from(fd, route->source);
    return fd;
}

void connection_open(struct connection *connection, struct loop *loop, const struct route *route,
                     void *context)
{
    *connection = (struct connection){.loop = loop, .context = context, .tls = connection->tls};
    connection->fd = make_socket(route);
    if (connect(connection->fd, route->server, route->length) < 0 && errno != EINPROGRESS)
        log_fatal("cannot connect: %s", strerror(errno));
    connection->shaking = loop->tls != NULL;
    watch(connection, EPOLL_CTL_ADD, connection->shaking ? EPOLLIN | EPOLLOUT : EPOLLIN);
    if (connection->shaking)
        tls_open(&connection->tls, loop->tls, connection->fd);
}

void connection_close(struct connection *connection)
{
    if (connection->fd < 0)
        return;
    tls_close(&connection->tls);
    close(connection->fd);
    free(connection->rest);
    free(connection->unsent);
    connection->fd = -1;
    connection->rest = connection->unsent = NULL;
    connection->rest_length = connection->unsent_length = 0;
}

void connection_end(struct connection *connection)
{
    connection_close(connection);
    tls_forget(&connection->tls);
}

static void broken(struct connection *connection)
{
    connection_close(connection);
    connection->loop->events.closed(connection->context);
}

/* Returns how many octets the socket took; 0 also where it broke, which reading will show. */
static size_t send_some(struct connection *connection, const char *data, size_t length)
{
    size_t sent = 0;

    while (sent < length) {
        ssize_t part = connection->tls.openssl != NULL
                           ? tls_send(&connection->tls, data + sent, length - sent)
                           : send(connection->fd, data + sent, length - sent, MSG_NOSIGNAL);
        if (part < 0 && errno == EINTR)
            continue;
        if (part <= 0)
            break;
        sent += (size_t)part;
    }
    return sent;
}

void connection_send(struct connection *connection, const void *data, size_t length)
{
    size_t sent = 0;

    if (connection->unsent_length == 0 && !connection->shaking)
        sent = send_some(connection, data, length);
    if (sent == length)
        return;
    size_t left = length - sent;
    connection->unsent = xrealloc(connection->unsent, connection->unsent_length + left);
    memcpy(connection->unsent + connection->unsent_length, (const char *)data + sent, left);
    connection->unsent_length += left;
    if (!connection->shaking)
        watch(connection, EPOLL_CTL_MOD, wanted(connection));
}

static void flush(struct connection *connection)
{
    size_t sent = send_some(connection, connection->unsent, connection->unsent_length);

    connection->unsent_length -= sent;
    memmove(connection->unsent, connection->unsent + sent, connection->unsent_length);
    if (connection->unsent_length > 0)
        return;
    free(connection->unsent);
    connection->unsent = NULL;
    watch(connection, EPOLL_CTL_MOD, wanted(connection));
}

void connection_deafen(struct connection *connection)
{
    connection->deaf = true;
    watch(connection, EPOLL_CTL_MOD, wanted(connection));
}

bool connection_sip(struct connection *connection)
{
    char octet;

    ssize_t got = recv(connection->fd, &octet, sizeof(octet), 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        broken(connection);
    return got > 0;
}

/* Hands on the input and keeps what was not consumed. */
static void consume(struct connection *connection, const char *data, size_t length)
{
    size_t used = 0;

    while (used < length && connection->fd >= 0) {
        size_t now =
            connection->loop->events.input(connection->context, data + used, length - used);
        if (now == 0)
            break;
        used += now;
    }
    if (connection->fd < 0)
        return;
    free(connection->rest);
    connection->rest = NULL;
    connection->rest_length = length - used;
    if (connection->rest_length == 0)
        return;
    connection->rest = xmalloc(connection->rest_length);
    memcpy(connection->rest, data + used, connection->rest_length);
}

/* Returns whether something came. */
static bool receive_once(struct connection *connection)
{
    char *input = connection->loop->input;
    size_t kept = connection->rest_length;

    if (kept >= INPUT_SIZE)
        log_fatal("the server sends a reply without an end");
    if (kept > 0)
        memcpy(input, connection->rest, kept);
    ssize_t got = connection->tls.openssl != NULL
                      ? tls_receive(&connection->tls, input + kept, INPUT_SIZE - kept)
                      : recv(connection->fd, input + kept, INPUT_SIZE - kept, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got <= 0)
        broken(connection);
    else
        consume(connection, input, kept + (size_t)got);
    return got > 0;
}

static void receive(struct connection *connection)
{
    bool more = true;

    if (connection->shaking) {
        shake_hands(connection);
        if (connection->shaking)
            return;
        connection->loop->events.shaken(connection->context);
    }
    while (more && connection->fd >= 0 && !connection->deaf)
        more = receive_once(connection) && tls_pending(&connection->tls);
}

void loop_turn(struct loop *loop, int milliseconds)
{
    struct epoll_event events[256];

    int count = epoll_wait(loop->epoll, events, 256, milliseconds);
    for (int i = 0; i < count; i++) {
        struct connection *connection = events[i].data.ptr;
        if (connection->fd >= 0 && !connection->shaking && (events[i].events & EPOLLOUT) != 0)
            flush(connection);
        if (connection->fd >= 0 && connection->deaf &&
            (events[i].events & (EPOLLHUP | EPOLLERR)) != 0)
            broken(connection);
        else if (connection->fd >= 0 && !connection->deaf &&
                 (connection->shaking || (events[i].events & ~(uint32_t)EPOLLOUT) != 0))
            receive(connection);
    }
}
