/*
 * lmtpd: takes mail over LMTP and hands it to stored, and tells mail servers what it would take.
 * Opens accounts.db read-only and its own sockets; trusts nothing that a client says.
 */
#include <arpa/inet.h>
#include <event2/event.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "db/db.h"
#include "lib/acceptor.h"
#include "lib/child.h"
#include "lib/confine.h"
#include "lib/log.h"
#include "lmtpd/connection.h"
#include "lmtpd/inquiry.h"
#include "lmtpd/limits.h"
#include "lmtpd/lookup.h"
#include "lmtpd/server.h"
#include "lmtpd/storelink.h"
#include "lmtpd/usage.h"
#include "lmtpd/warner.h"

/* Octets of free memory that are not given back to the system. */
#define MEMORY_KEPT (8 * 1024 * 1024)

struct lmtpd {
    struct child child;
    struct server server;
    struct connections connections;
    struct acceptor *acceptor;
    struct inquiries *inquiries;
    bool serving;           /* between the words to serve and to retire */
    bool ending;            /* it accepts nothing more and ends with its last client */
    struct event *deadline; /* of draining */
};

static void set_accepting(struct lmtpd *lmtpd)
{
    acceptor_set_open(lmtpd->acceptor, lmtpd->serving && lmtpd->connections.count <
                                                             lmtpd->child.conf.lmtp_connections);
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

static void on_accept(void *context, int fd, const struct sockaddr *address)
{
    struct lmtpd *lmtpd = context;
    char peer[INET6_ADDRSTRLEN];
    int on = 1;

    format_peer(address, peer, sizeof(peer));
    /* Replies are small and the client waits for them. Not on Unix sockets, where it fails. */
    if (peer[0] != '\0')
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    connection_add(&lmtpd->connections, fd, peer);
    set_accepting(lmtpd);
}

static void end_when_drained(struct lmtpd *lmtpd)
{
    if (lmtpd->ending && lmtpd->connections.count == 0 && warner_is_idle(lmtpd->server.warner))
        event_base_loopexit(lmtpd->child.base, NULL);
}

static void on_connection_closed(void *context)
{
    struct lmtpd *lmtpd = context;

    set_accepting(lmtpd);
    end_when_drained(lmtpd);
}

static void on_warner_idle(void *context)
{
    end_when_drained(context);
}

static void on_deadline(evutil_socket_t fd, short what, void *context)
{
    struct lmtpd *lmtpd = context;
    (void)fd;
    (void)what;

    connections_stop(&lmtpd->connections);
    event_base_loopexit(lmtpd->child.base, NULL);
}

static void on_serve(void *context)
{
    struct lmtpd *lmtpd = context;

    lmtpd->serving = !lmtpd->ending;
    set_accepting(lmtpd);
    inquiries_serve(lmtpd->inquiries);
}

/* Clients go on as they like: mail servers leave connections after some messages. */
static void on_retire(void *context)
{
    struct lmtpd *lmtpd = context;

    lmtpd->serving = false;
    lmtpd->ending = true;
    set_accepting(lmtpd);
    inquiries_drain(lmtpd->inquiries);
    end_when_drained(lmtpd);
}

static void on_drain(void *context)
{
    static const struct timeval wait = {.tv_sec = DRAIN_SECONDS};
    struct lmtpd *lmtpd = context;

    if (lmtpd->server.draining)
        return;
    lmtpd->server.draining = true;
    event_add(lmtpd->deadline, &wait);
    connections_drain(&lmtpd->connections);
    on_retire(lmtpd);
}

static void on_reload(void *context)
{
    struct lmtpd *lmtpd = context;

    set_accepting(lmtpd);
    warner_reload(lmtpd->server.warner);
}

static void start(struct lmtpd *lmtpd)
{
    static const struct timeval patience = {.tv_sec = STORE_ANSWER_SECONDS};
    struct child *child = &lmtpd->child;
    char error[256];

    child->reload = on_reload;
    child->drain = on_drain;
    child->serve = on_serve;
    child->retire = on_retire;
    child->context = lmtpd;
    lmtpd->server.conf = &child->conf;
    lmtpd->server.db = db_open("accounts.db", DB_READ, error, sizeof(error));
    if (lmtpd->server.db == NULL)
        log_fatal("%s", error);
    lmtpd->server.lookup = lookup_new(child->base, lmtpd->server.db);
    lmtpd->server.store = store_link_new(child->base, "run/stored-deliver.sock", &patience);
    lmtpd->server.usages = usages_new();
    lmtpd->server.warner = warner_new(child->base, &lmtpd->server, on_warner_idle, lmtpd);
    connections_init(&lmtpd->connections, child->base, &lmtpd->server, on_connection_closed, lmtpd);
    lmtpd->deadline = evtimer_new(child->base, on_deadline, lmtpd);
    if (lmtpd->deadline == NULL)
        log_fatal("cannot make a timer");
    lmtpd->acceptor = acceptor_new(child->base);
    acceptor_set_open(lmtpd->acceptor, false);
    acceptor_listen(lmtpd->acceptor, "lmtp", on_accept, lmtpd);
    acceptor_listen(lmtpd->acceptor, "lmtp-unix", on_accept, lmtpd);
    lmtpd->inquiries = inquiries_new(child->base, &lmtpd->server);
}

static const struct confine_profile profile = {
    .calls = {.files = CALLFILTER_READ, .connects = true},
    .paths = {CONFINE_DATABASE(LANDLOCK_READ)},
};

int main(void)
{
    static struct lmtpd lmtpd;

    /* Buffers come and go with every message; given back each time, their pages would be faulted
       in and cleared anew: a tenth of all time. */
    mallopt(M_TRIM_THRESHOLD, MEMORY_KEPT);
    child_init(&lmtpd.child, "lmtpd");
    confine(&profile);
    start(&lmtpd);
    child_run(&lmtpd.child);
    inquiries_free(lmtpd.inquiries);
    warner_free(lmtpd.server.warner);
    usages_free(lmtpd.server.usages);
    lookup_free(lmtpd.server.lookup);
    db_close(lmtpd.server.db);
    return 0;
}
