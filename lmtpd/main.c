/*
 * lmtpd: takes mail over LMTP and hands it to stored. Opens accounts.db read-only and its own
 * sockets; trusts nothing that a client says.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "db/db.h"
#include "lib/child.h"
#include "lib/log.h"
#include "lmtpd/connection.h"
#include "lmtpd/limits.h"
#include "lmtpd/server.h"
#include "lmtpd/storelink.h"

/* IPv4, IPv6 and the Unix socket, with room for more addresses. */
#define LISTENERS_MAX 16

/* Octets of free memory that are not given back to the system. */
#define MEMORY_KEPT (8 * 1024 * 1024)

/* What is open besides connections: listeners, database, stored, the loop. */
#define DESCRIPTORS_BESIDE 64

struct lmtpd {
    struct child child;
    struct server server;
    struct connections connections;
    struct evconnlistener *listeners[LISTENERS_MAX];
    unsigned listener_count;
    bool accepting;
    struct event *again;    /* accepting goes on after a failure */
    struct event *deadline; /* of draining */
};

static void set_accepting(struct lmtpd *lmtpd)
{
    bool accepting = !lmtpd->server.draining && !event_pending(lmtpd->again, EV_TIMEOUT, NULL) &&
                     lmtpd->connections.count < lmtpd->child.conf.lmtp_connections;

    if (accepting == lmtpd->accepting)
        return;
    lmtpd->accepting = accepting;
    for (unsigned i = 0; i < lmtpd->listener_count; i++)
        if (accepting)
            evconnlistener_enable(lmtpd->listeners[i]);
        else
            evconnlistener_disable(lmtpd->listeners[i]);
}

static void format_peer(const struct sockaddr *address, char *text_r, socklen_t size)
{
    const void *host = NULL;

    text_r[0] = '\0';
    if (address->sa_family == AF_INET)
        host = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
    else if (address->sa_family == AF_INET6)
        host = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    if (host != NULL)
        inet_ntop(address->sa_family, host, text_r, size);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int length, void *context)
{
    struct lmtpd *lmtpd = context;
    char peer[INET6_ADDRSTRLEN];
    int on = 1;
    (void)listener;
    (void)length;

    format_peer(address, peer, sizeof(peer));
    /* Replies are small and the client waits for them. Not on Unix sockets, where it fails. */
    if (peer[0] != '\0')
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    connection_add(&lmtpd->connections, fd, peer);
    set_accepting(lmtpd);
}

/* Most often there are no descriptors left; a pause lets connections end. */
static void on_accept_error(struct evconnlistener *listener, void *context)
{
    static const struct timeval pause = {.tv_usec = 100 * 1000};
    struct lmtpd *lmtpd = context;
    (void)listener;

    log_warning("cannot accept a connection: %s; trying again", strerror(errno));
    event_add(lmtpd->again, &pause);
    set_accepting(lmtpd);
}

static void on_again(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    set_accepting(context);
}

static void on_connection_closed(void *context)
{
    struct lmtpd *lmtpd = context;

    set_accepting(lmtpd);
    if (lmtpd->server.draining && lmtpd->connections.count == 0)
        event_base_loopexit(lmtpd->child.base, NULL);
}

static void on_deadline(evutil_socket_t fd, short what, void *context)
{
    struct lmtpd *lmtpd = context;
    (void)fd;
    (void)what;

    connections_stop(&lmtpd->connections);
    event_base_loopexit(lmtpd->child.base, NULL);
}

static void on_drain(void *context)
{
    static const struct timeval wait = {.tv_sec = DRAIN_SECONDS};
    struct lmtpd *lmtpd = context;

    if (lmtpd->server.draining)
        return;
    lmtpd->server.draining = true;
    set_accepting(lmtpd);
    event_add(lmtpd->deadline, &wait);
    connections_drain(&lmtpd->connections);
    if (lmtpd->connections.count == 0)
        event_base_loopexit(lmtpd->child.base, NULL);
}

static void on_reload(void *context)
{
    set_accepting(context);
}

static void add_listeners(struct lmtpd *lmtpd, const char *name)
{
    int fd;

    for (unsigned i = 0; (fd = child_descriptor(name, i)) >= 0; i++) {
        if (lmtpd->listener_count == LISTENERS_MAX)
            log_fatal("there are more than %d sockets to listen on", LISTENERS_MAX);
        struct evconnlistener *listener = evconnlistener_new(
            lmtpd->child.base, on_accept, lmtpd, LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_DISABLED, 0, fd);
        if (listener == NULL)
            log_fatal("cannot listen on %s", name);
        evconnlistener_set_error_cb(listener, on_accept_error);
        lmtpd->listeners[lmtpd->listener_count++] = listener;
    }
}

static struct event *new_timer(struct lmtpd *lmtpd, event_callback_fn callback)
{
    struct event *timer = event_new(lmtpd->child.base, -1, 0, callback, lmtpd);

    if (timer == NULL)
        log_fatal("cannot make a timer");
    return timer;
}

/* A larger setting after SIGHUP is met by on_accept_error(). */
static void raise_descriptor_limit(uint64_t connections)
{
    rlim_t wanted = connections + DESCRIPTORS_BESIDE;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void start(struct lmtpd *lmtpd)
{
    static const struct timeval patience = {.tv_sec = STORE_ANSWER_SECONDS};
    struct child *child = &lmtpd->child;
    char error[256];

    child->reload = on_reload;
    child->drain = on_drain;
    child->context = lmtpd;
    lmtpd->server.conf = &child->conf;
    lmtpd->server.db = db_open("accounts.db", DB_READ, error, sizeof(error));
    if (lmtpd->server.db == NULL)
        log_fatal("%s", error);
    lmtpd->server.store = store_link_new(child->base, "run/stored-deliver.sock", &patience);
    connections_init(&lmtpd->connections, child->base, &lmtpd->server, on_connection_closed, lmtpd);
    lmtpd->again = new_timer(lmtpd, on_again);
    lmtpd->deadline = new_timer(lmtpd, on_deadline);
    add_listeners(lmtpd, "lmtp");
    add_listeners(lmtpd, "lmtp-unix");
    set_accepting(lmtpd);
}

int main(void)
{
    static struct lmtpd lmtpd;

    /* Buffers come and go with every message; given back each time, their pages would be faulted
       in and cleared anew: a tenth of all time. */
    mallopt(M_TRIM_THRESHOLD, MEMORY_KEPT);
    child_init(&lmtpd.child, "lmtpd");
    raise_descriptor_limit(lmtpd.child.conf.lmtp_connections);
    start(&lmtpd);
    child_run(&lmtpd.child);
    db_close(lmtpd.server.db);
    return 0;
}
