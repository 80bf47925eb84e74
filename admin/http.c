/*
 * One thread, one event loop for HTTP and for the channel to stored: a request that waits for
 * stored is suspended and costs nobody else time, and nothing needs a lock. What is done within a
 * handler takes microseconds; whatever takes longer answers later, as /healthz does.
 */
#include <errno.h>
#include <event2/event.h>
#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "admin/http.h"
#include "admin/route.h"
#include "lib/child.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/xalloc.h"

/* Monitoring and a panel need few; a flood must not take the memory of the machine. */
#define CONNECTIONS_MAX 256

/* Octets for the header of one request and its answer. */
#define CONNECTION_MEMORY (16 * 1024)

/* Seconds of silence after which a connection is closed. */
#define CONNECTION_IDLE 10

/* An IPv4 and an IPv6 socket. */
#define SERVICES_MAX 2

struct service {
    struct http *http;
    struct MHD_Daemon *daemon;
    struct event *ready; /* libmicrohttpd's epoll descriptor has something */
    struct event *due;   /* it has something to do at this time */
};

struct http {
    const struct route *routes;
    size_t route_count;
    struct admin *admin;
    void (*idle)(void *context); /* NULL: it has not retired */
    void *idle_context;
    unsigned service_count;
    struct service services[SERVICES_MAX];
};

struct request {
    struct service *service;
    struct MHD_Connection *connection;
    struct MHD_Response *response; /* not queued yet */
    unsigned status;
    bool suspended;
};

static const struct {
    unsigned status;
    const char *text;
} refusals[] = {
    [ROUTE_NO_PATH] = {MHD_HTTP_NOT_FOUND, "there is nothing at this path"},
    [ROUTE_NO_METHOD] = {MHD_HTTP_METHOD_NOT_ALLOWED, "this path does not take that method"},
    [ROUTE_UNKNOWN_METHOD] = {MHD_HTTP_NOT_IMPLEMENTED, "there is no such method"},
};

void request_answer(struct request *request, unsigned status, const char *type, char *body)
{
    request->status = status;
    request->response = MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_MUST_FREE);
    if (request->response == NULL ||
        MHD_add_response_header(request->response, "Content-Type", type) != MHD_YES ||
        MHD_add_response_header(request->response, "X-Content-Type-Options", "nosniff") !=
            MHD_YES ||
        MHD_add_response_header(request->response, "Cache-Control", "no-store") != MHD_YES)
        log_panic("out of memory");
    if (request->suspended) {
        MHD_resume_connection(request->connection);
        event_active(request->service->ready, EV_READ, 0);
    }
}

void request_answer_json(struct request *request, unsigned status, struct json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT);

    json_decref(body);
    if (text == NULL)
        log_panic("out of memory, or not a JSON object");
    request_answer(request, status, "application/json", text);
}

static enum MHD_Result queue_answer(struct request *request)
{
    if (request->service->http->idle != NULL &&
        MHD_add_response_header(request->response, MHD_HTTP_HEADER_CONNECTION, "close") != MHD_YES)
        log_panic("out of memory");
    enum MHD_Result result =
        MHD_queue_response(request->connection, request->status, request->response);

    MHD_destroy_response(request->response);
    request->response = NULL;
    metric_add(METRIC_HTTP_REQUESTS, 1);
    return result;
}

static bool has_body(struct MHD_Connection *connection)
{
    const char *length =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

    return (length != NULL && strcmp(length, "0") != 0) ||
           MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                       MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
}

static void refuse(struct request *request, unsigned status, const char *text, const char *allow)
{
    request_answer_json(request, status, json_pack("{s:s}", "error", text));
    if (allow != NULL &&
        MHD_add_response_header(request->response, MHD_HTTP_HEADER_ALLOW, allow) != MHD_YES)
        log_panic("out of memory");
}

static void dispatch(struct http *http, struct request *request, const char *path,
                     const char *method)
{
    const struct route *route = NULL;
    char allow[ROUTE_ALLOW_SIZE];

    enum route_result found = route_find(http->routes, http->route_count, method, path, &route);
    if (found != ROUTE_FOUND) {
        route_allow(http->routes, http->route_count, path, allow);
        refuse(request, refusals[found].status, refusals[found].text,
               found == ROUTE_NO_METHOD ? allow : NULL);
    } else if (has_body(request->connection)) {
        refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "this request takes no body", NULL);
    } else {
        route->handle(http->admin, request);
    }
}

