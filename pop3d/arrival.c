#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "lib/log.h"
#include "lib/proxyheader.h"
#include "lib/xalloc.h"
#include "pop3d/arrival.h"
#include "pop3d/server.h"
#include "pop3d/session.h"

struct arrival {
    struct server *server;
    struct arrival *prev;
    struct arrival *next;
    int fd;
    bool tls;
    struct peer proxy;
    struct event readable;
    struct event timer;
    struct proxyheader header;
};

static void forget(struct arrival *arrival)
{
    event_del(&arrival->readable);
    event_del(&arrival->timer);
    DL_DELETE(arrival->server->arrivals, arrival);
    free(arrival);
}

static void drop(struct arrival *arrival)
{
    struct server *server = arrival->server;

    close(arrival->fd);
    forget(arrival);
    server_session_gone(server);
}

static void refuse(struct arrival *arrival, const char *why)
{
    log_warning("address=%s is in pop3_proxy_networks, but its connection %s: closed",
                arrival->proxy.text, why);
    drop(arrival);
}

/*
 * Who cannot be named may be anybody: neither near, nor in one address's limit. That the client is
 * on this machine, only a proxy on this machine can say.
 */
static void become_session(struct arrival *arrival)
{
    struct server *server = arrival->server;
    struct peer peer = arrival->proxy;
    bool tls = arrival->tls;
    int fd = arrival->fd;

    peer.shared = true;
    peer.near = false;
    peer.names = false;
    if (arrival->header.state == PROXYHEADER_CLIENT) {
        server_set_peer(server, &peer, (const struct sockaddr *)&arrival->header.client);
        peer.near = peer.near && arrival->proxy.near;
    }
    peer.near = peer.near || arrival->header.secured;
    forget(arrival);
    session_start(server, fd, &peer, tls);
}

/* Looks at what has come and takes only the header: what follows may be TLS, and OpenSSL reads it.
 */
static void on_readable(evutil_socket_t fd, short what, void *context)
{
    static unsigned char octets[PROXYHEADER_MAX];
    struct arrival *arrival = context;
    (void)what;

    ssize_t got = recv(fd, octets, sizeof(octets), MSG_PEEK);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0 && arrival->header.length == 0) {
        drop(arrival); /* a proxy that looks whether somebody listens here */
        return;
    }
    if (got <= 0) {
        refuse(arrival, "ended within its PROXY header");
        return;
    }
    size_t taken = proxyheader_take(&arrival->header, octets, (size_t)got);
    sodium_memzero(octets, (size_t)got); /* there may be a password in what follows */
    if (recv(fd, octets, taken, 0) != (ssize_t)taken)
        drop(arrival);
    else if (arrival->header.state == PROXYHEADER_WRONG)
        refuse(arrival, "does not begin with a good PROXY header");
    else if (arrival->header.state != PROXYHEADER_BEGUN)
        become_session(arrival);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    refuse(context, "did not begin with a PROXY header in time");
}

void arrival_start(struct server *server, int fd, const struct peer *peer, bool tls)
{
    struct arrival *arrival = xcalloc(1, sizeof(*arrival));

    arrival->server = server;
    arrival->fd = fd;
    arrival->tls = tls;
    arrival->proxy = *peer;
    DL_APPEND(server->arrivals, arrival);
    event_assign(&arrival->readable, server->child->base, fd, EV_READ | EV_PERSIST, on_readable,
                 arrival);
    event_assign(&arrival->timer, server->child->base, -1, 0, on_timer, arrival);
    if (event_add(&arrival->readable, NULL) < 0 ||
        event_add(&arrival->timer, server->timeouts[SERVER_ARRIVAL]) < 0)
        log_fatal("cannot watch a connection: out of memory");
}

void arrival_drop_all(struct server *server)
{
    struct arrival *arrival, *next;

    DL_FOREACH_SAFE(server->arrivals, arrival, next)
    {
        drop(arrival);
    }
}
