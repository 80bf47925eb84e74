/*
 * One thread, one event loop for HTTP and for the channels to other programs: a request that waits
 * for a sibling, for the writer or for a hash is suspended and costs nobody else time. What is done
 * within a handler takes microseconds.
 */
#include <errno.h>
#include <event2/event.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

#include <sodium.h>

#include "admin/api.h"
#include "admin/framing.h"
#include "admin/http.h"
#include "admin/longtext.h"
#include "admin/problem.h"
#include "admin/request.h"
#include "admin/route.h"
#include "admin/stream.h"
#include "admin/traffic.h"
#include "admin/tunnel.h"
#include "admin/upload.h"
#include "lib/child.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/xalloc.h"

/* On each listening socket: 10,000 that stay open leave others room. An idle one takes 4.6 KiB, one
 * with 6,000 octets of header 10.5. */
#define CONNECTIONS_MAX 12000

/* Octets for the header of one request and its answer. */
#define CONNECTION_MEMORY (16 * 1024)

/* Seconds of silence after which a connection is closed. */
#define CONNECTION_IDLE 10

/*
 * Milliseconds in which a whole header must be there (from the connection's begin, or the last
 * answer's end), then the whole body, and in which an answer must have left: octets that trickle in
 * or out are no silence, but no client needs them.
 */
#define HEADER_TIME 20000
#define BODY_TIME   30000
#define ANSWER_TIME 60000

/* Octets of an answer that is made while it leaves: so many are in memory. */
#define LONGTEXT_PIECE (32 * 1024)

#define SWEEP_SECONDS 1

/* An IPv4 and an IPv6 socket, and all tunnels. */
#define SERVICES_MAX 3

/* Seconds for which a browser comes with TLS alone (RFC 6797): a year. */
#define STRICT_TRANSPORT "max-age=31536000"

struct client {
    struct client *prev;
    struct client *next;
    struct MHD_Connection *connection;
    uint64_t due; /* when it is closed; 0: it waits for us */
};

struct service {
    struct http *http;
    bool tls;
    struct MHD_Daemon *daemon;
    struct event *ready; /* libmicrohttpd's epoll descriptor has something */
    struct event *timer; /* it has something to do at this time */
    struct client *clients;
};

struct http {
    const struct route *routes;
    size_t route_count;
    struct admin *admin;
    void (*idle)(void *context); /* NULL: it has not retired */
    void *idle_context;
    size_t bodies; /* octets, of all requests */
    struct event *sweep;
    struct traffic *traffic;
    struct tunnels *tunnels; /* NULL: nothing comes over TLS; else the last service's */
    unsigned service_count;
    struct service services[SERVICES_MAX];
};

/* --- answers */

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    if (value != NULL && value[0] != '\0' &&
        MHD_add_response_header(response, name, value) != MHD_YES)
        log_panic("out of memory");
}

static void add_headers(struct MHD_Response *response, const struct request *request)
{
    const struct answer *answer = &request->answer;
    char seconds[16];

    snprintf(seconds, sizeof(seconds), "%u", answer->retry_after);
    add_header(response, "Content-Type",
               answer->text != NULL || answer->longtext != NULL || answer->stream != NULL
                   ? answer->type
                   : NULL);
    add_header(response, "X-Content-Type-Options", "nosniff");
    add_header(response, "Content-Security-Policy",
               answer->policy != NULL ? answer->policy
                                      : "default-src 'none'; frame-ancestors 'none'");
    add_header(response, "Referrer-Policy", "no-referrer");
    add_header(response, "Cache-Control", "no-store");
    add_header(response, "Strict-Transport-Security",
               request->service->tls ? STRICT_TRANSPORT : NULL);
    add_header(response, "X-Request-Id", request->id);
    add_header(response, "Set-Cookie", answer->cookie);
    add_header(response, "Location", answer->location);
    add_header(response, "ETag", answer->etag);
    add_header(response, "Allow", answer->allow);
    add_header(response, "Retry-After", answer->retry_after > 0 ? seconds : NULL);
    add_header(response, "Idempotency-Replayed", answer->replayed ? "true" : NULL);
    add_header(response, "WWW-Authenticate",
               answer->status == MHD_HTTP_UNAUTHORIZED ? "Bearer realm=\"bellhop\"" : NULL);
    add_header(response, "Connection",
               request->last || request->service->http->idle != NULL ? "close" : NULL);
}

