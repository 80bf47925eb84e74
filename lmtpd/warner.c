#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "lib/child.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/xalloc.h"
#include "lmtpd/limits.h"
#include "lmtpd/transaction.h"
#include "lmtpd/warner.h"

/* Seconds. */
#define PAUSE 1

struct waiting {
    struct letter letter;
    uint32_t until;
    struct waiting *prev, *next;
};

struct warner {
    const struct server *server;
    struct event *tick;
    struct waiting *queue; /* the first is being delivered where there is a transaction */
    unsigned count;
    unsigned expected;
    bool overflowed; /* told, since the queue was empty */
    struct transaction *transaction;
    void (*idle)(void *context);
    void *context;
    char texts[LANGUAGE__MAX][NOTICE_TEXT_MAX];
    struct notice notices[LANGUAGE__MAX]; /* in texts, or built-in */
};

/* The supervisor has checked what it hands on. */
void warner_reload(struct warner *warner)
{
    char error[256];

    for (unsigned i = 0; i < LANGUAGE__MAX; i++) {
        int fd = child_descriptor("text", i);
        long length = fd >= 0 ? child_read(fd, warner->texts[i], NOTICE_TEXT_MAX) : -1;
        const char *builtin = notice_builtin((enum language)i);
        if (length >= 0 && notice_parse(&warner->notices[i], warner->texts[i], (size_t)length,
                                        error, sizeof(error)) == 0)
            continue;
        if (notice_parse(&warner->notices[i], builtin, strlen(builtin), error, sizeof(error)) < 0)
            log_panic("the built-in text for %s: %s", language_code((enum language)i), error);
    }
}

bool warner_is_idle(const struct warner *warner)
{
    return warner->count == 0 && warner->expected == 0;
}

static void go_on(struct warner *warner, time_t pause)
{
    const struct timeval interval = {.tv_sec = pause};

    if (event_add(warner->tick, &interval) < 0)
        log_fatal("cannot set a timer: out of memory");
}

static void tell_idle(struct warner *warner)
{
    if (warner->count == 0)
        warner->overflowed = false;
    if (warner_is_idle(warner) && warner->idle != NULL)
        warner->idle(warner->context);
}

/* The first has been dealt with. */
static void leave_first(struct warner *warner)
{
    struct waiting *first = warner->queue;

    DL_DELETE(warner->queue, first);
    free(first);
    if (--warner->count > 0)
        go_on(warner, 0);
    tell_idle(warner);
}

/* The first cannot be delivered now; others may be. */
static void try_again(struct warner *warner)
{
    struct waiting *first = warner->queue;

    if (clock_seconds() >= first->until) {
        log_error("gave up warning mailbox=%" PRIu64 " that it is nearly full, as it could not be "
                  "delivered for %d s",
                  first->letter.mailbox, WARNING_SECONDS);
        leave_first(warner);
        return;
    }
    DL_DELETE(warner->queue, first);
    DL_APPEND(warner->queue, first);
    go_on(warner, PAUSE);
}

static void on_delivered(void *context)
{
    struct warner *warner = context;
    char class = reply_class(transaction_reply(warner->transaction, 0));

    if (class != '4')
        transaction_log(warner->transaction, "quota-warning");
    transaction_free(warner->transaction);
    warner->transaction = NULL;
    if (class == '2')
        metric_add(METRIC_QUOTA_WARNINGS, 1);
    if (class == '4')
        try_again(warner);
    else
        leave_first(warner);
}

static void deliver(struct warner *warner, const struct db_owner *owner)
{
    const struct letter *letter = &warner->queue->letter;
    const struct server *server = warner->server;
    const struct db_route route = {
        .mailbox = letter->mailbox,
        .quota_octets = UINT64_MAX,
        .quota_messages = UINT64_MAX,
        .message_octets_max = UINT64_MAX,
    };
    size_t length;
    char *message = letter_format(letter, owner, &warner->notices[owner->language],
                                  server->conf->hostname, time(NULL), &length);

    warner->transaction = transaction_new(server, NULL, "", 0, length, false);
    (void)transaction_add(warner->transaction, owner->address.text, &route, 1);
    transaction_begin(warner->transaction, message, length);
    free(message);
    transaction_end(warner->transaction, on_delivered, warner);
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    struct warner *warner = context;
    struct db_owner owner;
    (void)fd;
    (void)what;

    if (warner->queue == NULL || warner->transaction != NULL)
        return;
    switch (db_owner_find(warner->server->db, warner->queue->letter.mailbox, &owner)) {
    case DB_OK: deliver(warner, &owner); break;
    case DB_NONE: leave_first(warner); break; /* the mailbox has been removed */
    default: try_again(warner);
    }
}

struct warner *warner_new(struct event_base *base, const struct server *server,
                          void (*idle)(void *context), void *context)
{
    struct warner *warner = xcalloc(1, sizeof(*warner));

    warner->server = server;
    warner->idle = idle;
    warner->context = context;
    warner->tick = evtimer_new(base, on_tick, warner);
    if (warner->tick == NULL)
        log_fatal("cannot make a timer: out of memory");
    warner_reload(warner);
    return warner;
}

void warner_free(struct warner *warner)
{
    struct waiting *waiting, *next;

    if (warner == NULL)
        return;
    if (warner->count > 0)
        log_warning("%u mailboxes are not warned that they are nearly full: the service ends",
                    warner->count);
    DL_FOREACH_SAFE(warner->queue, waiting, next)
    free(waiting);
    transaction_free(warner->transaction);
    event_free(warner->tick);
    free(warner);
}

void warner_add(struct warner *warner, const struct letter *letter)
{
    if (warner->count == WARNINGS_MAX) {
        if (!warner->overflowed)
            log_error("%d warnings wait; further mailboxes that are nearly full are not told",
                      WARNINGS_MAX);
        warner->overflowed = true;
        return;
    }
    struct waiting *waiting = xcalloc(1, sizeof(*waiting));
    waiting->letter = *letter;
    waiting->until = clock_seconds() + WARNING_SECONDS;
    DL_APPEND(warner->queue, waiting);
    if (warner->count++ == 0)
        go_on(warner, 0);
}

void warner_expect(struct warner *warner)
{
    warner->expected++;
}

void warner_expect_end(struct warner *warner)
{
    warner->expected--;
    tell_idle(warner);
}
