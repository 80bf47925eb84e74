/*
 * Handshakes cost more than all else that the event loop does: a few are done in each of its turns,
 * so a flood of them takes no more than its share of time, and of half-open ones the oldest goes
 * when there are too many, so it takes no more than its share of memory.
 */
#include <errno.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "admin/tunnel.h"
#include "lib/acceptor.h"
#include "lib/clock.h"
#include "lib/keyschedule.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/tls.h"
#include "lib/xalloc.h"

/* All connections. */
#define TUNNELS_MAX 12000

/* Those that shake hands; a half-open one takes some 60 KiB. */
#define HANDSHAKES_MAX 1000

/* Milliseconds that a handshake may take. */
#define HANDSHAKE_TIME 10000

/* Steps of handshakes in one turn of the event loop. */
#define HANDSHAKES_TOGETHER 4

/* Milliseconds in which a client must have taken what is there for it. */
#define TUNNEL_TIME 60000

/* Octets that the kernel keeps between libmicrohttpd and here, in each direction. */
#define TUNNEL_KERNEL (32 * 1024)

/* A record of TLS (RFC 8446 section 5.1). */
#define PIECE (16 * 1024)

/* What could not be handed on yet. */
struct rest {
    uint8_t *octets; /* NULL: nothing */
    size_t length;
    size_t done;
};

/* One of the two sockets. */
struct side {
    int fd;
    short watched; /* EV_READ, EV_WRITE */
    struct event *event;
};

enum state {
    STATE_WAITING, /* shakes hands, and the client is to say something */
    STATE_READY,   /* shakes hands, and it is our turn */
    STATE_OPEN,
    STATE__MAX
};

struct tunnel {
    struct tunnel *prev;
    struct tunnel *next;
    struct tunnels *all;
    enum state state;
    SSL *ssl;
    struct side client;
    struct side inner;
    struct rest up;   /* from the client */
    struct rest down; /* to it */
    bool up_ended;    /* the client says nothing more, or libmicrohttpd wants nothing more */
    bool wants_write; /* OpenSSL, before it can read */
    uint64_t due;     /* when it is ended; 0: it is libmicrohttpd's to say */
    socklen_t address_length;
    struct sockaddr_storage address;
};

struct tunnels {
    struct event_base *base;
    struct acceptor *acceptor;
    struct tls *tls;
    const struct tunnels_events *events;
    void *context;
    struct event *turn; /* pending: somebody is ready */
    size_t counts[STATE__MAX];
    struct tunnel *lists[STATE__MAX]; /* the oldest first */
};

static void set_state(struct tunnel *tunnel, enum state state)
{
    struct tunnels *all = tunnel->all;

    /* A first that is not the last has a next. */
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
    DL_DELETE(all->lists[tunnel->state], tunnel);
    all->counts[tunnel->state]--;
    tunnel->state = state;
    DL_APPEND(all->lists[state], tunnel);
    all->counts[state]++;
}

size_t tunnels_count(const struct tunnels *tunnels)
{
    size_t count = 0;

    for (unsigned i = 0; i < STATE__MAX; i++)
        count += tunnels->counts[i];
    return count;
}

static void side_close(struct side *side)
{
    if (side->event != NULL)
        event_free(side->event);
    if (side->fd >= 0)
        close(side->fd);
}

static void tunnel_free(struct tunnel *tunnel)
{
    struct tunnels *all = tunnel->all;

    DL_DELETE(all->lists[tunnel->state], tunnel);
    all->counts[tunnel->state]--;
    SSL_free(tunnel->ssl);
    side_close(&tunnel->client);
    side_close(&tunnel->inner);
    free(tunnel->up.octets);
    free(tunnel->down.octets);
    free(tunnel);
}

static void tunnel_end(struct tunnel *tunnel)
{
    struct tunnels *all = tunnel->all;

    tunnel_free(tunnel);
    all->events->ended(all->context);
}

