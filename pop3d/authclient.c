/*
 * The client's side of the Dovecot authentication protocol. Its lines carry passwords and
 * capabilities, so both buffers are wiped as soon as they are done with. The lines of one turn of
 * the event loop leave with one write.
 */
#include <errno.h>
#include <event2/event.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/reconnect.h"
#include "lib/unixsocket.h"
#include "lib/xalloc.h"
#include "pop3d/authclient.h"
#include "pop3d/limits.h"
#include "pop3d/number.h"

struct authclient {
    struct event_base *base;
    const char *path;
    void (*heard)(void *context);
    void *context;
    int fd; /* -1: no connection */
    struct event *readable;
    struct event *writable; /* pending only while the socket is full */
    struct event *turn;     /* runs once at the end of this turn of the loop */
    struct reconnect *reconnect;
    struct auth_request *requests;
    uint32_t last_id;
    unsigned mechanism_count;
    struct auth_mechanism mechanisms[LIMIT_MECHANISMS];
    struct auth_plans plans;
    bool greeted; /* this connection has begun its list of mechanisms */
    char *output;
    size_t output_length, output_room;
    size_t input_length;
    char input[LIMIT_AUTH_LINE];
};

static void forget(struct auth_request *request)
{
    HASH_DEL(request->client->requests, request);
    request->id = 0;
}

static void disconnect(struct authclient *client)
{
    if (client->fd < 0)
        return;
    event_free(client->readable);
    event_free(client->writable);
    event_free(client->turn);
    close(client->fd);
    client->fd = -1;
    sodium_memzero(client->input, client->input_length);
    client->input_length = 0;
    sodium_memzero(client->output, client->output_length);
    client->output_length = 0;
}

/* Connects before it tells: what a session asks for then belongs to the new connection. */
static void lose_connection(struct authclient *client, const char *why)
{
    static const struct auth_answer unavailable = {.outcome = AUTH_UNAVAILABLE};
    struct auth_request *requests = client->requests;

    log_warning("the connection to authd is lost: %s; %u logins were being checked", why,
                HASH_COUNT(requests));
    disconnect(client);
    client->requests = NULL;
    reconnect_again(client->reconnect);
    while (requests != NULL) {
        struct auth_request *request = requests;
        HASH_DEL(requests, request);
        request->id = 0;
        request->answer(request->context, &unavailable);
    }
    client->heard(client->context);
}

/* The former connection's list counts until the new one begins. */
static void add_mechanism(struct authclient *client, const struct auth_mechanism *mechanism)
{
    if (!client->greeted)
        client->mechanism_count = 0;
    client->greeted = true;
    for (unsigned i = 0; i < client->mechanism_count; i++)
        if (strcmp(client->mechanisms[i].name, mechanism->name) == 0)
            return;
    if (client->mechanism_count < LIMIT_MECHANISMS)
        client->mechanisms[client->mechanism_count++] = *mechanism;
}

static void hand_on(struct authclient *client, uint32_t id, const struct auth_answer *answer)
{
    struct auth_request *request;

    HASH_FIND(hh, client->requests, &id, sizeof(id), request);
    if (request == NULL) /* its session is gone */
        return;
    if (answer->outcome != AUTH_CHALLENGE)
        forget(request);
    request->answer(request->context, answer);
}

static int handle_line(struct authclient *client, char *line)
{
    struct auth_told told;

    switch (authline_parse(line, &told)) {
    case AUTH_LINE_ANSWER: hand_on(client, told.id, &told.answer); return 0;
    case AUTH_LINE_MECHANISM: add_mechanism(client, &told.mechanism); return 0;
    case AUTH_LINE_PLANS: client->plans = told.plans; return 0;
    case AUTH_LINE_DONE: client->heard(client->context); return 0;
    case AUTH_LINE_OTHER: return 0;
    case AUTH_LINE_BAD: break;
    }
    return -1;
}

/* Handles the lines that are in the input whole. Returns why the connection is to end, or NULL. */
static const char *handle_input(struct authclient *client)
{
    const char *why = NULL;
    size_t taken = 0;

    reconnect_heard(client->reconnect);
    while (why == NULL) {
        char *line = client->input + taken;
        char *end = memchr(line, '\n', client->input_length - taken);
        if (end == NULL)
            break;
        *end = '\0';
        taken = (size_t)(end + 1 - client->input);
        if (handle_line(client, line) < 0)
            why = "it sent a line that breaks the protocol";
    }
    memmove(client->input, client->input + taken, client->input_length - taken);
    client->input_length -= taken;
    sodium_memzero(client->input + client->input_length, taken);
    if (why == NULL && client->input_length == sizeof(client->input))
        why = "it sent a line that is too long";
    return why;
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct authclient *client = context;
    (void)what;

    ssize_t got = read(fd, client->input + client->input_length,
                       sizeof(client->input) - client->input_length);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        lose_connection(client, "it closed the connection");
        return;
    }
    client->input_length += (size_t)got;
    const char *why = handle_input(client);
    if (why != NULL)
        lose_connection(client, why);
}