static struct client *client_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void set_due(struct MHD_Connection *connection, uint64_t time)
{
    client_of(connection)->due = time == 0 ? 0 : clock_milliseconds() + time;
}

/* It may have held a password that is shown once. */
static void wipe(void *text)
{
    sodium_memzero(text, strlen(text));
    free(text);
}

/* Who does not take his answer shall not hold what he sent as well. */
static void forget_body(struct request *request)
{
    json_decref(request->json);
    request->json = NULL;
    if (request->body == NULL)
        return;
    sodium_memzero(request->body, request->room);
    free(request->body);
    request->body = NULL;
    request->service->http->bodies -= request->room;
    request->body_length = 0;
    request->room = 0;
}

/* What a long text needs until its last octet has left; the request is gone before that. */
struct leaving {
    struct MHD_Connection *connection;
    struct longtext *text;
};

/* A client has ANSWER_TIME for each piece. */
static ssize_t on_room(void *context, uint64_t at, char *octets_r, size_t size)
{
    struct leaving *leaving = context;
    (void)at;

    long length = longtext_read(leaving->text, octets_r, size);
    set_due(leaving->connection, ANSWER_TIME);
    if (length < 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    return length == 0 ? MHD_CONTENT_READER_END_OF_STREAM : length;
}

static void on_left(void *context)
{
    struct leaving *leaving = context;

    longtext_free(leaving->text);
    free(leaving);
}

static struct MHD_Response *make_long(const struct request *request)
{
    struct leaving *leaving = xcalloc(1, sizeof(*leaving));

    *leaving = (struct leaving){request->connection, request->answer.longtext};
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, LONGTEXT_PIECE, on_room, leaving,
                                             on_left);
}

static void wake(void *context)
{
    const struct service *service = context;

    event_active(service->ready, EV_READ, 0);
}

static struct MHD_Response *make_response(const struct request *request)
{
    const struct answer *answer = &request->answer;

    if (answer->longtext != NULL)
        return make_long(request);
    if (answer->stream != NULL)
        return stream_response(answer->stream, request->connection, wake, request->service);
    if (answer->text == NULL)
        return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    return MHD_create_response_from_buffer_with_free_callback(strlen(answer->text), answer->text,
                                                              wipe);
}

static enum MHD_Result queue_answer(struct request *request)
{
    struct answer *answer = &request->answer;
    struct MHD_Response *response = make_response(request);

    if (response == NULL)
        log_panic("out of memory");
    add_headers(response, request);
    set_due(request->connection, answer->stream != NULL ? 0 : ANSWER_TIME);
    answer->text = NULL;
    answer->stream = NULL;
    forget_body(request);
    answer->longtext = NULL;
    enum MHD_Result result = MHD_queue_response(request->connection, answer->status, response);
    MHD_destroy_response(response);
    metric_add(METRIC_HTTP_REQUESTS, 1);
    metric_observe(METRIC_HTTP_TIME, clock_microseconds() - request->begun);
    traffic_note(request->service->http->traffic, request->route, answer->status);
    return result;
}

void request_clear(struct request *request)
{
    if (request->answer.text != NULL)
        wipe(request->answer.text);
    longtext_free(request->answer.longtext);
    free(request->answer.location);
    memset(&request->answer, 0, sizeof(request->answer));
}

void request_set(struct request *request, unsigned status, json_t *body)
{
    char *location = request->answer.location;

    request->answer.location = NULL;
    request_clear(request);
    request->answer.location = location;
    request->answer.status = status;
    if (body == NULL)
        return;
    request->answer.type = "application/json";
    request->answer.text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    if (request->answer.text == NULL)
        log_panic("out of memory, or no JSON");
}

