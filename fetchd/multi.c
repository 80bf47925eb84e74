#include <event2/event.h>
#include <stdlib.h>

#include "fetchd/multi.h"
#include "lib/log.h"
#include "lib/xalloc.h"

struct multi {
    struct event_base *base;
    CURLM *handle;
    struct event *timer;
    void (*done)(CURL *easy, CURLcode code);
};

static void take_ended(struct multi *multi)
{
    const CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(multi->handle, &left)) != NULL)
        if (message->msg == CURLMSG_DONE)
            multi->done(message->easy_handle, message->data.result);
}

static void act(struct multi *multi, curl_socket_t fd, int what)
{
    int running;

    curl_multi_socket_action(multi->handle, fd, what, &running);
    take_ended(multi);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    act(context, CURL_SOCKET_TIMEOUT, 0);
}

static void on_socket(evutil_socket_t fd, short what, void *context)
{
    const int in = (what & EV_READ) != 0 ? CURL_CSELECT_IN : 0;
    const int out = (what & EV_WRITE) != 0 ? CURL_CSELECT_OUT : 0;

    act(context, fd, in | out);
}

/* `watched` is the socket's event, which libcurl keeps for us. */
static int watch(CURL *easy, curl_socket_t fd, int what, void *context, void *watched)
{
    struct multi *multi = context;
    struct event *event = watched;
    (void)easy;

    if (event != NULL)
        event_free(event);
    event = NULL;
    if (what != CURL_POLL_REMOVE) {
        const short in = (what & CURL_POLL_IN) != 0 ? EV_READ : 0;
        const short out = (what & CURL_POLL_OUT) != 0 ? EV_WRITE : 0;
        event = event_new(multi->base, fd, (short)(in | out | EV_PERSIST), on_socket, multi);
        if (event == NULL || event_add(event, NULL) < 0)
            log_fatal("cannot watch a socket: out of memory");
    }
    curl_multi_assign(multi->handle, fd, event);
    return 0;
}

static int set_timer(CURLM *handle, long milliseconds, void *context)
{
    const struct timeval delay = {.tv_sec = milliseconds / 1000,
                                  .tv_usec = milliseconds % 1000 * 1000};
    struct multi *multi = context;
    (void)handle;

    if (milliseconds < 0)
        event_del(multi->timer);
    else if (event_add(multi->timer, &delay) < 0)
        log_fatal("cannot set a timer: out of memory");
    return 0;
}

struct multi *multi_new(struct event_base *base, void (*done)(CURL *easy, CURLcode code))
{
    struct multi *multi = xcalloc(1, sizeof(*multi));

    multi->base = base;
    multi->done = done;
    multi->timer = evtimer_new(base, on_timer, multi);
    multi->handle = curl_multi_init();
    if (multi->timer == NULL || multi->handle == NULL)
        log_fatal("libcurl does not start");
    curl_multi_setopt(multi->handle, CURLMOPT_SOCKETFUNCTION, watch);
    curl_multi_setopt(multi->handle, CURLMOPT_SOCKETDATA, multi);
    curl_multi_setopt(multi->handle, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(multi->handle, CURLMOPT_TIMERDATA, multi);
    return multi;
}

void multi_free(struct multi *multi)
{
    if (multi == NULL)
        return;
    curl_multi_cleanup(multi->handle);
    event_free(multi->timer);
    free(multi);
}

int multi_add(struct multi *multi, CURL *easy)
{
    return curl_multi_add_handle(multi->handle, easy) == CURLM_OK ? 0 : -1;
}

void multi_remove(struct multi *multi, CURL *easy)
{
    curl_multi_remove_handle(multi->handle, easy);
}
