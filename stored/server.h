#ifndef STORED_SERVER_H
#define STORED_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/channel.h"

struct delivery;
struct session;
struct store;
struct waiter;

/*
 * stored's connections. The socket that a connection came through decides what it may ask for
 * (lib/storemsg.h); a request that is not in its table, or of another size, ends the connection.
 */

enum connection_kind { CONNECTION_DELIVER = 1, CONNECTION_FRONT = 2, CONNECTION_CONTROL = 4 };

struct connection {
    struct store *store;
    struct server *server;
    enum connection_kind kind;
    struct channel *channel;
    struct delivery *deliveries; /* in progress, by the peer's id */
    struct session *sessions;    /* by the peer's id */
    struct waiter *waiters;      /* opens that wait for a mailbox's lock */
    uint8_t *bodies;             /* of a front that has asked for it (lib/bodies.h); or NULL */
    bool paused;
    bool holding; /* counts in store->holds */
    struct connection *prev, *next;
};

struct server;

/* Accepts on the descriptors deliver, front and control that the supervisor passed. */
struct server *server_new(struct store *store);

/* Ends all connections and their deliveries and sessions. NULL is allowed. */
void server_free(struct server *server);

/* No new connections, and nothing more is read from the old ones; answers still leave. */
void server_stop(struct server *server);

/* Answers to deliveries leave now, not at the end of the turn. */
void server_flush(struct server *server);

/* Fewer octets wait for their commit now: deliveries that were held back may go on. */
void server_commits_done(struct server *server);

#endif
