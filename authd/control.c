#include <stdbool.h>
#include <stdlib.h>
#include <utlist.h>

#include "authd/blocks.h"
#include "authd/control.h"
#include "authd/pagelogin.h"
#include "authd/report.h"
#include "lib/acceptor.h"
#include "lib/authmsg.h"
#include "lib/channel.h"
#include "lib/log.h"
#include "lib/xalloc.h"

/* admin, one that is being replaced, and a few commands; further ones wait. */
#define CONNECTIONS_MAX 32

/* The handler checks it. */
#define ANY_LENGTH SIZE_MAX

struct connection {
    struct connection *prev;
    struct connection *next;
    struct control *control;
    struct channel *channel;
    bool writes;   /* has said so */
    bool flushing; /* is told when all up to `flushed` has been written */
    uint32_t flush_id;
    uint64_t flushed;
    struct pagelogin *pagelogins; /* that are being checked */
};

struct control {
    struct event_base *base;
    struct report *report;
    struct checker *checker;
    struct acceptor *acceptor;
    struct connection *connections;
    unsigned count;
    bool open;
};

/* --- what is asked */

static int take_ping(struct connection *connection, const struct channel_message *message)
{
    channel_send(connection->channel, AUTH_PONG, message->id, NULL, 0, NULL, 0);
    return 0;
}

static int take_take(struct connection *connection, const struct channel_message *message)
{
    struct report *report = connection->control->report;
    struct channel *last = report_writer(report);
    (void)message;

    if (connection->writes)
        return -1;
    connection->writes = true;
    if (last != NULL)
        channel_send(last, AUTH_TAKEN, 0, NULL, 0, NULL, 0);
    report_set_writer(report, connection->channel);
    return 0;
}

/* Who has been replaced may not know it yet. */
static int take_written(struct connection *connection, const struct channel_message *message)
{
    struct report *report = connection->control->report;

    return report_writer(report) == connection->channel ? report_written(report, message->id) : 0;
}

static void answer_flush(struct connection *connection)
{
    const struct report *report = connection->control->report;

    if (!connection->flushing || !report_is_written(report, connection->flushed))
        return;
    connection->flushing = false;
    channel_send(connection->channel, AUTH_FLUSHED, connection->flush_id, NULL, 0, NULL, 0);
}

static int take_flush(struct connection *connection, const struct channel_message *message)
{
    if (connection->flushing)
        return -1;
    connection->flushing = true;
    connection->flush_id = message->id;
    connection->flushed = report_flush(connection->control->report);
    answer_flush(connection);
    return 0;
}

static int take_list(struct connection *connection, const struct channel_message *message)
{
    blocks_list(connection->control->checker, connection->channel, message);
    return 0;
}

static int take_lift(struct connection *connection, const struct channel_message *message)
{
    const struct control *control = connection->control;

    return blocks_lift(control->checker, control->report, connection->channel, message);
}

static int take_check(struct connection *connection, const struct channel_message *message)
{
    const struct control *control = connection->control;

    return pagelogin_start(&connection->pagelogins, control->checker, control->report,
                           connection->channel, message);
}

static int take_key(struct connection *connection, const struct channel_message *message)
{
    return pagelogin_key(connection->control->checker, connection->channel, message);
}

static const struct request {
    enum auth_type type;
    size_t length;
    int (*take)(struct connection *connection, const struct channel_message *message);
} requests[] = {
    {AUTH_PING, 0, take_ping},
    {AUTH_TAKE, 0, take_take},
    {AUTH_WRITTEN, 0, take_written},
    {AUTH_FLUSH, 0, take_flush},
    {AUTH_LIST, sizeof(struct auth_list), take_list},
    {AUTH_LIFT, sizeof(struct auth_lift), take_lift},
    {AUTH_KEY, sizeof(struct auth_key), take_key},
    {AUTH_CHECK, ANY_LENGTH, take_check},
};

/* --- connections */

static int on_message(void *context, const struct channel_message *message)
{
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
        if (requests[i].type == message->type)
            return requests[i].length == message->length || requests[i].length == ANY_LENGTH
                       ? requests[i].take(context, message)
                       : -1;
    return -1;
}

static void on_written(void *context)
{
    struct control *control = context;
    struct connection *connection;

    DL_FOREACH (control->connections, connection) {
        answer_flush(connection);
    }
}

/* Who was replaced by one that is gone writes again; perhaps there is nobody. */
static void find_writer(struct control *control)
{
    struct connection *connection;
    struct channel *channel = NULL;

    DL_FOREACH (control->connections, connection) {
        if (connection->writes)
            channel = connection->channel;
    }
    report_set_writer(control->report, channel);
}

static void connection_free(struct connection *connection)
{
    struct control *control = connection->control;

    pagelogin_cancel(&connection->pagelogins, control->checker);
    DL_DELETE(control->connections, connection);
    control->count--;
    if (report_writer(control->report) == connection->channel)
        find_writer(control);
    channel_free(connection->channel);
    free(connection);
}

static void set_accepting(struct control *control)
{
    acceptor_set_open(control->acceptor, control->open && control->count < CONNECTIONS_MAX);
}

static void on_closed(void *context)
{
    struct connection *connection = context;
    struct control *control = connection->control;

    connection_free(connection);
    set_accepting(control);
}

static const struct channel_events events = {.message = on_message, .closed = on_closed};

static void on_accept(void *context, int fd, const struct sockaddr *address)
{
    struct control *control = context;
    struct connection *connection = xcalloc(1, sizeof(*connection));
    (void)address;

    connection->control = control;
    connection->channel = channel_new(control->base, fd, &events, connection);
    DL_APPEND(control->connections, connection);
    control->count++;
    set_accepting(control);
}

struct control *control_new(struct event_base *base, struct report *report, struct checker *checker)
{
    struct control *control = xcalloc(1, sizeof(*control));

    control->base = base;
    control->report = report;
    control->checker = checker;
    report_listen(report, on_written, control);
    control->acceptor = acceptor_new(base);
    set_accepting(control);
    acceptor_listen(control->acceptor, "auth-control", on_accept, control);
    return control;
}

void control_set_open(struct control *control, bool open)
{
    control->open = open;
    set_accepting(control);
}

void control_free(struct control *control)
{
    if (control == NULL)
        return;
    report_listen(control->report, NULL, NULL);
    while (control->connections != NULL)
        connection_free(control->connections);
    acceptor_free(control->acceptor);
    free(control);
}
