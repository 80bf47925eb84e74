/* bellhop auth events: what happened with credentials. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/accounts.h"
#include "cli/address.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/listing.h"
#include "db/event.h"

/* As many as a person looks through, unless it is said since when. */
#define NEWEST 1000

/* Whose events, and which. */
struct wanted {
    const char *address;  /* NULL: all addresses */
    const char *customer; /* NULL: all customers */
    uint64_t since;       /* seconds since 1970; 0: the newest ones */
    bool json;
};

static const struct listing_column columns[] = {{"first", "FIRST", LISTING_TIME},
                                                {"last", "LAST", LISTING_TIME},
                                                {"count", "COUNT", LISTING_NUMBER},
                                                {"event", "EVENT", LISTING_TEXT},
                                                {"address", "ADDRESS", LISTING_TEXT},
                                                {"remote", "FROM", LISTING_TEXT},
                                                {"protocol", "PROTOCOL", LISTING_TEXT},
                                                {"mechanism", "MECHANISM", LISTING_TEXT},
                                                {"credential", "CREDENTIAL", LISTING_TEXT},
                                                {"reason", "REASON", LISTING_TEXT},
                                                {0}};

static json_t *event_row(const struct db_event *event)
{
    return json_pack(
        "{so so sI ss so so so so so so so}", "first", listing_time(event->id / 1000000), "last",
        listing_time(event->time), "count", (json_int_t)event->count, "event",
        db_event_kind_name(event->kind), "customer", listing_text(event->customer_name), "address",
        listing_text(event->address), "remote", listing_text(event->remote), "protocol",
        listing_text(event->protocol), "mechanism", listing_text(event->mechanism), "credential",
        listing_text(event->credential), "reason", listing_text(event->reason));
}

/* Rows are in the order of their first time; the last one may be later by DB_EVENT_SPAN. */
static bool is_before_all(const struct db_event *event, uint64_t since)
{
    return event->id / 1000000 + DB_EVENT_SPAN < since;
}

static int list_events(struct db *db, const struct wanted *wanted, uint64_t customer,
                       uint64_t mailbox)
{
    struct db_event event = {0};
    json_t *rows = json_array();
    enum db_result result = DB_OK;

    while (wanted->since > 0 || json_array_size(rows) < NEWEST) {
        result = customer == 0  ? accounts->operator_event_next(db, &event)
                 : mailbox == 0 ? accounts->event_next(db, customer, &event)
                                : accounts->event_mailbox_next(db, customer, mailbox, &event);
        if (result != DB_OK || is_before_all(&event, wanted->since))
            break;
        if (event.time >= wanted->since)
            json_array_append_new(rows, event_row(&event));
    }
    return database_list_end(db, result == DB_OK ? DB_NONE : result, rows, columns, wanted->json);
}

static int list_wanted(struct db *db, const struct wanted *wanted)
{
    struct db_mailaddress found;
    struct db_customer customer = {0};
    struct address address;

    if (wanted->address != NULL) {
        if (address_argument(&address, wanted->address) != EXIT_DONE ||
            address_lookup_mailbox(db, &address, &found) != EXIT_DONE)
            return EXIT_REFUSED;
        return list_events(db, wanted, found.customer, found.mailbox);
    }
    if (wanted->customer != NULL && database_customer(db, wanted->customer, &customer) != EXIT_DONE)
        return EXIT_REFUSED;
    return list_events(db, wanted, customer.id, 0);
}

static int parse(struct wanted *wanted_r, int argc, char **argv)
{
    static const struct option options[] = {{"customer", required_argument, NULL, 'c'},
                                            {"since", required_argument, NULL, 's'},
                                            {"json", no_argument, NULL, 'j'},
                                            {0}};
    int option;

    while ((option = command_option(argc, argv, options)) != -1)
        switch (option) {
        case 'c': wanted_r->customer = optarg; break;
        case 's':
            if (command_moment(optarg, &wanted_r->since) != 0)
                return EXIT_USAGE;
            break;
        case 'j': wanted_r->json = true; break;
        default: return EXIT_USAGE;
        }
    if (command_arguments(argc, argv, 0, 1) != 0)
        return EXIT_USAGE;
    wanted_r->address = optind < argc ? argv[optind] : NULL;
    if (wanted_r->address != NULL && wanted_r->customer != NULL)
        return wrong_usage("an address is one customer's; leave --customer away");
    return 0;
}

int auth_events_main(struct instance *instance, int argc, char **argv)
{
    struct wanted wanted = {0};

    if (parse(&wanted, argc, argv) != 0)
        return EXIT_USAGE;
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    accounts->events_flush();
    int done = list_wanted(db, &wanted);
    accounts->close(db);
    return done;
}
