#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "admin/change.h"
#include "admin/field.h"
#include "admin/page.h"
#include "admin/problem.h"
#include "admin/statistics.h"
#include "admin/usageask.h"
#include "db/statistics.h"
#include "lib/metrics.h"
#include "lib/xalloc.h"

const struct parameter statistics_parameters[] = {
    {.name = "days",
     .about = "how many days back events are counted, 1 to 30; 7 if it is not said"},
    {0}};

static int take_days(struct request *request, unsigned *days_r)
{
    char *text = page_parameter(request, "days");
    unsigned long days = DB_STATISTICS_DAYS;

    if (request->answer.status != 0)
        return -1;
    if (text != NULL)
        days = strlen(text) <= 2 && text[strspn(text, "0123456789")] == '\0'
                   ? strtoul(text, NULL, 10)
                   : 0;
    free(text);
    *days_r = (unsigned)days;
    if (days >= 1 && days <= DB_STATISTICS_DAYS_MAX)
        return 0;
    problem_set(request, PROBLEM_QUERY, "\"days\" is a number from 1 to %d",
                DB_STATISTICS_DAYS_MAX);
    return -1;
}

/* The object takes its two members of events. */
static json_t *with_events(json_t *object, const struct db_event_counts *events)
{
    json_t *counts = json_object();

    for (unsigned kind = 0; kind < DB_EVENT__MAX; kind++)
        json_object_set_new(counts, db_event_kind_name((enum db_event_kind)kind),
                            json_integer((json_int_t)events->count[kind]));
    json_object_set_new(object, "events_since", field_format_time(events->since));
    json_object_set_new(object, "events", counts);
    return object;
}

/* --- one customer */

struct asking {
    struct db_customer_statistics statistics;
    struct usageask ask; /* of statistics.limits, in that order */
};

static json_t *customer_object(const struct db_customer_statistics *statistics)
{
    const struct db_customer *customer = &statistics->customer;

    return with_events(
        json_pack("{sI ss ss s{si si} s{si si} si si si si si sI sI si}", "customer",
                  (json_int_t)customer->id, "customer_name", customer->name, "plan", customer->plan,
                  "domains", "used", (int)customer->domains, "allowed",
                  (int)statistics->domains_allowed, "addresses", "used", (int)customer->addresses,
                  "allowed", (int)statistics->addresses_allowed, "mailboxes",
                  (int)statistics->mailboxes, "aliases", (int)statistics->aliases, "suspended",
                  (int)statistics->suspended, "over_plan", (int)statistics->over_plan, "invited",
                  (int)statistics->invited, "used_bytes", (json_int_t)statistics->used_octets,
                  "used_messages", (json_int_t)statistics->used_messages, "full",
                  (int)statistics->full),
        &statistics->events);
}

static void answer(struct usageask *ask)
{
    struct asking *asking = (struct asking *)((char *)ask - offsetof(struct asking, ask));
    struct db_customer_statistics *statistics = &asking->statistics;

    for (size_t i = 0; i < ask->count; i++)
        db_statistics_add_usage(statistics, i, ask->asked[i].usage.octets,
                                ask->asked[i].usage.messages);
    if (!ask->failed)
        page_show(ask->request, customer_object(statistics));
    free(asking);
}

void customer_statistics_show(struct admin *admin, struct request *request)
{
    unsigned days;

    if (take_days(request, &days) < 0)
        return;
    struct asking *asking = xcalloc(1, sizeof(*asking));
    struct db_customer_statistics *statistics = &asking->statistics;
    enum db_result result = db_statistics_customer(admin->db, request->customer, days, statistics);
    if (result != DB_OK) {
        free(asking);
        change_problem(request, admin->db, result);
        return;
    }
    for (size_t i = 0; i < statistics->mailboxes; i++)
        usageask_add(&asking->ask, statistics->limits[i].mailbox);
    usageask_run(&asking->ask, request, answer);
}

/* --- the host */

/* A gauge that a program takes away when it ends may be seen below zero for a moment. */
static json_t *gauge(enum metric metric)
{
    int64_t sum = metric_sum(metric);

    return json_integer(sum > 0 ? sum : 0);
}

struct host {
    struct request *request;
    struct counting counting;
};

static json_t *host_object(const struct db_host_statistics *statistics)
{
    return with_events(
        json_pack("{sI sI sI sI sI sI sI so so}", "customers", (json_int_t)statistics->customers,
                  "suspended", (json_int_t)statistics->customers_suspended, "domains",
                  (json_int_t)statistics->domains, "addresses", (json_int_t)statistics->addresses,
                  "mailboxes", (json_int_t)statistics->mailboxes, "aliases",
                  (json_int_t)(statistics->addresses - statistics->mailboxes), "removed",
                  (json_int_t)statistics->removals, "stored_bytes", gauge(METRIC_STORE_LIVE_OCTETS),
                  "sessions", gauge(METRIC_STORE_SESSIONS)),
        &statistics->events);
}

static void on_counted(struct counting *counting)
{
    struct host *host = (struct host *)((char *)counting - offsetof(struct host, counting));
    struct request *request = host->request;

    if (counting->result == DB_OK)
        page_show(request, host_object(&counting->statistics));
    else
        change_problem(request, request->admin->db, counting->result);
    free(host);
    request_send(request);
}

void host_statistics_show(struct admin *admin, struct request *request)
{
    unsigned days;

    if (take_days(request, &days) < 0)
        return;
    struct host *host = xcalloc(1, sizeof(*host));
    host->request = request;
    host->counting = (struct counting){.days = days, .done = on_counted};
    if (counter_submit(admin->counter, &host->counting) == 0)
        return;
    free(host);
    problem_set(request, PROBLEM_BUSY, "others wait for the same; try again");
    request->answer.retry_after = 1;
}
