#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

#include "lib/acceptor.h"
#include "lib/keyschedule.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/ticketkeys.h"
#include "lib/tls.h"
#include "pop3d/arrival.h"
#include "pop3d/authclient.h"
#include "pop3d/limits.h"
#include "pop3d/server.h"
#include "pop3d/session.h"
#include "pop3d/storeclient.h"

static bool is_full(const struct server *server)
{
    return server->session_count >= server->child->conf.pop3_sessions;
}

/*
 * A process that is full leaves clients to the others, which take them at once if they have room.
 * Who still waits after a moment is let in to be told.
 */
static void open_or_close(struct server *server)
{
    const unsigned wait = server->refusing ? LIMIT_FULL_LOOK_MS : LIMIT_FULL_MS;
    const struct timeval moment = {.tv_sec = wait / 1000, .tv_usec = wait % 1000 * 1000};
    bool full = is_full(server);

    if (!server->accepting)
        return;
    if (!full) {
        event_del(server->full);
        server->refusing = false;
    } else if (!event_pending(server->full, EV_TIMEOUT, NULL)) {
        event_add(server->full, &moment);
    }
    acceptor_set_open(
        server->acceptor,
        !full || (server->refusing &&
                  server->session_count < server->child->conf.pop3_sessions + LIMIT_REFUSALS));
}

static void on_full(evutil_socket_t fd, short what, void *context)
{
    struct server *server = context;
    (void)fd;
    (void)what;

    server->refusing = !server->refusing;
    open_or_close(server);
}

void server_set_peer(const struct server *server, struct peer *peer_r,
                     const struct sockaddr *address)
{
    peer_set(peer_r, address);
    peer_r->names = networks_hold(&server->namers, address);
    peer_r->shared = peer_r->shared || peer_r->names;
}

static void accept_session(struct server *server, int fd, const struct sockaddr *address, bool tls)
{
    struct peer peer;

    metric_add(METRIC_POP3_CONNECTIONS, 1);
    metric_add(METRIC_POP3_SESSIONS, 1);
    server->session_count++;
    server_set_peer(server, &peer, address);
    if (networks_hold(&server->proxies, address))
        arrival_start(server, fd, &peer, tls);
    else
        session_start(server, fd, &peer, tls);
    open_or_close(server);
}

static void on_plain(void *context, int fd, const struct sockaddr *address)
{
    accept_session(context, fd, address, false);
}

static void on_tls(void *context, int fd, const struct sockaddr *address)
{
    accept_session(context, fd, address, true);
}

/* Accepted sockets inherit the options, which saves three system calls for each. */
static void set_options(int fd)
{
    const int unsent = LIMIT_UNSENT;
    const int on = 1;

    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) < 0)
        log_warning("cannot set options of a listening socket: %s", strerror(errno));
}

static void listen_on(struct server *server, const char *name,
                      void (*accepted)(void *context, int fd, const struct sockaddr *address))
{
    int fd;

    for (unsigned i = 0; (fd = child_descriptor(name, i)) >= 0; i++)
        set_options(fd);
    acceptor_listen(server->acceptor, name, accepted, server);
}

/* Returns -1 when libevent has no more of them, after some 250 different durations. */
static int set_timeout(struct server *server, enum server_timeout which, uint64_t seconds)
{
    const struct timeval duration = {.tv_sec = (time_t)seconds};
    const struct timeval *timeout = event_base_init_common_timeout(server->child->base, &duration);

    if (timeout == NULL)
        return -1;
    server->timeouts[which] = timeout;
    return 0;
}

static void load_tls(struct server *server)
{
    const char *error;

    if (server->tls == NULL) {
        server->tls = tls_new(child_descriptor("tls", 0), server->ticketkeys, &error);
        if (server->tls == NULL)
            log_fatal("the certificates in tls/ cannot be used: %s", error);
    } else if (tls_reload(server->tls, &error) < 0) {
        log_error("the new certificates in tls/ cannot be used: %s; the old ones stay", error);
    }
}

/* The settings' own check has let nothing pass that is no list. */
static void load_networks(struct server *server)
{
    (void)networks_parse(&server->proxies, server->child->conf.pop3_proxy_networks);
    (void)networks_parse(&server->namers, server->child->conf.pop3_xclient_networks);
}

/* Sessions that are open keep their certificate and, until their next command, their time. */
static void reload(void *context)
{
    struct server *server = context;

    load_tls(server);
    load_networks(server);
    if (set_timeout(server, SERVER_IDLE, server->child->conf.pop3_idle) < 0)
        log_error("pop3_idle cannot be changed any more, restart to change it");
    open_or_close(server);
    log_info("configuration and certificate read anew");
}