/* --- handing on */

static void on_ready(evutil_socket_t fd, short what, void *context);

static void watch(struct tunnel *tunnel, struct side *side, short wanted)
{
    if (side->watched == wanted)
        return;
    event_del(side->event);
    side->watched = wanted;
    if (wanted == 0)
        return;
    event_assign(side->event, tunnel->all->base, side->fd, (short)(wanted | EV_PERSIST), on_ready,
                 tunnel);
    if (event_add(side->event, NULL) < 0)
        log_panic("cannot watch a connection");
}

static void keep(struct rest *rest, const uint8_t *octets, size_t length)
{
    rest->octets = xmalloc(length);
    memcpy(rest->octets, octets, length);
    rest->length = length;
    rest->done = 0;
}

static void forget(struct rest *rest)
{
    free(rest->octets);
    *rest = (struct rest){0};
}

/* Returns whether all of it has left; what has not is kept. Nobody reads any more: all has. */
static bool write_inner(struct tunnel *tunnel, const uint8_t *octets, size_t length)
{
    ssize_t written = send(tunnel->inner.fd, octets, length, MSG_NOSIGNAL);

    if (written < 0 && errno != EAGAIN && errno != EINTR)
        tunnel->up_ended = true;
    if (tunnel->up_ended || written == (ssize_t)length)
        return true;
    size_t done = written > 0 ? (size_t)written : 0;
    keep(&tunnel->up, octets + done, length - done);
    return false;
}

static bool write_rest_inner(struct tunnel *tunnel)
{
    const struct rest rest = tunnel->up;

    if (rest.octets == NULL)
        return true;
    tunnel->up = (struct rest){0};
    bool all = write_inner(tunnel, rest.octets + rest.done, rest.length - rest.done);
    free(rest.octets);
    return all;
}

/* Returns 0 when OpenSSL waits for the client, -1 when it has failed. */
static int judge(struct tunnel *tunnel, int result)
{
    switch (SSL_get_error(tunnel->ssl, result)) {
    case SSL_ERROR_WANT_WRITE: tunnel->wants_write = true; return 0;
    case SSL_ERROR_WANT_READ: return 0;
    case SSL_ERROR_ZERO_RETURN:
        tunnel->up_ended = true;
        shutdown(tunnel->inner.fd, SHUT_WR);
        return 0;
    default: return -1;
    }
}

/* From the client, until it has said all or libmicrohttpd has to read first. */
static int hand_up(struct tunnel *tunnel)
{
    static uint8_t piece[PIECE];

    while (write_rest_inner(tunnel) && !tunnel->up_ended) {
        ERR_clear_error();
        int length = SSL_read(tunnel->ssl, piece, sizeof(piece));
        if (length <= 0)
            return judge(tunnel, length);
        (void)write_inner(tunnel, piece, (size_t)length);
    }
    return 0;
}

/* Returns 1 when all has left, 0 when the rest is kept, -1 when the client is gone. */
static int write_client(struct tunnel *tunnel, const uint8_t *octets, size_t length)
{
    ERR_clear_error();
    int written = SSL_write(tunnel->ssl, octets, (int)length);

    if (written > 0) /* without partial writes it is all */
        return 1;
    if (judge(tunnel, written) < 0)
        return -1;
    if (tunnel->down.octets == NULL)
        keep(&tunnel->down, octets, length);
    return 0;
}

/* To the client, until it takes nothing more or there is nothing more; -1: this is the end. */
static int hand_down(struct tunnel *tunnel)
{
    static uint8_t piece[PIECE];

    for (;;) {
        if (tunnel->down.octets != NULL) {
            int result = write_client(tunnel, tunnel->down.octets, tunnel->down.length);
            if (result <= 0)
                return result;
            forget(&tunnel->down);
        }
        ssize_t length = recv(tunnel->inner.fd, piece, sizeof(piece), 0);
        if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
            tunnel->due = 0;
            return 0;
        }
        if (length <= 0) {
            SSL_shutdown(tunnel->ssl);
            return -1;
        }
        int result = write_client(tunnel, piece, (size_t)length);
        if (result <= 0)
            return result;
    }
}

