#ifndef POP3D_SERVER_H
#define POP3D_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/child.h"
#include "lib/networks.h"
#include "pop3d/admission.h"

struct acceptor;
struct ahead;
struct arrival;
struct authclient;
struct event;
struct session;
struct storeclient;
struct ticketkeys;
struct tls;

/*
 * One limit of time. Thousands of sessions wait for the same ones, so each is one of libevent's
 * common timeouts: a queue in the order of arrival instead of a place in a heap.
 */
enum server_timeout {
    SERVER_ARRIVAL,
    SERVER_HANDSHAKE,
    SERVER_LOGIN,
    SERVER_IDLE,
    SERVER_FAREWELL,
    SERVER__TIMEOUTS
};

/* What all sessions of this process share. */
struct server {
    struct child *child;
    struct authclient *auth;
    struct storeclient *store;
    const struct ticketkeys *ticketkeys;
    struct tls *tls;
    const struct timeval *timeouts[SERVER__TIMEOUTS];
    struct session *sessions; /* all of them, utlist DL */
    struct ahead *aheads;     /* read ahead in all of them, the oldest first */
    struct arrival *arrivals; /* sessions to be */
    unsigned session_count;   /* with arrivals */
    struct networks proxies;  /* who has to begin with a PROXY header */
    struct networks namers;   /* who may name its client with XCLIENT */
    struct admission admission;
    struct event *full;   /* pending while the process is full: a look at who still waits */
    bool refusing;        /* that look */
    uint64_t next_id;     /* of a session before its login; begins at random */
    bool accepting;       /* since authd was heard, until the word to retire */
    bool ending;          /* it accepts nothing more and ends with its last session */
    bool closing;         /* and has waited for long enough: only QUIT is still answered */
    bool draining;        /* after SIGTERM: no new command is begun */
    struct event *close;  /* the moment from when it is closing */
    struct event *finish; /* the end: all sessions are gone, or their time is over */
    struct acceptor *acceptor;
};

/*
 * Connects to stored; to authd when it is told to serve (lib/child.h), and accepts when that has
 * been heard. Exits with a clear line when it cannot. After SIGTERM it lets sessions finish,
 * releases everything and ends the event loop; after the word to retire it does so when the last
 * session has ended.
 */
void server_init(struct server *server, struct child *child);

/* Who is at an address, and what it may. */
void server_set_peer(const struct server *server, struct peer *peer_r,
                     const struct sockaddr *address);

/* A session has ended: another client may come. */
void server_session_gone(struct server *server);

#endif
