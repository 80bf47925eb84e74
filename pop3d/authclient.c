/*
 * The client's side of the Dovecot authentication protocol. Its lines carry passwords, so they are
 * handed to the output buffer by reference and wiped when they have been written.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
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

struct authclient {
    struct event_base *base;
    const char *path;
    struct bufferevent *stream; /* NULL: no connection */
    struct reconnect *reconnect;
    struct auth_request *requests;
    uint32_t last_id;
    unsigned mechanism_count;
    struct auth_mechanism mechanisms[LIMIT_MECHANISMS];
    bool greeted; /* this connection has begun its list of mechanisms */
};

static void forget(struct auth_request *request)
{
    HASH_DEL(request->client->requests, request);
    request->id = 0;
}

/* Connects before it tells: what a session asks for then belongs to the new connection. */
static void lose_connection(struct authclient *client, const char *why)
{
    static const struct auth_answer unavailable = {.outcome = AUTH_UNAVAILABLE};
    struct auth_request *requests = client->requests;

    log_warning("the connection to authd is lost: %s; %u logins were being checked", why,
                HASH_COUNT(requests));
    bufferevent_free(client->stream);
    client->stream = NULL;
    client->requests = NULL;
    reconnect_again(client->reconnect);
    while (requests != NULL) {
        struct auth_request *request = requests;
        HASH_DEL(requests, request);
        request->id = 0;
        request->answer(request->context, &unavailable);
    }
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
    struct auth_answer answer = {0};
    struct auth_mechanism mechanism;
    uint32_t id;

    switch (authline_parse(line, &id, &answer, &mechanism)) {
    case AUTH_LINE_ANSWER: hand_on(client, id, &answer); return 0;
    case AUTH_LINE_MECHANISM: add_mechanism(client, &mechanism); return 0;
    case AUTH_LINE_OTHER: return 0;
    case AUTH_LINE_BAD: break;
    }
    return -1;
}

static void on_readable(struct bufferevent *stream, void *context)
{
    struct authclient *client = context;
    struct evbuffer *input = bufferevent_get_input(stream);
    char *line;

    while ((line = evbuffer_readln(input, NULL, EVBUFFER_EOL_LF)) != NULL) {
        int result = handle_line(client, line);
        free(line);
        if (result < 0) {
            lose_connection(client, "it sent a line that breaks the protocol");
            return;
        }
    }
    if (evbuffer_get_length(input) > LIMIT_AUTH_LINE)
        lose_connection(client, "it sent a line that is too long");
}

static void on_event(struct bufferevent *stream, short what, void *context)
{
    (void)stream;
    if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0)
        lose_connection(context, "it closed the connection");
}

static void wipe_line(const void *data, size_t length, void *line)
{
    (void)data;
    sodium_memzero(line, length);
    free(line);
}

/* Takes over `line`. */
static void send_line(struct authclient *client, char *line)
{
    size_t length = strlen(line);

    if (evbuffer_add_reference(bufferevent_get_output(client->stream), line, length, wipe_line,
                               line) < 0)
        log_fatal("out of memory");
}

static int connect_to_authd(void *context)
{
    struct authclient *client = context;

    int fd = unixsocket_connect(client->path);
    if (fd < 0)
        return -1;
    client->stream = bufferevent_socket_new(client->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (client->stream == NULL)
        log_fatal("out of memory");
    client->greeted = false;
    bufferevent_setcb(client->stream, on_readable, NULL, on_event, client);
    bufferevent_enable(client->stream, EV_READ | EV_WRITE);
    send_line(client, xasprintf("VERSION\t1\t2\nCPID\t%ld\n", (long)getpid()));
    return 0;
}

struct authclient *authclient_new(struct event_base *base, const char *path)
{
    struct authclient *client = xcalloc(1, sizeof(*client));

    client->base = base;
    client->path = path;
    client->reconnect = reconnect_new(base, path, connect_to_authd, client);
    return client;
}

void authclient_free(struct authclient *client)
{
    if (client == NULL)
        return;
    if (client->stream != NULL)
        bufferevent_free(client->stream);
    reconnect_free(client->reconnect);
    free(client);
}

const struct auth_mechanism *authclient_mechanism(const struct authclient *client, unsigned number)
{
    return number < client->mechanism_count ? &client->mechanisms[number] : NULL;
}

int authclient_begin(struct authclient *client, struct auth_request *request,
                     const struct auth_origin *origin, const char *mechanism, const char *response)
{
    if (client->stream == NULL)
        return -1;
    if (++client->last_id == 0)
        client->last_id++;
    request->id = client->last_id;
    request->client = client;
    HASH_ADD(hh, client->requests, id, sizeof(request->id), request);
    send_line(client,
              xasprintf("AUTH\t%u\t%s\tservice=pop3\tlip=%s\trip=%s%s%s%s\n", request->id,
                        mechanism, origin->local->text, origin->remote->text,
                        origin->secured ? "\tsecured" : "", response != NULL ? "\tresp=" : "",
                        response != NULL ? response : ""));
    return 0;
}

void authclient_respond(struct auth_request *request, const char *response)
{
    send_line(request->client, xasprintf("CONT\t%u\t%s\n", request->id, response));
}

void authclient_cancel(struct auth_request *request)
{
    if (request->id == 0)
        return;
    send_line(request->client, xasprintf("CANCEL\t%u\n", request->id));
    forget(request);
}