static void pump(struct tunnel *tunnel)
{
    tunnel->wants_write = false;
    if (hand_up(tunnel) < 0 || hand_down(tunnel) < 0) {
        tunnel_end(tunnel);
        return;
    }
    bool full = tunnel->down.octets != NULL;
    bool reading = tunnel->up.octets == NULL && !tunnel->up_ended;
    if (full && tunnel->due == 0)
        tunnel->due = clock_milliseconds() + TUNNEL_TIME;
    watch(tunnel, &tunnel->client,
          (short)((reading ? EV_READ : 0) | (full || tunnel->wants_write ? EV_WRITE : 0)));
    watch(tunnel, &tunnel->inner,
          (short)((full ? 0 : EV_READ) | (tunnel->up.octets != NULL ? EV_WRITE : 0)));
}

/* --- handshakes */

static void take_turn(struct tunnels *all)
{
    static const struct timeval now = {0};

    if (!event_pending(all->turn, EV_TIMEOUT, NULL) && event_add(all->turn, &now) < 0)
        log_panic("cannot set a timer");
}

static void on_ready(evutil_socket_t fd, short what, void *context)
{
    struct tunnel *tunnel = context;
    (void)fd;
    (void)what;

    if (tunnel->state == STATE_OPEN) {
        pump(tunnel);
        return;
    }
    watch(tunnel, &tunnel->client, 0);
    set_state(tunnel, STATE_READY);
    take_turn(tunnel->all);
}

/* A pair takes its size from what one end may send. */
static int make_pair(int fds_r[2])
{
    const int size = TUNNEL_KERNEL;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds_r) < 0)
        return -1;
    for (unsigned i = 0; i < 2; i++)
        (void)setsockopt(fds_r[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    return 0;
}

/* The descriptors have run out, or the client is let in. */
static void open_tunnel(struct tunnel *tunnel)
{
    const struct tunnels *all = tunnel->all;
    int fds[2];

    if (make_pair(fds) < 0) {
        tunnel_end(tunnel);
        return;
    }
    metric_add(METRIC_HTTP_TLS_HANDSHAKES, 1);
    set_state(tunnel, STATE_OPEN);
    tunnel->due = 0;
    tunnel->inner.fd = fds[0];
    tunnel->inner.event = event_new(all->base, fds[0], 0, on_ready, tunnel);
    if (tunnel->inner.event == NULL)
        log_panic("out of memory");
    all->events->opened(all->context, fds[1], (const struct sockaddr *)&tunnel->address,
                        tunnel->address_length);
    pump(tunnel);
}

static void shake_hands(struct tunnel *tunnel)
{
    ERR_clear_error();
    int result = SSL_do_handshake(tunnel->ssl);

    if (result == 1) {
        open_tunnel(tunnel);
        return;
    }
    tunnel->wants_write = false;
    if (judge(tunnel, result) < 0 || tunnel->up_ended) {
        metric_add(METRIC_HTTP_TLS_FAILURES, 1);
        tunnel_end(tunnel);
        return;
    }
    set_state(tunnel, STATE_WAITING);
    watch(tunnel, &tunnel->client, tunnel->wants_write ? EV_WRITE : EV_READ);
}

static void on_turn(evutil_socket_t fd, short what, void *context)
{
    struct tunnels *all = context;
    (void)fd;
    (void)what;

    for (unsigned i = 0; i < HANDSHAKES_TOGETHER; i++) {
        struct tunnel *first = all->lists[STATE_READY];
        if (first == NULL)
            return;
        shake_hands(first);
    }
    take_turn(all);
}

static socklen_t length_of(const struct sockaddr *address)
{
    return address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in);
}

