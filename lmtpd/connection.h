#ifndef LMTPD_CONNECTION_H
#define LMTPD_CONNECTION_H

#include <stdbool.h>

struct event_base;
struct server;
struct connection;

/*
 * All connections of the process and what they share. An idle connection holds no input buffer;
 * there is one for all, and what a session leaves in it is copied aside.
 */
struct connections {
    struct event_base *base;
    const struct server *server;
    unsigned count;
    void (*closed)(void *context); /* after one has gone */
    void *context;
    struct connection *all;
    const struct timeval *idle; /* timeouts that libevent keeps in a queue */
    const struct timeval *linger;
    char *input;
};

void connections_init(struct connections *connections, struct event_base *base,
                      const struct server *server, void (*closed)(void *context), void *context);

/* Serves a connected non-blocking socket, and closes it. `peer` as for session_new(). */
void connection_add(struct connections *connections, int fd, const char *peer);

/* After server->draining was set: closes those between messages. */
void connections_drain(struct connections *connections);

/* Says goodbye to all that are left and closes them. */
void connections_stop(struct connections *connections);

#endif
