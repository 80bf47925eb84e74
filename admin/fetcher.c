#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "admin/fetcher.h"
#include "lib/channel.h"
#include "lib/log.h"
#include "lib/xalloc.h"

#define FETCHD_PATH "run/fetchd.sock"

/* Seconds beyond those that fetchd is given: then it hangs. */
#define PATIENCE 5

struct pending {
    struct pending *prev;
    struct pending *next;
    struct fetcher *fetcher;
    uint32_t id;
    struct fetcher_caller caller;
    struct event *late;
};

struct fetcher {
    struct event_base *base;
    struct channel *channel; /* NULL: not connected */
    struct pending *pendings;
    uint32_t last_id;
};

static void pending_free(struct pending *pending)
{
    DL_DELETE(pending->fetcher->pendings, pending);
    event_free(pending->late);
    free(pending);
}

static void pending_end(struct pending *pending, const struct fetcher_answer *answer)
{
    const struct fetcher_caller caller = pending->caller;

    pending_free(pending);
    caller.done(caller.context, answer);
}

static void give_up(struct pending *pending)
{
    static const char away[] = "the program that asks other machines is away; try again";

    pending_end(pending, &(struct fetcher_answer){FETCH_BUSY, 0, away, strlen(away)});
}

static void on_late(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    give_up(context);
}

static int on_message(void *context, const struct channel_message *message)
{
    struct fetcher *fetcher = context;
    struct fetch_answer fixed;
    struct pending *pending;

    if (message->type != FETCH_ANSWER || message->length < sizeof(fixed))
        return -1;
    memcpy(&fixed, message->payload, sizeof(fixed));
    if (fixed.result >= FETCH_RESULT__MAX)
        return -1;
    DL_SEARCH_SCALAR(fetcher->pendings, pending, id, message->id);
    if (pending != NULL) /* else it has been given up */
        pending_end(pending,
                    &(struct fetcher_answer){(enum fetch_result)fixed.result, fixed.status,
                                             (const char *)message->payload + sizeof(fixed),
                                             message->length - sizeof(fixed)});
    return 0;
}

/* What is asked from within the callbacks goes over a new connection. */
static void on_closed(void *context)
{
    struct fetcher *fetcher = context;
    const uint32_t last = fetcher->last_id;
    struct pending *pending;
    struct pending *next;

    channel_free(fetcher->channel);
    fetcher->channel = NULL;
    DL_FOREACH_SAFE(fetcher->pendings, pending, next)
    {
        if ((int32_t)(pending->id - last) <= 0)
            give_up(pending);
    }
}

static const struct channel_events events = {.message = on_message, .closed = on_closed};

struct fetcher *fetcher_new(struct event_base *base)
{
    struct fetcher *fetcher = xcalloc(1, sizeof(*fetcher));

    fetcher->base = base;
    return fetcher;
}

void fetcher_free(struct fetcher *fetcher)
{
    if (fetcher == NULL)
        return;
    while (fetcher->pendings != NULL)
        pending_free(fetcher->pendings);
    channel_free(fetcher->channel);
    free(fetcher);
}

/* What others chose; the rest is the caller's to know. */
static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++)
        if ((*text < ' ' && *text != '\n') || *text > '~')
            return false;
    return true;
}

static bool is_allowed(const struct fetcher_request *request)
{
    const char *headers = request->headers != NULL ? request->headers : "";
    const size_t url = strlen(request->url);

    return url > 0 && url <= FETCH_URL_MAX && strlen(headers) <= FETCH_HEADERS_MAX &&
           strchr(request->url, '\n') == NULL && is_printable(request->url) &&
           is_printable(headers) && headers[0] != '\n' && strstr(headers, "\n\n") == NULL;
}

static void add(uint8_t **at, const void *octets, size_t length)
{
    if (length > 0)
        memcpy(*at, octets, length);
    *at += length;
}

static void send_ask(struct fetcher *fetcher, uint32_t id, const struct fetcher_request *request)
{
    const char *headers = request->headers != NULL ? request->headers : "";
    const struct fetch_ask fixed = {.method = request->method,
                                    .seconds = request->seconds,
                                    .answer_max = (uint32_t)request->answer_max,
                                    .url_length = (uint32_t)strlen(request->url),
                                    .header_length = (uint32_t)strlen(headers),
                                    .body_length = (uint32_t)request->body_length};
    const size_t length =
        sizeof(fixed) + fixed.url_length + fixed.header_length + fixed.body_length;

    uint8_t *at = channel_begin(fetcher->channel, length);
    add(&at, &fixed, sizeof(fixed));
    add(&at, request->url, fixed.url_length);
    add(&at, headers, fixed.header_length);
    add(&at, request->body, fixed.body_length);
    channel_end(fetcher->channel, FETCH_ASK, id, length);
}

int fetcher_ask(struct fetcher *fetcher, const struct fetcher_request *request,
                struct fetcher_caller caller)
{
    struct timeval limit = {.tv_sec = (time_t)request->seconds + PATIENCE};

    if (!is_allowed(request))
        return -1;
    struct pending *pending = xcalloc(1, sizeof(*pending));
    pending->fetcher = fetcher;
    pending->id = ++fetcher->last_id;
    pending->caller = caller;
    pending->late = evtimer_new(fetcher->base, on_late, pending);
    DL_APPEND(fetcher->pendings, pending);
    if (fetcher->channel == NULL)
        fetcher->channel = channel_connect(fetcher->base, FETCHD_PATH, &events, fetcher);
    if (fetcher->channel != NULL)
        send_ask(fetcher, pending->id, request);
    else
        limit.tv_sec = 0;
    if (pending->late == NULL || event_add(pending->late, &limit) < 0)
        log_fatal("cannot set a time limit: out of memory");
    return 0;
}

void fetcher_cancel(struct fetcher *fetcher, const void *context)
{
    struct pending *pending;
    struct pending *next;

    DL_FOREACH_SAFE(fetcher->pendings, pending, next)
    {
        if (pending->caller.context != context)
            continue;
        if (fetcher->channel != NULL)
            channel_send(fetcher->channel, FETCH_CANCEL, pending->id, NULL, 0, NULL, 0);
        pending_free(pending);
    }
}