void request_set_location(struct request *request, const char *path, const char *name)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~@";
    size_t room = strlen(path) + 3 * strlen(name) + 1;
    char *location = xmalloc(room);
    size_t length = (size_t)snprintf(location, room, "%s", path);

    for (; *name != '\0'; name++)
        length +=
            (size_t)snprintf(location + length, room - length,
                             strchr(plain, *name) != NULL ? "%c" : "%%%02X", (unsigned char)*name);
    free(request->answer.location);
    request->answer.location = location;
}

void request_send(struct request *request)
{
    if (!request->suspended)
        return;
    request->suspended = false;
    MHD_resume_connection(request->connection);
    event_active(request->service->ready, EV_READ, 0);
}

void request_answer(struct request *request, unsigned status, const char *type, char *text)
{
    request_set(request, status, NULL);
    request->answer.type = type;
    request->answer.text = text;
    request_send(request);
}

void request_answer_json(struct request *request, unsigned status, json_t *body)
{
    request_set(request, status, body);
    request_send(request);
}

/* --- requests */

const char *request_header(const struct request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *request_query(const struct request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

struct each {
    void (*call)(void *context, const char *name, const char *value);
    void *context;
};

static enum MHD_Result on_each(void *context, enum MHD_ValueKind kind, const char *name,
                               const char *value)
{
    const struct each *each = context;
    (void)kind;

    each->call(each->context, name, value);
    return MHD_YES;
}

void request_each_query(const struct request *request,
                        void (*each)(void *context, const char *name, const char *value),
                        void *context)
{
    struct each call = {each, context};

    MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, on_each, &call);
}

static bool has_body(const struct request *request)
{
    const char *length = request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);

    return (length != NULL && strcmp(length, "0") != 0) ||
           request_header(request, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
}

/* A target may also be "http://host/path" (RFC 9112 section 3.2.2); whose it is says Host. */
static const char *path_of(const char *target)
{
    size_t scheme = strncasecmp(target, "http://", 7) == 0    ? 7
                    : strncasecmp(target, "https://", 8) == 0 ? 8
                                                              : 0;
    const char *path = scheme == 0 ? target : strchr(target + scheme, '/');

    return path != NULL ? path : "/";
}

static struct request *request_new(struct service *service, struct MHD_Connection *connection,
                                   const char *path, const char *method)
{
    struct request *request = xcalloc(1, sizeof(*request));

    request->service = service;
    request->begun = clock_microseconds();
    request->connection = connection;
    request->admin = service->http->admin;
    request->method = method;
    request->path = path_of(path);
    request->secure = service->tls;
    api_identify(
        request,
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
    return request;
}

static void request_free(struct request *request)
{
    forget_body(request);
    upload_free(request);
    request_clear(request);
    json_decref(request->errors);
    json_decref(request->limit);
    if (request->release != NULL)
        request->release(request->own);
    if (request->own != NULL)
        sodium_memzero(request->own, request->own_size);
    sodium_memzero(request->token, sizeof(request->token));
    free(request->own);
    free(request->name);
    free(request);
}

static void find_route(struct request *request)
{
    const struct http *http = request->service->http;
    char allow[ROUTE_ALLOW_SIZE];

    switch (route_find(http->routes, http->route_count, request->method, request->path,
                       &request->route)) {
    case ROUTE_FOUND: break;
    case ROUTE_NO_PATH:
        problem_set(request, PROBLEM_NO_PATH,
                    "there is nothing at this path; /api/v1/openapi.json tells what there is");
        break;
    case ROUTE_NO_METHOD:
        route_allow(http->routes, http->route_count, request->path, allow);
        problem_set(request, PROBLEM_METHOD, "this path takes %s", allow);
        snprintf(request->answer.allow, sizeof(request->answer.allow), "%s", allow);
        break;
    case ROUTE_UNKNOWN_METHOD:
        problem_set(request, PROBLEM_NO_SUCH_METHOD, "HTTP has no such method");
        break;
    }
}

static size_t body_max(const struct request *request)
{
    return request->route != NULL && request->route->upload != NULL ? UPLOAD_MAX : HTTP_BODY_MAX;
}

static void refuse_size(struct request *request)
{
    request->taking = false;
    if (request->answer.status == 0)
        problem_set(request, PROBLEM_TOO_LARGE, "a body has %zu octets at most here",
                    body_max(request));
}

/* Whether the whole body need not come, because a larger one than is taken was announced. */
static bool too_large(struct request *request)
{
    const char *length = request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    bool large = length != NULL && strtoull(length, NULL, 10) > body_max(request);

    if (large)
        refuse_size(request);
    return large;
}

/* All that can be told from the header. */
static void begin(struct request *request, bool body)
{
    find_route(request);
    if (request->answer.status == 0)
        api_begin(request, body);
}

/* A body may hold a password. */
static void grow(struct request *request, size_t room)
{
    char *body = xmalloc(room);

    if (request->body != NULL) {
        memcpy(body, request->body, request->body_length);
        sodium_memzero(request->body, request->room);
        free(request->body);
    }
    request->service->http->bodies += room - request->room;
    request->body = body;
    request->room = room;
}

/* Whether there is room for so much of the body; else it is refused. */
static bool make_room(struct request *request, size_t room)
{
    if (room <= request->room)
        return true;
    if (request->service->http->bodies + room - request->room > HTTP_BODIES_MAX) {
        request->taking = false;
        problem_set(request, PROBLEM_BUSY, "too many bodies are on their way; try again");
        request->answer.retry_after = 1;
        return false;
    }
    grow(request, room);
    return true;
}

/* Returns whether the body is to be read: an answer without that ends the connection. */
static bool begin_body(struct request *request)
{
    begin(request, true);
    bool upload = request->route != NULL && request->route->upload != NULL;
    request->due = clock_milliseconds() + (upload ? UPLOAD_TIME : BODY_TIME);
    client_of(request->connection)->due = request->due;
    request->taking = request->answer.status == 0;
    bool wanted = request->route != NULL && (request->route->fields != NULL || upload);
    if (too_large(request) || !wanted)
        return false;
    if (request->taking && upload && make_room(request, UPLOAD_PIECE))
        upload_begin(request);
    return request->taking || request_header(request, "Expect") == NULL;
}

static void keep(struct request *request, const char *data, size_t length)
{
    size_t room = request->room > 0 ? request->room : 1024;

    while (room < request->read)
        room *= 2;
    if (!make_room(request, room))
        return;
    memcpy(request->body + request->body_length, data, length);
    request->body_length += length;
}

/*
 * Takes what has come of the body, or forgets it; what is left stays in *length. Returns whether to
 * go on: a body that nobody wants is read as far that the connection can be kept.
 */
static bool take(struct request *request, const char *data, size_t *length)
{
    size_t part = *length;

    client_of(request->connection)->due = request->due;
    if (request->taking && request->read + part > body_max(request))
        refuse_size(request);
    if (request->taking && request->upload != NULL)
        part = upload_take(request, data, part);
    request->read += part;
    *length -= part;
    if (request->taking && request->upload == NULL)
        keep(request, data, part);
    return request->taking || request->away || request->read <= 2 * body_max(request);
}

static enum MHD_Result suspend(struct request *request)
{
    set_due(request->connection, 0);
    request->suspended = true;
    MHD_suspend_connection(request->connection);
    return MHD_YES;
}

/* What begins with such a header may end anywhere, so nothing behind it is read. */
static enum MHD_Result refuse_framing(struct request *request, const char *fault)
{
    problem_set(request, PROBLEM_MALFORMED, "%s", fault);
    request->last = true;
    return queue_answer(request);
}

/*
 * Is called when the header is there, then with each piece of a body, at the request's end, and
 * again when a suspended request has its answer.
 */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *upload, size_t *upload_length, void **request_r)
{
    struct request *request = *request_r;
    const char *fault;

    if (request == NULL) {
        if (!framing_check(connection, version, &fault))
            return MHD_NO;
        *request_r = request = request_new(context, connection, path, method);
        if (fault != NULL)
            return refuse_framing(request, fault);
        request->has_body = has_body(request);
        if (!request->has_body || begin_body(request))
            return MHD_YES;
    } else if (*upload_length > 0) {
        bool good = take(request, upload, upload_length);
        if (request->away)
            return suspend(request);
        return good ? MHD_YES : MHD_NO;
    } else if (!request->has_body && request->route == NULL && request->answer.status == 0) {
        begin(request, false);
    }
    if (request->answer.status == 0 && (request->upload == NULL || !upload_flush(request)))
        api_run(request);
    if (!request->away && request->answer.status != 0)
        return queue_answer(request);
    return suspend(request);
}

/* What stands in a path or a query is decoded where it is read: "%2F" is no "/". */
static size_t leave_escaped(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode code)
{
    (void)context;
    (void)code;

    if (*request != NULL)
        request_free(*request);
    *request = NULL;
    set_due(connection, HEADER_TIME);
}

/* --- connections */

static void on_connection(void *context, struct MHD_Connection *connection, void **client_r,
                          enum MHD_ConnectionNotificationCode code)
{
    struct service *service = context;
    struct client *client = *client_r;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *client_r = client = xcalloc(1, sizeof(*client));
        client->connection = connection;
        client->due = clock_milliseconds() + HEADER_TIME;
        DL_APPEND(service->clients, client);
    } else if (client != NULL) {
        DL_DELETE(service->clients, client);
        free(client);
        *client_r = NULL;
    }
}

