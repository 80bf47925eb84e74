/* bellhop statistics: how much there is, and what has happened. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/accounts.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/listing.h"
#include "cli/statistics.h"

#define EVENT_COLUMNS                                                                              \
    {"events_since", "EVENTS SINCE", LISTING_TIME},                                                \
    {                                                                                              \
        "events", "EVENTS", LISTING_TEXT                                                           \
    }

static const struct listing_column customer_columns[] = {
    {"customer", "CUSTOMER", LISTING_TEXT},
    {"plan", "PLAN", LISTING_TEXT},
    {"domains", "DOMAINS", LISTING_NUMBER},
    {"domains_allowed", "DOMAINS ALLOWED", LISTING_NUMBER},
    {"addresses", "ADDRESSES", LISTING_NUMBER},
    {"addresses_allowed", "ADDRESSES ALLOWED", LISTING_NUMBER},
    {"mailboxes", "MAILBOXES", LISTING_NUMBER},
    {"aliases", "ALIASES", LISTING_NUMBER},
    {"suspended", "SUSPENDED", LISTING_NUMBER},
    {"over_plan", "OVER PLAN", LISTING_NUMBER},
    {"invited", "INVITED", LISTING_NUMBER},
    {"used_bytes", "USED", LISTING_SIZE},
    {"used_messages", "MESSAGES", LISTING_NUMBER},
    {"full", "FULL", LISTING_NUMBER},
    EVENT_COLUMNS,
    {0}};

static const struct listing_column host_columns[] = {{"customers", "CUSTOMERS", LISTING_NUMBER},
                                                     {"suspended", "SUSPENDED", LISTING_NUMBER},
                                                     {"domains", "DOMAINS", LISTING_NUMBER},
                                                     {"addresses", "ADDRESSES", LISTING_NUMBER},
                                                     {"mailboxes", "MAILBOXES", LISTING_NUMBER},
                                                     {"aliases", "ALIASES", LISTING_NUMBER},
                                                     {"removed", "REMOVED", LISTING_NUMBER},
                                                     EVENT_COLUMNS,
                                                     {0}};

enum db_result statistics_customer(struct db *db, uint64_t customer, unsigned days,
                                   struct db_customer_statistics *statistics_r,
                                   const char **trouble_r)
{
    struct usage usages[DB_PLAN_ADDRESSES_MAX];
    enum db_result result = db_statistics_customer(db, customer, days, statistics_r);

    *trouble_r = NULL;
    if (result != DB_OK || statistics_r->mailboxes == 0)
        return result;
    for (size_t i = 0; i < statistics_r->mailboxes; i++)
        usages[i] = (struct usage){.mailbox = statistics_r->limits[i].mailbox};
    *trouble_r = usage_ask(usages, statistics_r->mailboxes);
    for (size_t i = 0; i < statistics_r->mailboxes; i++)
        db_statistics_add_usage(statistics_r, i, usages[i].octets, usages[i].messages);
    return result;
}

/* --- what is shown */

static json_t *event_counts(const struct db_event_counts *events)
{
    json_t *counts = json_object();

    for (unsigned kind = 0; kind < DB_EVENT__MAX; kind++)
        json_object_set_new(counts, db_event_kind_name((enum db_event_kind)kind),
                            json_integer((json_int_t)events->count[kind]));
    return counts;
}

/* For people: "3 login, 1 refused", or null. */
static json_t *event_text(const struct db_event_counts *events)
{
    char text[DB_EVENT__MAX * 50] = "";
    size_t length = 0;

    for (unsigned kind = 0; kind < DB_EVENT__MAX; kind++)
        if (events->count[kind] > 0)
            length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%" PRIu64 " %s",
                                       length > 0 ? ", " : "", events->count[kind],
                                       db_event_kind_name((enum db_event_kind)kind));
    return listing_text(text);
}

static void show(json_t *row, const struct listing_column *columns,
                 const struct db_event_counts *events, bool json)
{
    json_object_set_new(row, "events_since", listing_time(events->since));
    json_object_set_new(row, "events", json ? event_counts(events) : event_text(events));
    listing_print_one(row, columns, json);
}

static json_t *used(const char *trouble, uint64_t number)
{
    return trouble != NULL ? json_null() : json_integer((json_int_t)number);
}

static int show_customer(struct db *db, uint64_t customer, bool json)
{
    struct db_customer_statistics found;
    const char *trouble;
    enum db_result result =
        accounts->statistics_customer(db, customer, DB_STATISTICS_DAYS, &found, &trouble);

    if (database_result(db, result) == DB_NONE)
        return refuse("the customer was removed just now");
    if (result != DB_OK)
        return EXIT_REFUSED;
    show(json_pack("{ss ss si si si si si si si si si so so so}", "customer", found.customer.name,
                   "plan", found.customer.plan, "domains", (int)found.customer.domains,
                   "domains_allowed", (int)found.domains_allowed, "addresses",
                   (int)found.customer.addresses, "addresses_allowed", (int)found.addresses_allowed,
                   "mailboxes", (int)found.mailboxes, "aliases", (int)found.aliases, "suspended",
                   (int)found.suspended, "over_plan", (int)found.over_plan, "invited",
                   (int)found.invited, "used_bytes", used(trouble, found.used_octets),
                   "used_messages", used(trouble, found.used_messages), "full",
                   used(trouble, found.full)),
         customer_columns, &found.events, json);
    if (trouble != NULL)
        (void)refuse("how full mailboxes are is unknown, %s", trouble);
    return EXIT_DONE;
}

static int show_host(struct db *db, bool json)
{
    struct db_host_statistics found;
    enum db_result result = accounts->operator_statistics(db, DB_STATISTICS_DAYS, &found);

    if (database_result(db, result) != DB_OK)
        return EXIT_REFUSED;
    show(json_pack("{sI sI sI sI sI sI sI}", "customers", (json_int_t)found.customers, "suspended",
                   (json_int_t)found.customers_suspended, "domains", (json_int_t)found.domains,
                   "addresses", (json_int_t)found.addresses, "mailboxes",
                   (json_int_t)found.mailboxes, "aliases",
                   (json_int_t)(found.addresses - found.mailboxes), "removed",
                   (json_int_t)found.removals),
         host_columns, &found.events, json);
    return EXIT_DONE;
}

static int list(struct instance *instance, struct db *db, const struct db_customer *customer,
                bool json)
{
    (void)instance;
    accounts->events_flush();
    return customer != NULL ? show_customer(db, customer->id, json) : show_host(db, json);
}

int statistics_main(struct instance *instance, int argc, char **argv)
{
    return database_listing(instance, argc, argv, list);
}
