#include <event2/event.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "fetchd/authorities.h"
#include "fetchd/server.h"
#include "fetchd/transfer.h"
#include "lib/acceptor.h"
#include "lib/channel.h"
#include "lib/log.h"
#include "lib/networks.h"
#include "lib/xalloc.h"

/* admin, and one that is being replaced; further ones wait. */
#define CONNECTIONS_MAX 8

/* At once, of all connections: each takes up to FETCH_BODY_MAX octets and two descriptors. */
#define REQUESTS_MAX 64

struct connection {
    struct connection *prev;
    struct connection *next;
    struct server *server;
    struct channel *channel;
    struct request *requests;
};

struct request {
    struct request *prev;
    struct request *next;
    struct connection *connection;
    uint32_t id;
    struct transfer *transfer;
};

struct server {
    struct event_base *base;
    struct acceptor *acceptor;
    struct multi *multi;
    struct networks listed;
    struct transfer_rules rules;
    struct connection *connections;
    unsigned count;
    unsigned requests;
    bool open;
    void (*idle)(void *context); /* NULL: it has not retired */
    void *context;
};

static void set_accepting(struct server *server)
{
    acceptor_set_open(server->acceptor, server->open && server->count < CONNECTIONS_MAX);
}

static void tell_idle(struct server *server)
{
    if (server->idle != NULL && server->requests == 0)
        server->idle(server->context);
}

/* --- requests */

static void answer(const struct connection *connection, uint32_t id,
                   const struct transfer_outcome *outcome)
{
    const struct fetch_answer fixed = {.result = outcome->result, .status = outcome->status};

    channel_send(connection->channel, FETCH_ANSWER, id, &fixed, sizeof(fixed), outcome->text,
                 outcome->length);
}

static void request_free(struct request *request)
{
    struct connection *connection = request->connection;

    DL_DELETE(connection->requests, request);
    connection->server->requests--;
    transfer_free(request->transfer);
    free(request);
}

static void on_done(void *context, const struct transfer_outcome *outcome)
{
    struct request *request = context;
    struct server *server = request->connection->server;

    answer(request->connection, request->id, outcome);
    channel_flush(request->connection->channel);
    request_free(request);
    tell_idle(server);
}

static const struct transfer_events transfer_events = {.done = on_done};

static int take_ask(struct connection *connection, const struct channel_message *message)
{
    static const char busy[] = "too much is being fetched at once";
    struct server *server = connection->server;
    struct transfer_ask ask;

    if (transfer_parse(&ask, message->payload, message->length) < 0)
        return -1;
    if (server->requests == REQUESTS_MAX) {
        answer(connection, message->id,
               &(struct transfer_outcome){FETCH_BUSY, 0, busy, strlen(busy)});
        return 0;
    }
    struct request *request = xcalloc(1, sizeof(*request));
    request->connection = connection;
    request->id = message->id;
    DL_APPEND(connection->requests, request);
    server->requests++;
    request->transfer =
        transfer_new(server->multi, &server->rules, &ask, &transfer_events, request);
    return 0;
}

/* It may have been answered while this was on its way. */
static int take_cancel(struct connection *connection, const struct channel_message *message)
{
    struct server *server = connection->server;
    struct request *request;

    if (message->length != 0)
        return -1;
    DL_SEARCH_SCALAR(connection->requests, request, id, message->id);
    if (request == NULL)
        return 0;
    request_free(request);
    tell_idle(server);
    return 0;
}

static int on_message(void *context, const struct channel_message *message)
{
    struct connection *connection = context;

    if (message->type == FETCH_ASK)
        return take_ask(connection, message);
    if (message->type == FETCH_CANCEL)
        return take_cancel(connection, message);
    if (message->type != FETCH_PING || message->length != 0)
        return -1;
    channel_send(connection->channel, FETCH_PONG, message->id, NULL, 0, NULL, 0);
    return 0;
}

/* --- connections */

static void connection_free(struct connection *connection)
{
    struct server *server = connection->server;

    while (connection->requests != NULL)
        request_free(connection->requests);
    DL_DELETE(server->connections, connection);
    server->count--;
    channel_free(connection->channel);
    free(connection);
}

static void on_closed(void *context)
{
    struct connection *connection = context;
    struct server *server = connection->server;

    connection_free(connection);
    set_accepting(server);
    tell_idle(server);
}

static const struct channel_events channel_events = {.message = on_message, .closed = on_closed};

static void on_accept(void *context, int fd, const struct sockaddr *address)
{
    struct server *server = context;
    struct connection *connection = xcalloc(1, sizeof(*connection));
    (void)address;

    connection->server = server;
    connection->channel = channel_new(server->base, fd, &channel_events, connection);
    DL_APPEND(server->connections, connection);
    server->count++;
    set_accepting(server);
}

/* --- the whole */

struct server *server_new(struct event_base *base, const struct networks *listed)
{
    struct server *server = xcalloc(1, sizeof(*server));

    server->base = base;
    server->multi = multi_new(base, transfer_ended);
    server->rules.listed = &server->listed;
    server_configure(server, listed);
    server->acceptor = acceptor_new(base);
    set_accepting(server);
    acceptor_listen(server->acceptor, "fetch", on_accept, server);
    return server;
}

void server_configure(struct server *server, const struct networks *listed)
{
    server->listed = *listed;
    authorities_free(server->rules.authorities);
    server->rules.authorities = authorities_new();
}

void server_set_open(struct server *server, bool open)
{
    server->open = open;
    set_accepting(server);
}

void server_retire(struct server *server, void (*idle)(void *context), void *context)
{
    server_set_open(server, false);
    server->idle = idle;
    server->context = context;
    tell_idle(server);
}

void server_free(struct server *server)
{
    while (server->connections != NULL)
        connection_free(server->connections);
    multi_free(server->multi);
    acceptor_free(server->acceptor);
    authorities_free(server->rules.authorities);
    free(server);
}