/* libmicrohttpd then finds the connection at its end. */
static void hang_up(struct client *client)
{
    client->due = 0;
    shutdown(
        MHD_get_connection_info(client->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd,
        SHUT_RDWR);
}

static void on_sweep(evutil_socket_t fd, short what, void *context)
{
    struct http *http = context;
    uint64_t now = clock_milliseconds();
    struct client *client;
    (void)fd;
    (void)what;

    for (unsigned i = 0; i < http->service_count; i++)
        DL_FOREACH (http->services[i].clients, client)
            if (client->due != 0 && client->due <= now)
                hang_up(client);
    if (http->tunnels != NULL)
        tunnels_sweep(http->tunnels, now);
}

static bool is_idle(const struct http *http)
{
    for (unsigned i = 0; i < http->service_count; i++)
        if (MHD_get_daemon_info(http->services[i].daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)
                ->num_connections > 0)
            return false;
    return http->tunnels == NULL || tunnels_count(http->tunnels) == 0;
}

static void service_run(struct service *service)
{
    const struct http *http = service->http;
    MHD_UNSIGNED_LONG_LONG ms;

    MHD_run(service->daemon);
    if (MHD_get_timeout(service->daemon, &ms) == MHD_YES) {
        const struct timeval due = {.tv_sec = (time_t)(ms / 1000),
                                    .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
        event_add(service->timer, &due);
    } else {
        event_del(service->timer);
    }
    if (http->idle != NULL && is_idle(http))
        http->idle(http->idle_context);
}

static void on_ready(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    service_run(context);
}

/* A service without a socket of its own is the tunnels'. */
static struct MHD_Daemon *start_daemon(struct service *service, int fd)
{
    const unsigned flags =
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (fd < 0 ? MHD_USE_NO_LISTEN_SOCKET : 0);
    const struct MHD_OptionItem socket[] = {
        {fd < 0 ? MHD_OPTION_END : MHD_OPTION_LISTEN_SOCKET, fd, NULL},
        {MHD_OPTION_END, 0, NULL},
    };

    return MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, service, MHD_OPTION_ARRAY, socket,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, service, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_IDLE,
        MHD_OPTION_END);
}

static void add_service(struct http *http, struct event_base *base, int fd)
{
    struct service *service = &http->services[http->service_count++];

    service->http = http;
    service->tls = fd < 0;
    service->daemon = start_daemon(service, fd);
    if (service->daemon == NULL)
        log_fatal("cannot serve HTTP: %s", strerror(errno));
    const union MHD_DaemonInfo *epoll =
        MHD_get_daemon_info(service->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (epoll == NULL)
        log_fatal("this libmicrohttpd cannot use epoll; use the one of Debian 12");
    service->ready = event_new(base, epoll->epoll_fd, EV_READ | EV_PERSIST, on_ready, service);
    service->timer = evtimer_new(base, on_ready, service);
    if (service->ready == NULL || service->timer == NULL)
        log_fatal("cannot watch the HTTP sockets");
}

static struct service *service_of_tunnels(struct http *http)
{
    return &http->services[http->service_count - 1];
}

static void on_tunnel_opened(void *context, int fd, const struct sockaddr *address,
                             socklen_t length)
{
    struct service *service = service_of_tunnels(context);

    if (MHD_add_connection(service->daemon, fd, address, length) == MHD_YES)
        event_active(service->ready, EV_READ, 0);
}

/* The last one may have been waited for. */
static void on_tunnel_ended(void *context)
{
    event_active(service_of_tunnels(context)->timer, EV_TIMEOUT, 0);
}

static const struct tunnels_events tunnels_events = {.opened = on_tunnel_opened,
                                                     .ended = on_tunnel_ended};

struct http *http_new(struct event_base *base, const struct route *routes, size_t count,
                      struct admin *admin)
{
    struct http *http = xcalloc(1, sizeof(*http));
    int fd;

    http->routes = routes;
    http->route_count = count;
    http->admin = admin;
    http->traffic = traffic_new(routes, count);
    http->sweep = event_new(base, -1, EV_PERSIST, on_sweep, http);
    if (http->sweep == NULL)
        log_fatal("cannot make a timer: out of memory");
    while (http->service_count < SERVICES_MAX - 1 &&
           (fd = child_descriptor("http", http->service_count)) >= 0)
        add_service(http, base, fd);
    if (http->service_count == 0)
        log_fatal("there is no socket named http; start it with \"bellhop -C DIR serve\"");
    if (child_descriptor("https", 0) < 0)
        return http;
    add_service(http, base, -1);
    http->tunnels =
        tunnels_new(base, "https", child_descriptor("https-tls", 0), &tunnels_events, http);
    return http;
}

void http_open(struct http *http)
{
    static const struct timeval pause = {.tv_sec = SWEEP_SECONDS};

    for (unsigned i = 0; i < http->service_count; i++)
        if (event_add(http->services[i].ready, NULL) < 0)
            log_fatal("cannot watch the HTTP sockets");
    event_add(http->sweep, &pause);
    if (http->tunnels != NULL)
        tunnels_open(http->tunnels);
}

const struct traffic *http_traffic(const struct http *http)
{
    return http->traffic;
}

void http_reload(struct http *http)
{
    if (http->tunnels != NULL)
        tunnels_reload(http->tunnels);
}

void http_retire(struct http *http, void (*idle)(void *context), void *context)
{
    http->idle = idle;
    http->idle_context = context;
    if (http->tunnels != NULL)
        tunnels_close(http->tunnels);
    for (unsigned i = 0; i < http->service_count; i++) {
        if (!http->services[i].tls)
            (void)MHD_quiesce_daemon(http->services[i].daemon);
        event_active(http->services[i].timer, EV_TIMEOUT, 0);
    }
}

void http_free(struct http *http)
{
    for (unsigned i = 0; i < http->service_count; i++) {
        struct service *service = &http->services[i];
        /* Once to take up what has been answered, once to write it. */
        MHD_run(service->daemon);
        MHD_run(service->daemon);
        event_free(service->ready);
        event_free(service->timer);
        MHD_stop_daemon(service->daemon);
    }
    tunnels_free(http->tunnels);
    traffic_free(http->traffic);
    event_free(http->sweep);
    free(http);
}
