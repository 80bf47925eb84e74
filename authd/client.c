#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "authd/check.h"
#include "authd/client.h"
#include "authd/fields.h"
#include "authd/mechanism.h"
#include "authd/plans.h"
#include "authd/request.h"
#include "authd/service.h"
#include "lib/log.h"
#include "lib/xalloc.h"

/* The version of the Dovecot auth protocol; a client's first number must be the same. */
#define VERSION_MAJOR "1"
#define VERSION_MINOR "1"

/* With this many octets of answers unread, a client has to read before it may ask more. */
#define OUTPUT_MAX (64 * 1024)

enum client_state { CLIENT_VERSION = 1, CLIENT_PROCESS = 2, CLIENT_READY = 4 };

struct client {
    const struct service *service;
    const struct client_events *events;
    void *context;
    int fd;
    enum client_state state;
    bool broken;
    bool draining;
    struct event *readable;
    struct event *writable; /* pending only while the socket is full */
    struct event *turn;     /* runs once at the end of this turn of the loop */
    struct evbuffer *output;
    struct request_table requests;
    size_t used;
    char input[CLIENT_LINE_MAX]; /* holds passwords: wiped as soon as a line is handled */
};

static void break_off(struct client *client)
{
    if (client->broken)
        return;
    client->broken = true;
    event_del(client->readable);
    event_del(client->writable);
    evbuffer_drain(client->output, evbuffer_get_length(client->output));
    event_active(client->turn, EV_WRITE, 0);
}

static int take_version(struct client *client, char *fields[], int count, const char **error_r)
{
    *error_r = "VERSION is not " VERSION_MAJOR;
    if (count < 2 || strcmp(fields[1], VERSION_MAJOR) != 0)
        return -1;
    client->state = CLIENT_PROCESS;
    return 0;
}

static int take_process(struct client *client, char *fields[], int count, const char **error_r)
{
    unsigned process;

    *error_r = "CPID without a process id";
    if (count != 2 || fields_number(fields[1], &process) < 0)
        return -1;
    client->state = CLIENT_READY;
    return 0;
}

static int take_auth(struct client *client, char *fields[], int count, const char **error_r)
{
    return request_auth(&client->requests, fields, count, error_r);
}

static int take_continue(struct client *client, char *fields[], int count, const char **error_r)
{
    return request_continue(&client->requests, fields, count, error_r);
}

static int take_cancel(struct client *client, char *fields[], int count, const char **error_r)
{
    return request_cancel(&client->requests, fields, count, error_r);
}

static const struct command {
    const char *name;
    unsigned states; /* in which it may come */
    int (*take)(struct client *client, char *fields[], int count, const char **error_r);
} commands[] = {
    {"VERSION", CLIENT_VERSION, take_version}, {"CPID", CLIENT_PROCESS, take_process},
    {"AUTH", CLIENT_READY, take_auth},         {"CONT", CLIENT_READY, take_continue},
    {"CANCEL", CLIENT_READY, take_cancel},
};

/* Handles one line without its LF. Returns 0, or -1 with a reason. */
static int take_line(struct client *client, char *line, size_t length, const char **error_r)
{
    char *fields[FIELDS_MAX];

    *error_r = "a line that is not made of fields";
    int count = fields_split(line, length, fields);
    if (count < 0)
        return -1;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, fields[0]) != 0)
            continue;
        *error_r = "a command out of turn";
        if ((commands[i].states & (unsigned)client->state) == 0)
            return -1;
        return commands[i].take(client, fields, count, error_r);
    }
    *error_r = "an unknown command";
    return -1;
}

static bool may_take(const struct client *client)
{
    return !client->broken && !client->draining && evbuffer_get_length(client->output) < OUTPUT_MAX;
}

/* Handles the lines that are in the input whole. Returns how much they take; or -1 with a reason.
 */
static ssize_t take_lines(struct client *client, const char **error_r)
{
    size_t taken = 0;

    while (may_take(client)) {
        char *line = client->input + taken;
        char *end = memchr(line, '\n', client->used - taken);
        if (end == NULL)
            break;
        taken = (size_t)(end + 1 - client->input);
        if (take_line(client, line, (size_t)(end - line), error_r) < 0)
            return -1;
    }
    *error_r = "a line longer than 16384 octets";
    return taken == 0 && client->used == sizeof(client->input) && may_take(client) ? -1
                                                                                   : (ssize_t)taken;
}

static bool has_several_lines(const struct client *client)
{
    const char *end = memchr(client->input, '\n', client->used);

    return end != NULL && end + 1 < client->input + client->used;
}

