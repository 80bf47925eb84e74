/* The commands about webhooks. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "cli/accounts.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/listing.h"
#include "cli/moment.h"
#include "cli/number.h"
#include "db/webhook.h"

static const struct listing_column columns[] = {
    {"id", "ID", LISTING_NUMBER},         {"customer", "CUSTOMER", LISTING_TEXT},
    {"url", "URL", LISTING_TEXT},         {"events", "EVENTS", LISTING_TEXT},
    {"cursor", "CURSOR", LISTING_NUMBER}, {"failing", "FAILING SINCE", LISTING_TIME},
    {"next", "NEXT TRY", LISTING_TIME},   {"disabled", "OFF SINCE", LISTING_TIME},
    {"failure", "WHY", LISTING_TEXT},     {0}};

/* NULL is good. */
static int check(const char *url, const char *events)
{
    char events_error[DB_EVENTTYPE_ERROR_SIZE];
    const char *error;

    if (url != NULL && db_webhook_url_check(url, &error) < 0)
        return refuse("%s", error);
    if (events != NULL && db_webhook_events_check(events, events_error) < 0)
        return refuse("%s", events_error);
    return EXIT_DONE;
}

/* --- add */

static int show(uint64_t id, const char *secret, bool json)
{
    if (json)
        printf("{\"id\": %" PRIu64 ", \"secret\": \"%s\"}\n", id, secret);
    else
        printf("webhook %" PRIu64 "\n%s\n", id, secret);
    return EXIT_DONE;
}

static int add(struct db *db, const struct db_customer *customer, const char *url,
               const char *events, bool json)
{
    char secret[SIGNATURE_TEXT_SIZE];
    uint64_t id;
    int done = EXIT_REFUSED;

    enum db_result result = accounts->webhook_draw(db, customer->id, url, events, &id, secret);
    switch (result) {
    case DB_OK: done = show(id, secret, json); break;
    case DB_TAKEN:
        refuse("there is a webhook with this URL already; \"bellhop webhook list\" shows it");
        break;
    case DB_LIMIT:
        refuse("there are %d webhooks, and there can be no more", DB_WEBHOOKS_MAX);
        break;
    case DB_NONE: refuse("the customer \"%s\" was removed just now", customer->name); break;
    default: database_result(db, result);
    }
    sodium_memzero(secret, sizeof(secret));
    return done;
}

