#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "lib/acceptor.h"
#include "lib/log.h"
#include "lib/xalloc.h"
#include "lmtpd/inquiry.h"
#include "lmtpd/limits.h"
#include "lmtpd/policy.h"
#include "lmtpd/recipient.h"
#include "lmtpd/server.h"
#include "lmtpd/socketmap.h"
#include "lmtpd/transaction.h"

static const struct inquiry_protocol *const protocols[] = {&policy_protocol, &socketmap_protocol};

#define PROTOCOLS (sizeof(protocols) / sizeof(protocols[0]))

/* The acceptors of one socket's connections. */
struct entrance {
    struct inquiries *inquiries;
    const struct inquiry_protocol *protocol;
    struct acceptor *acceptor;
};

struct inquiries {
    struct event_base *base;
    const struct server *server;
    struct entrance entrances[PROTOCOLS];
    struct inquiry *all;
    unsigned count;
    bool serving;
    bool draining;
};

/* A connection, and the question that is open on it. */
struct inquiry {
    struct inquiries *inquiries;
    const struct inquiry_protocol *protocol;
    struct bufferevent *stream;
    bool open;  /* a question was taken and is not answered */
    bool busy;  /* within take_questions() */
    bool ended; /* the client has nothing more to ask, but reads the answers (Exim does so) */
    struct recipient_check *check;
    struct transaction *transaction; /* the one that RCPT would belong to */
    struct address recipient;
    void (*judged)(struct inquiry *inquiry, const struct address *recipient, enum reply reply);
    struct inquiry *prev, *next;
};

static void set_accepting(struct inquiries *inquiries)
{
    bool open = inquiries->serving && inquiries->count < INQUIRIES_MAX;

    for (size_t i = 0; i < PROTOCOLS; i++)
        acceptor_set_open(inquiries->entrances[i].acceptor, open);
}

static void inquiry_free(struct inquiry *inquiry)
{
    struct inquiries *inquiries = inquiry->inquiries;

    recipient_check_cancel(inquiry->check);
    transaction_free(inquiry->transaction);
    bufferevent_free(inquiry->stream);
    DL_DELETE(inquiries->all, inquiry);
    inquiries->count--;
    free(inquiry);
    set_accepting(inquiries);
}

const struct server *inquiry_server(const struct inquiry *inquiry)
{
    return inquiry->inquiries->server;
}

/* Whether nothing is left to do for it. */
static bool is_over(const struct inquiry *inquiry)
{
    return (inquiry->ended || inquiry->inquiries->draining) && !inquiry->open &&
           evbuffer_get_length(bufferevent_get_output(inquiry->stream)) == 0;
}

/* Works on what has come. The inquiry may be gone when this returns. */
static void take_questions(struct inquiry *inquiry)
{
    struct evbuffer *input = bufferevent_get_input(inquiry->stream);
    int taken = 1;

    inquiry->busy = true;
    while (!inquiry->open && taken > 0) {
        inquiry->open = true;
        taken = inquiry->protocol->take(inquiry, input);
        if (taken <= 0)
            inquiry->open = false;
    }
    inquiry->busy = false;
    if (taken < 0)
        log_warning("%s: a client breaks the protocol; its connection is closed",
                    inquiry->protocol->socket);
    if (taken < 0 || is_over(inquiry))
        inquiry_free(inquiry);
}

void inquiry_answer(struct inquiry *inquiry, const char *answer)
{
    inquiry->protocol->frame(bufferevent_get_output(inquiry->stream), answer, strlen(answer));
    inquiry->open = false;
}

static void on_checked(void *context, const char *address, enum reply reply)
{
    struct inquiry *inquiry = context;
    (void)address;

    inquiry->check = NULL;
    transaction_free(inquiry->transaction);
    inquiry->transaction = NULL;
    inquiry->judged(inquiry, &inquiry->recipient, reply);
    if (!inquiry->busy)
        take_questions(inquiry);
}

void inquiry_judge(struct inquiry *inquiry, const struct address *recipient, uint64_t declared,
                   void (*judged)(struct inquiry *inquiry, const struct address *recipient,
                                  enum reply reply))
{
    const struct server *server = inquiry->inquiries->server;

    inquiry->recipient = *recipient;
    inquiry->judged = judged;
    inquiry->transaction = transaction_new(server, NULL, "", 0, declared, true);
    inquiry->check = recipient_check_start(server, inquiry->transaction, &inquiry->recipient,
                                           on_checked, inquiry);
}

static void on_readable(struct bufferevent *stream, void *context)
{
    (void)stream;
    take_questions(context);
}

static void on_written(struct bufferevent *stream, void *context)
{
    struct inquiry *inquiry = context;
    (void)stream;

    if (is_over(inquiry))
        inquiry_free(inquiry);
}

static void on_event(struct bufferevent *stream, short what, void *context)
{
    struct inquiry *inquiry = context;
    (void)stream;

    inquiry->ended = true;
    if ((what & BEV_EVENT_EOF) == 0 || is_over(inquiry))
        inquiry_free(inquiry);
}

static void on_accept(void *context, int fd, const struct sockaddr *address)
{
    static const struct timeval idle = {.tv_sec = INQUIRY_IDLE_SECONDS};
    const struct entrance *entrance = context;
    struct inquiries *inquiries = entrance->inquiries;
    struct inquiry *inquiry = xcalloc(1, sizeof(*inquiry));
    (void)address;

    inquiry->inquiries = inquiries;
    inquiry->protocol = entrance->protocol;
    inquiry->stream = bufferevent_socket_new(inquiries->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (inquiry->stream == NULL)
        log_fatal("cannot watch a socket: out of memory");
    DL_APPEND(inquiries->all, inquiry);
    inquiries->count++;
    bufferevent_setcb(inquiry->stream, on_readable, on_written, on_event, inquiry);
    bufferevent_setwatermark(inquiry->stream, EV_READ, 0, INQUIRY_OCTETS_MAX);
    bufferevent_set_timeouts(inquiry->stream, &idle, &idle);
    bufferevent_enable(inquiry->stream, EV_READ | EV_WRITE);
    set_accepting(inquiries);
}

struct inquiries *inquiries_new(struct event_base *base, const struct server *server)
{
    struct inquiries *inquiries = xcalloc(1, sizeof(*inquiries));

    inquiries->base = base;
    inquiries->server = server;
    for (size_t i = 0; i < PROTOCOLS; i++) {
        struct entrance *entrance = &inquiries->entrances[i];
        entrance->inquiries = inquiries;
        entrance->protocol = protocols[i];
        entrance->acceptor = acceptor_new(base);
        acceptor_set_open(entrance->acceptor, false);
        acceptor_listen(entrance->acceptor, protocols[i]->socket, on_accept, entrance);
    }
    return inquiries;
}

void inquiries_serve(struct inquiries *inquiries)
{
    inquiries->serving = !inquiries->draining;
    set_accepting(inquiries);
}

void inquiries_drain(struct inquiries *inquiries)
{
    struct inquiry *inquiry, *next;

    inquiries->serving = false;
    inquiries->draining = true;
    set_accepting(inquiries);
    DL_FOREACH_SAFE(inquiries->all, inquiry, next)
    if (!inquiry->open)
        inquiry_free(inquiry);
}

void inquiries_free(struct inquiries *inquiries)
{
    if (inquiries == NULL)
        return;
    inquiries->serving = false;
    while (inquiries->all != NULL)
        inquiry_free(inquiries->all);
    for (size_t i = 0; i < PROTOCOLS; i++)
        acceptor_free(inquiries->entrances[i].acceptor);
    free(inquiries);
}