static void on_turn(evutil_socket_t fd, short what, void *context)
{
    struct authclient *client = context;
    (void)fd;
    (void)what;

    ssize_t written = write(client->fd, client->output, client->output_length);
    if (written < 0 && errno != EAGAIN && errno != EINTR) {
        lose_connection(client, "it closed the connection");
        return;
    }
    size_t sent = written > 0 ? (size_t)written : 0;
    memmove(client->output, client->output + sent, client->output_length - sent);
    client->output_length -= sent;
    sodium_memzero(client->output + client->output_length, sent);
    if (client->output_length > 0)
        event_add(client->writable, NULL);
}

/* realloc() would leave passwords behind. */
static void grow_output(struct authclient *client, size_t length)
{
    size_t room = 2 * (client->output_length + length);
    char *output = xmalloc(room);

    if (client->output_length > 0) {
        memcpy(output, client->output, client->output_length);
        sodium_memzero(client->output, client->output_length);
    }
    free(client->output);
    client->output = output;
    client->output_room = room;
}

static void add(struct authclient *client, const char *text)
{
    size_t length = strlen(text);

    if (length > client->output_room - client->output_length)
        grow_output(client, length);
    memcpy(client->output + client->output_length, text, length);
    client->output_length += length;
}

static void add_number(struct authclient *client, uint64_t number)
{
    char text[NUMBER_MAX + 1];

    text[number_format(text, number)] = '\0';
    add(client, text);
}

static void end_line(struct authclient *client)
{
    add(client, "\n");
    if (!event_pending(client->writable, EV_WRITE, NULL))
        event_active(client->turn, EV_WRITE, 0);
}

static int connect_to_authd(void *context)
{
    struct authclient *client = context;

    client->fd = unixsocket_connect(client->path);
    if (client->fd < 0)
        return -1;
    client->readable =
        event_new(client->base, client->fd, EV_READ | EV_PERSIST, on_readable, client);
    client->writable = event_new(client->base, client->fd, EV_WRITE, on_turn, client);
    client->turn = event_new(client->base, -1, 0, on_turn, client);
    if (client->readable == NULL || client->writable == NULL || client->turn == NULL ||
        event_add(client->readable, NULL) < 0)
        log_fatal("out of memory");
    client->greeted = false;
    add(client, "VERSION\t1\t2\nCPID\t");
    add_number(client, (uint64_t)getpid());
    end_line(client);
    return 0;
}

static void on_away(void *context)
{
    lose_connection(context, "it does not answer");
}

static const struct reconnect_events reconnect_events = {.connect = connect_to_authd,
                                                         .away = on_away};

struct authclient *authclient_new(struct event_base *base, const char *path,
                                  void (*heard)(void *context), void *context)
{
    struct authclient *client = xcalloc(1, sizeof(*client));

    client->base = base;
    client->path = path;
    client->heard = heard;
    client->context = context;
    client->fd = -1;
    client->reconnect = reconnect_new(base, path, &reconnect_events, client);
    return client;
}

void authclient_free(struct authclient *client)
{
    if (client == NULL)
        return;
    disconnect(client);
    reconnect_free(client->reconnect);
    free(client->output);
    free(client);
}

const struct auth_mechanism *authclient_mechanism(const struct authclient *client, unsigned number)
{
    return number < client->mechanism_count ? &client->mechanisms[number] : NULL;
}

const struct auth_plans *authclient_plans(const struct authclient *client)
{
    return &client->plans;
}

int authclient_begin(struct authclient *client, struct auth_request *request,
                     const struct auth_origin *origin, const char *mechanism, const char *response)
{
    if (client->fd < 0 || reconnect_is_away(client->reconnect))
        return -1;
    if (++client->last_id == 0)
        client->last_id++;
    request->id = client->last_id;
    request->client = client;
    HASH_ADD(hh, client->requests, id, sizeof(request->id), request);
    add(client, "AUTH\t");
    add_number(client, request->id);
    add(client, "\t");
    add(client, mechanism);
    add(client, "\tservice=pop3\trip=");
    add(client, origin->remote->text);
    add(client, origin->secured ? "\tsecured" : "");
    add(client, origin->binding != NULL ? "\tcbind=" : "");
    add(client, origin->binding != NULL ? origin->binding : "");
    add(client, response != NULL ? "\tresp=" : "");
    add(client, response != NULL ? response : "");
    end_line(client);
    return 0;
}

void authclient_respond(struct auth_request *request, const char *response)
{
    struct authclient *client = request->client;

    add(client, "CONT\t");
    add_number(client, request->id);
    add(client, "\t");
    add(client, response);
    end_line(client);
}

void authclient_cancel(struct auth_request *request)
{
    struct authclient *client = request->client;

    if (request->id == 0)
        return;
    add(client, "CANCEL\t");
    add_number(client, request->id);
    end_line(client);
    forget(request);
}