/* Handles what is in the input, and wipes it. */
static void take_input(struct client *client)
{
    bool several = has_several_lines(client);
    const char *error;

    if (several)
        checker_begin(client->service->checker);
    ssize_t result = take_lines(client, &error);
    if (several)
        checker_end(client->service->checker);
    if (result < 0) {
        log_warning("a client of %s sent %s; closing its connection", client->service->name, error);
        break_off(client);
    }
    size_t taken = result < 0 ? client->used : (size_t)result;
    memmove(client->input, client->input + taken, client->used - taken);
    sodium_memzero(client->input + client->used - taken, taken);
    client->used -= taken;
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct client *client = context;
    (void)what;

    ssize_t got = read(fd, client->input + client->used, sizeof(client->input) - client->used);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        break_off(client);
        return;
    }
    client->used += (size_t)got;
    take_input(client);
    if (!client->broken && !may_take(client))
        event_del(client->readable);
}

static void flush(struct client *client)
{
    while (evbuffer_get_length(client->output) > 0) {
        int written = evbuffer_write(client->output, client->fd);
        if (written > 0 || (written < 0 && errno == EINTR))
            continue;
        if (written < 0 && errno == EAGAIN)
            event_add(client->writable, NULL);
        else
            break_off(client);
        return;
    }
}

/* Writes the answers of this turn with one write; reports the end from here and nowhere else. */
static void on_turn(evutil_socket_t fd, short what, void *context)
{
    struct client *client = context;
    (void)fd;
    (void)what;

    if (!client->broken)
        flush(client);
    /* The client has read its answers: on with what it sent meanwhile. */
    if (may_take(client) && event_pending(client->readable, EV_READ, NULL) == 0) {
        event_add(client->readable, NULL);
        take_input(client);
    }
    if (client->broken)
        client->events->closed(client, client->context);
}

/*
 * A mail server connects anew each time that it starts a process, so it is told what is there now.
 * A front is told which of them take tokens, and with the plans whether any are taken.
 */
static void tell_mechanism(struct client *client, const struct mechanism *mechanism)
{
    const struct service *service = client->service;
    const bool front = service->plans != NULL;
    const bool takes_tokens = mechanism->refusal != NULL;

    if ((mechanism->binds && !service->binds) ||
        (takes_tokens && !front && checker_takes_tokens(service->checker) != 1))
        return;
    client_answer(client, "MECH\t%s\t%s%s\n", mechanism->name, mechanism->flags,
                  takes_tokens && front ? "\ttoken" : "");
}

static void greet(struct client *client)
{
    static unsigned connection;
    uint8_t cookie[16];
    char text[2 * sizeof(cookie) + 1];

    client_answer(client, "VERSION\t" VERSION_MAJOR "\t" VERSION_MINOR "\n");
    for (const struct mechanism *mechanism = mechanisms; mechanism->name != NULL; mechanism++)
        tell_mechanism(client, mechanism);
    if (client->service->plans != NULL)
        plans_tell(client->service->plans, client);
    randombytes_buf(cookie, sizeof(cookie));
    sodium_bin2hex(text, sizeof(text), cookie, sizeof(cookie));
    client_answer(client, "SPID\t%d\nCUID\t%u\nCOOKIE\t%s\nDONE\n", (int)getpid(), ++connection,
                  text);
}

struct client *client_new(const struct service *service, int fd, const struct client_events *events,
                          void *context)
{
    struct client *client = xmalloc(sizeof(*client));

    /* Not the input: most connections never touch most of it. */
    memset(client, 0, offsetof(struct client, input));
    client->service = service;
    client->events = events;
    client->context = context;
    client->fd = fd;
    client->state = CLIENT_VERSION;
    client->requests.client = client;
    client->requests.service = service;
    client->readable = event_new(service->base, fd, EV_READ | EV_PERSIST, on_readable, client);
    client->writable = event_new(service->base, fd, EV_WRITE, on_turn, client);
    client->turn = event_new(service->base, -1, 0, on_turn, client);
    client->output = evbuffer_new();
    if (client->readable == NULL || client->writable == NULL || client->turn == NULL ||
        client->output == NULL || event_add(client->readable, NULL) < 0)
        log_fatal("out of memory");
    greet(client);
    return client;
}

void client_free(struct client *client)
{
    if (client == NULL)
        return;
    request_cancel_all(&client->requests);
    event_free(client->readable);
    event_free(client->writable);
    event_free(client->turn);
    evbuffer_free(client->output);
    close(client->fd);
    sodium_memzero(client->input, client->used);
    free(client);
}

void client_answer(struct client *client, const char *format, ...)
{
    va_list arguments;

    if (client->broken)
        return;
    va_start(arguments, format);
    int length = evbuffer_add_vprintf(client->output, format, arguments);
    va_end(arguments);
    if (length < 0)
        log_fatal("out of memory");
    event_active(client->turn, EV_WRITE, 0);
}

bool client_hang_up(struct client *client)
{
    if (client_has_output(client))
        return false;
    break_off(client);
    return true;
}

void client_expire(struct client *client, uint32_t now)
{
    request_expire(&client->requests, now);
}

void client_drain(struct client *client)
{
    client->draining = true;
    event_del(client->readable);
}

bool client_has_output(const struct client *client)
{
    return evbuffer_get_length(client->output) > 0;
}
