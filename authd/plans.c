#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "authd/check.h"
#include "authd/client.h"
#include "authd/listener.h"
#include "authd/plans.h"
#include "db/plan.h"
#include "lib/log.h"
#include "lib/xalloc.h"

/* How long what is announced may be out of date. The query takes some microseconds. */
static const struct timeval interval = {.tv_sec = 2};

struct plans {
    struct checker *checker;
    struct listener *listener;
    struct event *timer;
    bool known; /* they have been read once */
    bool tokens;
    struct db_plan_range range;
};

void plans_tell(const struct plans *plans, struct client *client)
{
    const struct db_plan_range *range = &plans->range;

    if (plans->known)
        client_answer(client, "PLANS\tretention=%u,%u\tpoll=%u,%u\ttokens=%s\n",
                      range->retention_least, range->retention_most, range->poll_least,
                      range->poll_most, plans->tokens ? "yes" : "no");
}

static void tell(void *context, struct client *client)
{
    plans_tell(context, client);
}

/* Whether they are others than before. What cannot be read is as it was. */
static bool look(struct plans *plans)
{
    struct db_plan_range range = {0};

    const int tokens = checker_takes_tokens(plans->checker);
    if (checker_plans(plans->checker, &range) < 0 || tokens < 0)
        return false;
    if (plans->known && plans->tokens == (tokens == 1) &&
        memcmp(&range, &plans->range, sizeof(range)) == 0)
        return false;
    plans->range = range;
    plans->tokens = tokens == 1;
    plans->known = true;
    return true;
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    struct plans *plans = context;
    (void)fd;
    (void)what;

    if (look(plans))
        listener_each(plans->listener, tell, plans);
}

struct plans *plans_new(struct event_base *base, struct checker *checker)
{
    struct plans *plans = xcalloc(1, sizeof(*plans));

    plans->checker = checker;
    plans->timer = event_new(base, -1, EV_PERSIST, on_timer, plans);
    if (plans->timer == NULL)
        log_fatal("out of memory");
    (void)look(plans);
    return plans;
}

void plans_watch(struct plans *plans, struct listener *listener)
{
    plans->listener = listener;
    if (event_add(plans->timer, &interval) < 0)
        log_fatal("out of memory");
}

void plans_free(struct plans *plans)
{
    if (plans == NULL)
        return;
    event_free(plans->timer);
    free(plans);
}
