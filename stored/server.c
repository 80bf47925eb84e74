#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "lib/acceptor.h"
#include "lib/bodies.h"
#include "lib/log.h"
#include "lib/storemsg.h"
#include "lib/xalloc.h"
#include "stored/commit.h"
#include "stored/control.h"
#include "stored/crossings.h"
#include "stored/delivery.h"
#include "stored/expire.h"
#include "stored/opening.h"
#include "stored/server.h"
#include "stored/session.h"
#include "stored/sessions.h"
#include "stored/store.h"

/* Bodies waiting for their commit above which no more deliveries are read: twice a group. */
#define WAITING_MAX (16 * 1024 * 1024)

struct request {
    enum store_type type;
    unsigned kinds; /* of connections that may send it */
    size_t least;   /* octets of payload */
    size_t most;
    int (*handle)(struct connection *connection, const struct channel_message *message);
};

#define EXACTLY(type) sizeof(type), sizeof(type)

/* Without it, bodies travel in messages. */
static int give_memory(struct connection *connection, const struct channel_message *message)
{
    int fd;

    if (connection->bodies != NULL)
        return -1;
    connection->bodies = bodies_make(&fd);
    if (connection->bodies == NULL) {
        log_warning("cannot share memory with a front: %s", strerror(errno));
        return 0;
    }
    channel_send_descriptor(connection->channel, fd);
    channel_send(connection->channel, STORE_MEMORY_IS, message->id, NULL, 0, NULL, 0);
    return 0;
}

static const struct request requests[] = {
    {STORE_DELIVER_BEGIN, CONNECTION_DELIVER, sizeof(struct store_deliver_begin),
     CHANNEL_PAYLOAD_MAX, delivery_begin},
    {STORE_IMPORT, CONNECTION_CONTROL, EXACTLY(struct store_import), delivery_import},
    {STORE_DELIVER_DATA, CONNECTION_DELIVER | CONNECTION_CONTROL, 1, CHANNEL_PAYLOAD_MAX,
     delivery_data},
    {STORE_DELIVER_COMMIT, CONNECTION_DELIVER | CONNECTION_CONTROL,
     EXACTLY(struct store_deliver_commit), delivery_commit},
    {STORE_DELIVER_ABORT, CONNECTION_DELIVER | CONNECTION_CONTROL, 0, 0, delivery_abort},
    {STORE_MEMORY, CONNECTION_FRONT, 0, 0, give_memory},
    {STORE_OPEN, CONNECTION_FRONT, EXACTLY(struct store_open), session_open},
    {STORE_READ, CONNECTION_FRONT, EXACTLY(struct store_read), session_read},
    {STORE_EXPUNGE, CONNECTION_FRONT, sizeof(uint32_t), STORE_EXPUNGE_MAX * sizeof(uint32_t),
     session_expunge},
    {STORE_CLOSE, CONNECTION_FRONT, 0, 0, session_close},
    {STORE_HELLO, CONNECTION_DELIVER | CONNECTION_FRONT | CONNECTION_CONTROL, 0, 0, control_hello},
    {STORE_PING, CONNECTION_CONTROL, 0, 0, control_ping},
    {STORE_USAGE, CONNECTION_CONTROL | CONNECTION_DELIVER, EXACTLY(struct store_mailbox_id),
     control_usage},
    {STORE_HOLD, CONNECTION_CONTROL, 0, 0, control_hold},
    {STORE_DROP, CONNECTION_CONTROL, EXACTLY(struct store_mailbox_id), control_drop},
    {STORE_EXPIRE, CONNECTION_CONTROL, EXACTLY(struct store_expire), expire_some},
    {STORE_SESSIONS, CONNECTION_CONTROL, sizeof(struct store_mailbox_id),
     STORE_MAILBOXES_MAX * sizeof(struct store_mailbox_id), sessions_list},
    {STORE_CROSSINGS, CONNECTION_CONTROL, 0, 0, crossings_ask},
    {STORE_LOGOUT, CONNECTION_CONTROL, sizeof(struct store_logout),
     STORE_MAILBOXES_MAX * sizeof(struct store_logout), sessions_log_out},
};

struct server {
    struct store *store;
    struct acceptor *acceptor;
    struct connection *connections;
    bool stopped;
};

static int on_message(void *context, const struct channel_message *message)
{
    struct connection *connection = context;

    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        const struct request *request = &requests[i];
        if (request->type != message->type)
            continue;
        if ((request->kinds & connection->kind) == 0 || message->length < request->least ||
            message->length > request->most)
            return -1;
        commits_catch_up(connection->store->commits);
        int result = request->handle(connection, message);
        if (request->type == STORE_DELIVER_COMMIT && !connection->paused &&
            commits_waiting(connection->store->commits) > WAITING_MAX) {
            connection->paused = true;
            channel_pause(connection->channel);
        }
        return result;
    }
    return -1;
}

static void connection_free(struct connection *connection)
{
    delivery_end_all(connection);
    session_end_all(connection);
    control_end_all(connection);
    expire_end_all(connection);
    crossings_end_all(connection);
    channel_free(connection->channel);
    bodies_detach(connection->bodies);
    DL_DELETE(connection->server->connections, connection);
    free(connection);
}

static void on_closed(void *context)
{
    connection_free(context);
}

static void on_drained(void *context)
{
    struct connection *connection = context;

    openings_go_on(connection->store->openings);
}

static const struct channel_events events = {
    .message = on_message, .closed = on_closed, .drained = on_drained};

static void add_connection(struct server *server, enum connection_kind kind, int fd)
{
    struct connection *connection = xcalloc(1, sizeof(*connection));

    connection->server = server;
    connection->store = server->store;
    connection->kind = kind;
    connection->channel = channel_new(server->store->base, fd, &events, connection);
    DL_APPEND(server->connections, connection);
}

static void accept_deliver(void *context, int fd, const struct sockaddr *address)
{
    (void)address;
    add_connection(context, CONNECTION_DELIVER, fd);
}

static void accept_front(void *context, int fd, const struct sockaddr *address)
{
    (void)address;
    add_connection(context, CONNECTION_FRONT, fd);
}

static void accept_control(void *context, int fd, const struct sockaddr *address)
{
    (void)address;
    add_connection(context, CONNECTION_CONTROL, fd);
}

struct server *server_new(struct store *store)
{
    struct server *server = xcalloc(1, sizeof(*server));

    server->store = store;
    server->acceptor = acceptor_new(store->base);
    acceptor_listen(server->acceptor, "deliver", accept_deliver, server);
    acceptor_listen(server->acceptor, "front", accept_front, server);
    acceptor_listen(server->acceptor, "control", accept_control, server);
    return server;
}

void server_stop(struct server *server)
{
    struct connection *connection;

    acceptor_set_open(server->acceptor, false);
    DL_FOREACH (server->connections, connection)
        channel_pause(connection->channel);
    server->stopped = true;
}

void server_free(struct server *server)
{
    if (server == NULL)
        return;
    while (server->connections != NULL)
        connection_free(server->connections);
    acceptor_free(server->acceptor);
    free(server);
}

void server_flush(struct server *server)
{
    struct connection *connection;

    DL_FOREACH (server->connections, connection)
        if (connection->kind != CONNECTION_FRONT)
            channel_flush(connection->channel);
}

void server_commits_done(struct server *server)
{
    struct connection *connection;

    if (server->stopped || commits_waiting(server->store->commits) > WAITING_MAX / 2)
        return;
    DL_FOREACH (server->connections, connection)
        if (connection->paused) {
            connection->paused = false;
            channel_resume(connection->channel);
        }
}