static void on_finish(evutil_socket_t fd, short what, void *context)
{
    struct server *server = context;
    struct session *session, *next;
    (void)fd;
    (void)what;

    if (server->sessions != NULL)
        log_warning("%u sessions did not finish in time", server->session_count);
    DL_FOREACH_SAFE(server->sessions, session, next)
    {
        session_end(session, SESSION_TERMINATED);
        session_settle(session);
    }
    server->draining = true; /* SIGTERM may have come at this very moment, too */
    authclient_free(server->auth);
    storeclient_free(server->store);
    acceptor_free(server->acceptor);
    event_free(server->finish);
    event_free(server->full);
    event_free(server->close);
    tls_free(server->tls);
    keyschedule_unregister();
    ticketkeys_detach(server->ticketkeys);
    event_base_loopexit(server->child->base, NULL);
}

static void stop_accepting(struct server *server)
{
    server->accepting = false;
    server->ending = true;
    event_del(server->full);
    acceptor_set_open(server->acceptor, false);
}

/* Sooner, there would be no mechanism for who asks for one. */
static void on_auth_heard(void *context)
{
    struct server *server = context;

    if (server->accepting || server->ending)
        return;
    server->accepting = true;
    open_or_close(server);
    log_info("ready for mail programs");
}

static void serve(void *context)
{
    struct server *server = context;

    if (server->auth == NULL && !server->ending)
        server->auth =
            authclient_new(server->child->base, "run/auth-front.sock", on_auth_heard, server);
}

/* Sessions go on; most end within moments, and a client that stays for ever is asked to come again.
 */
static void retire(void *context)
{
    const struct timeval patience = {.tv_sec = LIMIT_RETIRED_TIME};
    struct server *server = context;

    stop_accepting(server);
    event_add(server->close, &patience);
    if (server->session_count == 0)
        event_active(server->finish, EV_TIMEOUT, 0);
}

static void on_close(evutil_socket_t fd, short what, void *context)
{
    struct server *server = context;
    (void)fd;
    (void)what;

    log_info("%u sessions are asked at their next command to come again", server->session_count);
    server->closing = true;
}

static void drain(void *context)
{
    const struct timeval limit = {.tv_sec = LIMIT_DRAIN_MS / 1000,
                                  .tv_usec = LIMIT_DRAIN_MS % 1000 * 1000};
    struct server *server = context;
    struct session *session, *next;

    if (server->draining)
        return;
    server->draining = true;
    stop_accepting(server);
    event_add(server->finish, &limit);
    arrival_drop_all(server);
    if (server->sessions == NULL)
        event_active(server->finish, EV_TIMEOUT, 0);
    DL_FOREACH_SAFE(server->sessions, session, next)
    {
        session_settle(session);
    }
}

void server_init(struct server *server, struct child *child)
{
    memset(server, 0, sizeof(*server));
    server->child = child;
    server->ticketkeys = ticketkeys_attach(child_descriptor("tickets", 0));
    if (server->ticketkeys == NULL)
        log_fatal("cannot map the keys of session tickets: %s", strerror(errno));
    randombytes_buf(&server->next_id, sizeof(server->next_id));
    if (keyschedule_register() < 0)
        log_fatal("OpenSSL does not start");
    load_tls(server);
    load_networks(server);
    if (set_timeout(server, SERVER_ARRIVAL, LIMIT_ARRIVAL_TIME) < 0 ||
        set_timeout(server, SERVER_HANDSHAKE, LIMIT_HANDSHAKE_TIME) < 0 ||
        set_timeout(server, SERVER_LOGIN, LIMIT_LOGIN_TIME) < 0 ||
        set_timeout(server, SERVER_IDLE, child->conf.pop3_idle) < 0 ||
        set_timeout(server, SERVER_FAREWELL, LIMIT_FAREWELL_TIME) < 0)
        log_fatal("cannot set up the timeouts");
    server->finish = evtimer_new(child->base, on_finish, server);
    server->full = evtimer_new(child->base, on_full, server);
    server->close = evtimer_new(child->base, on_close, server);
    if (server->finish == NULL || server->full == NULL || server->close == NULL)
        log_fatal("out of memory");
    server->store = storeclient_new(child->base, "run/stored-front.sock");
    server->acceptor = acceptor_new(child->base);
    acceptor_set_open(server->acceptor, false);
    listen_on(server, "pop3", on_plain);
    listen_on(server, "pop3s", on_tls);
    child->reload = reload;
    child->drain = drain;
    child->serve = serve;
    child->retire = retire;
    child->context = server;
}

void server_session_gone(struct server *server)
{
    metric_add(METRIC_POP3_SESSIONS, -1);
    server->session_count--;
    if (server->ending && server->session_count == 0)
        event_active(server->finish, EV_TIMEOUT, 0);
    else
        open_or_close(server);
}