int webhook_add_main(struct instance *instance, int argc, char **argv)
{
    static const struct option options[] = {{"customer", required_argument, NULL, 'c'},
                                            {"events", required_argument, NULL, 'e'},
                                            {"json", no_argument, NULL, 'j'},
                                            {0}};
    struct db_customer customer = {0};
    const char *name = NULL;
    const char *events = "*";
    bool json = false;
    int option;

    while ((option = command_option(argc, argv, options)) != -1)
        switch (option) {
        case 'c': name = optarg; break;
        case 'e': events = optarg; break;
        case 'j': json = true; break;
        default: return EXIT_USAGE;
        }
    if (command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    if (check(argv[optind], events) != EXIT_DONE)
        return EXIT_REFUSED;
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = EXIT_DONE;
    if (name != NULL)
        done = database_customer(db, name, &customer);
    if (done == EXIT_DONE)
        done = add(db, &customer, argv[optind], events, json);
    accounts->close(db);
    return done;
}

/* --- list */

static json_t *webhook_row(const struct db_webhook *webhook)
{
    bool failing = webhook->failing != 0;

    return json_pack("{sI so ss ss sI so so so so so}", "id", (json_int_t)webhook->id, "customer",
                     listing_text(webhook->customer_name), "url", webhook->url, "events",
                     webhook->events, "cursor", (json_int_t)webhook->cursor, "created",
                     listing_time(webhook->created), "failing", listing_time(webhook->failing),
                     "next", listing_time(webhook->disabled == 0 ? webhook->next : 0), "disabled",
                     listing_time(webhook->disabled), "failure",
                     listing_text(failing ? webhook->failure : ""));
}

static int list(struct instance *instance, struct db *db, const struct db_customer *customer,
                bool json)
{
    struct db_webhook webhook = {0};
    enum db_result result;
    (void)instance;

    json_t *rows = json_array();
    while ((result = customer != NULL ? accounts->webhook_next(db, customer->id, &webhook)
                                      : accounts->operator_webhook_next(db, &webhook)) == DB_OK)
        json_array_append_new(rows, webhook_row(&webhook));
    return database_list_end(db, result, rows, columns, json);
}

int webhook_list_main(struct instance *instance, int argc, char **argv)
{
    return database_listing(instance, argc, argv, list);
}

/* --- changes */

static int find(struct db *db, const char *text, struct db_webhook *webhook_r)
{
    uint64_t id;

    if (number_parse(text, 1, INT64_MAX, &id) < 0)
        return refuse("\"%s\" is no webhook's number; \"bellhop webhook list\" shows them", text);
    enum db_result result = database_result(db, accounts->operator_webhook_find(db, id, webhook_r));
    if (result == DB_NONE)
        refuse("there is no webhook %s; \"bellhop webhook list\" shows them", text);
    return result == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}

static int end(const struct db *db, enum db_result result, const char *text)
{
    if (result == DB_TAKEN)
        return refuse(
            "there is a webhook with this URL already; \"bellhop webhook list\" shows it");
    if (database_result(db, result) == DB_NONE)
        refuse("the webhook %s was removed just now", text);
    return result == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}

/* Does this to the one webhook that is named. */
static int change(struct instance *instance, const char *text,
                  enum db_result (*make)(struct db *db, const struct db_webhook *webhook,
                                         void *context),
                  void *context)
{
    struct db_webhook webhook = {0};
    struct db *db = instance_open_database(instance);

    if (db == NULL)
        return EXIT_REFUSED;
    int done = find(db, text, &webhook);
    if (done == EXIT_DONE)
        done = end(db, make(db, &webhook, context), text);
    accounts->close(db);
    return done;
}

static int change_only(struct instance *instance, int argc, char **argv,
                       enum db_result (*make)(struct db *db, const struct db_webhook *webhook,
                                              void *context))
{
    static const struct option none[] = {{0}};

    if (command_option(argc, argv, none) != -1 || command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    return change(instance, argv[optind], make, NULL);
}

static enum db_result make_removal(struct db *db, const struct db_webhook *webhook, void *context)
{
    (void)context;
    return accounts->webhook_remove(db, webhook->customer, webhook->id);
}

int webhook_remove_main(struct instance *instance, int argc, char **argv)
{
    return change_only(instance, argc, argv, make_removal);
}

static enum db_result make_enabled(struct db *db, const struct db_webhook *webhook, void *context)
{
    static const bool on = true;
    (void)context;

    return accounts->webhook_set(db, webhook->customer, webhook->id, NULL, NULL, &on);
}

int webhook_enable_main(struct instance *instance, int argc, char **argv)
{
    return change_only(instance, argc, argv, make_enabled);
}

static enum db_result make_disabled(struct db *db, const struct db_webhook *webhook, void *context)
{
    static const bool off = false;
    (void)context;

    return accounts->webhook_set(db, webhook->customer, webhook->id, NULL, NULL, &off);
}

int webhook_disable_main(struct instance *instance, int argc, char **argv)
{
    return change_only(instance, argc, argv, make_disabled);
}

struct settings {
    const char *url;    /* NULL: as it is */
    const char *events; /* likewise */
};

static enum db_result make_set(struct db *db, const struct db_webhook *webhook, void *context)
{
    const struct settings *settings = context;

    return accounts->webhook_set(db, webhook->customer, webhook->id, settings->url,
                                 settings->events, NULL);
}

int webhook_set_main(struct instance *instance, int argc, char **argv)
{
    static const struct option options[] = {
        {"url", required_argument, NULL, 'u'}, {"events", required_argument, NULL, 'e'}, {0}};
    struct settings settings = {0};
    int option;

    while ((option = command_option(argc, argv, options)) != -1)
        switch (option) {
        case 'u': settings.url = optarg; break;
        case 'e': settings.events = optarg; break;
        default: return EXIT_USAGE;
        }
    if (command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    if (settings.url == NULL && settings.events == NULL)
        return wrong_usage("say what to change with --url or --events");
    if (check(settings.url, settings.events) != EXIT_DONE)
        return EXIT_REFUSED;
    return change(instance, argv[optind], make_set, &settings);
}

struct renewal {
    uint64_t overlap; /* seconds */
    uint64_t id;
    char secret[SIGNATURE_TEXT_SIZE];
};

static enum db_result make_renewal(struct db *db, const struct db_webhook *webhook, void *context)
{
    struct renewal *renewal = context;

    renewal->id = webhook->id;
    return accounts->webhook_redraw(db, webhook->customer, webhook->id, renewal->overlap,
                                    renewal->secret);
}

int webhook_secret_main(struct instance *instance, int argc, char **argv)
{
    static const struct option options[] = {
        {"at-once", no_argument, NULL, 'a'}, {"json", no_argument, NULL, 'j'}, {0}};
    struct renewal renewal = {.overlap = DB_WEBHOOK_OVERLAP};
    bool json = false;
    int option;

    while ((option = command_option(argc, argv, options)) != -1)
        switch (option) {
        case 'a': renewal.overlap = 0; break;
        case 'j': json = true; break;
        default: return EXIT_USAGE;
        }
    if (command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    int done = change(instance, argv[optind], make_renewal, &renewal);
    if (done == EXIT_DONE)
        done = show(renewal.id, renewal.secret, json);
    sodium_memzero(renewal.secret, sizeof(renewal.secret));
    return done;
}

/* A cursor, or a moment, which the cursors of events count in microseconds. */
static int parse_cursor(const char *text, uint64_t *cursor_r)
{
    if (number_parse(text, 1, INT64_MAX, cursor_r) == 0)
        return 0;
    if (moment_parse(text, (uint64_t)time(NULL), cursor_r) < 0)
        return -1;
    *cursor_r *= 1000000;
    return 0;
}

static enum db_result make_replay(struct db *db, const struct db_webhook *webhook, void *context)
{
    const uint64_t *cursor = context;

    return accounts->webhook_replay(db, webhook->customer, webhook->id, *cursor - 1);
}

int webhook_replay_main(struct instance *instance, int argc, char **argv)
{
    static const struct option options[] = {{"from", required_argument, NULL, 'f'}, {0}};
    uint64_t cursor = 0;
    int option;

    while ((option = command_option(argc, argv, options)) != -1)
        if (option != 'f')
            return EXIT_USAGE;
        else if (parse_cursor(optarg, &cursor) < 0 || cursor == 0)
            return wrong_usage("\"%s\" is neither an event's cursor nor a time as 90m, 12h, 7d, "
                               "2026-11-22 or 2026-11-22T08:00:00Z",
                               optarg);
    if (command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    if (cursor == 0)
        return wrong_usage("say from which event on with --from");
    return change(instance, argv[optind], make_replay, &cursor);
}