static void make_room(struct tunnels *all)
{
    if (all->counts[STATE_WAITING] + all->counts[STATE_READY] < HANDSHAKES_MAX)
        return;
    struct tunnel *oldest = all->lists[STATE_WAITING];
    metric_add(METRIC_HTTP_TLS_FAILURES, 1);
    tunnel_end(oldest != NULL ? oldest : all->lists[STATE_READY]);
}

static void on_accepted(void *context, int fd, const struct sockaddr *address)
{
    struct tunnels *all = context;

    if (tunnels_count(all) >= TUNNELS_MAX) {
        close(fd);
        return;
    }
    make_room(all);
    struct tunnel *tunnel = xcalloc(1, sizeof(*tunnel));
    tunnel->all = all;
    tunnel->client.fd = fd;
    tunnel->inner.fd = -1;
    tunnel->address_length = length_of(address);
    memcpy(&tunnel->address, address, tunnel->address_length);
    tunnel->due = clock_milliseconds() + HANDSHAKE_TIME;
    tunnel->ssl = tls_connection(all->tls);
    tunnel->client.event = event_new(all->base, fd, 0, on_ready, tunnel);
    if (tunnel->ssl == NULL || tunnel->client.event == NULL || SSL_set_fd(tunnel->ssl, fd) != 1)
        log_panic("out of memory");
    SSL_set_accept_state(tunnel->ssl);
    DL_APPEND(all->lists[STATE_WAITING], tunnel);
    all->counts[STATE_WAITING]++;
    watch(tunnel, &tunnel->client, EV_READ);
}

/* --- all of them */

struct tunnels *tunnels_new(struct event_base *base, const char *name, int certificates,
                            const struct tunnels_events *events, void *context)
{
    struct tunnels *all = xcalloc(1, sizeof(*all));
    const char *error;

    all->base = base;
    all->events = events;
    all->context = context;
    if (keyschedule_register() < 0)
        log_fatal("OpenSSL lacks what TLS 1.3 needs");
    all->tls = tls_new(certificates, NULL, &error);
    if (all->tls == NULL)
        log_fatal("the certificates in tls/ cannot be used: %s", error);
    all->turn = evtimer_new(base, on_turn, all);
    if (all->turn == NULL)
        log_fatal("cannot make a timer: out of memory");
    all->acceptor = acceptor_new(base);
    acceptor_set_open(all->acceptor, false);
    acceptor_listen(all->acceptor, name, on_accepted, all);
    return all;
}

void tunnels_free(struct tunnels *tunnels)
{
    struct tunnel *tunnel, *next;

    if (tunnels == NULL)
        return;
    for (unsigned i = 0; i < STATE__MAX; i++)
        DL_FOREACH_SAFE(tunnels->lists[i], tunnel, next)
        {
            if (i == STATE_OPEN)
                (void)hand_down(tunnel);
            tunnel_free(tunnel);
        }
    acceptor_free(tunnels->acceptor);
    event_free(tunnels->turn);
    tls_free(tunnels->tls);
    keyschedule_unregister();
    free(tunnels);
}

void tunnels_open(struct tunnels *tunnels)
{
    acceptor_set_open(tunnels->acceptor, true);
}

void tunnels_close(struct tunnels *tunnels)
{
    acceptor_set_open(tunnels->acceptor, false);
}

void tunnels_reload(struct tunnels *tunnels)
{
    const char *error;

    if (tls_reload(tunnels->tls, &error) < 0)
        log_error("the new certificates in tls/ cannot be used: %s; the old ones stay", error);
}

void tunnels_sweep(struct tunnels *tunnels, uint64_t now)
{
    struct tunnel *tunnel, *next;

    for (unsigned i = 0; i < STATE__MAX; i++)
        DL_FOREACH_SAFE(tunnels->lists[i], tunnel, next)
        {
            if (tunnel->due != 0 && tunnel->due <= now)
                tunnel_end(tunnel);
        }
}