/*
 * Is called when the header is there, then when the body has been read, and again when a suspended
 * request has its answer. To answer at the first call would end the connection, which is what a
 * body deserves that nobody wants.
 */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *upload, size_t *upload_length, void **request_r)
{
    struct service *service = context;
    struct request *request = *request_r;
    (void)version;
    (void)upload;

    *upload_length = 0;
    if (request == NULL) {
        *request_r = request = xcalloc(1, sizeof(*request));
        request->service = service;
        request->connection = connection;
        if (!has_body(connection))
            return MHD_YES;
    }
    if (request->response == NULL)
        dispatch(service->http, request, path, method);
    if (request->response != NULL)
        return queue_answer(request);
    request->suspended = true;
    MHD_suspend_connection(connection);
    return MHD_YES;
}

/* A path with an octet 0 in it must not pass for the path that ends there. */
static size_t unescape(void *context, struct MHD_Connection *connection, char *text)
{
    size_t length = MHD_http_unescape(text);
    (void)context;
    (void)connection;

    for (char *end; (end = memchr(text, '\0', length)) != NULL;)
        *end = '\x01';
    return length;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode code)
{
    struct request *done = *request;
    (void)context;
    (void)connection;
    (void)code;

    /* A client that left while it waited never took its answer. */
    if (done != NULL && done->response != NULL)
        MHD_destroy_response(done->response);
    free(done);
    *request = NULL;
}

static bool is_idle(const struct http *http)
{
    for (unsigned i = 0; i < http->service_count; i++)
        if (MHD_get_daemon_info(http->services[i].daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)
                ->num_connections > 0)
            return false;
    return true;
}

static void service_run(struct service *service)
{
    const struct http *http = service->http;
    MHD_UNSIGNED_LONG_LONG ms;

    MHD_run(service->daemon);
    if (MHD_get_timeout(service->daemon, &ms) == MHD_YES) {
        const struct timeval due = {.tv_sec = (time_t)(ms / 1000),
                                    .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
        event_add(service->due, &due);
    } else {
        event_del(service->due);
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

static void service_init(struct service *service, struct http *http, struct event_base *base,
                         int fd)
{
    service->http = http;
    service->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, service,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
        MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_IDLE, MHD_OPTION_END);
    if (service->daemon == NULL)
        log_fatal("cannot serve HTTP: %s", strerror(errno));
    const union MHD_DaemonInfo *epoll =
        MHD_get_daemon_info(service->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (epoll == NULL)
        log_fatal("this libmicrohttpd cannot use epoll; use the one of Debian 12");
    service->ready = event_new(base, epoll->epoll_fd, EV_READ | EV_PERSIST, on_ready, service);
    service->due = evtimer_new(base, on_ready, service);
    if (service->ready == NULL || service->due == NULL)
        log_fatal("cannot watch the HTTP sockets");
}

struct http *http_new(struct event_base *base, const struct route *routes, size_t count,
                      struct admin *admin)
{
    struct http *http = xcalloc(1, sizeof(*http));
    int fd;

    http->routes = routes;
    http->route_count = count;
    http->admin = admin;
    while (http->service_count < SERVICES_MAX &&
           (fd = child_descriptor("http", http->service_count)) >= 0) {
        service_init(&http->services[http->service_count], http, base, fd);
        http->service_count++;
    }
    if (http->service_count == 0)
        log_fatal("there is no socket named http; start it with \"bellhop -C DIR serve\"");
    return http;
}

void http_open(struct http *http)
{
    for (unsigned i = 0; i < http->service_count; i++)
        if (event_add(http->services[i].ready, NULL) < 0)
            log_fatal("cannot watch the HTTP sockets");
}

void http_retire(struct http *http, void (*idle)(void *context), void *context)
{
    http->idle = idle;
    http->idle_context = context;
    for (unsigned i = 0; i < http->service_count; i++) {
        (void)MHD_quiesce_daemon(http->services[i].daemon);
        event_active(http->services[i].due, EV_TIMEOUT, 0);
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
        event_free(service->due);
        MHD_stop_daemon(service->daemon);
    }
    free(http);
}
