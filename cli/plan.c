/* The commands about plans. Values that make no plan are refused by db_plan_check(). */
#include <string.h>

#include "cli/accounts.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/listing.h"
#include "cli/number.h"
#include "db/plan.h"
#include "db/transaction.h"

static const struct listing_column columns[] = {{"name", "NAME", LISTING_TEXT},
                                                {"addresses", "ADDRESSES", LISTING_NUMBER},
                                                {"domains", "DOMAINS", LISTING_NUMBER},
                                                {"quota_bytes", "QUOTA", LISTING_SIZE},
                                                {"quota_messages", "MESSAGES", LISTING_NUMBER},
                                                {"message_bytes", "LARGEST", LISTING_SIZE},
                                                {"retention_days", "DAYS", LISTING_NUMBER},
                                                {"poll_seconds", "POLL", LISTING_NUMBER},
                                                {"protection", "PROTECTION", LISTING_TEXT},
                                                {"sending", "SENDING", LISTING_TEXT},
                                                {"catch_all", "CATCH-ALL", LISTING_TEXT},
                                                {0}};

static json_t *plan_row(const struct db_plan *plan)
{
    return json_pack(
        "{ss si si sI sI sI si si ss sb sb}", "name", plan->name, "addresses", (int)plan->addresses,
        "domains", (int)plan->domains, "quota_bytes", (json_int_t)plan->mailbox_octets,
        "quota_messages", (json_int_t)plan->mailbox_messages, "message_bytes",
        (json_int_t)plan->message_octets, "retention_days", (int)plan->retention_days,
        "poll_seconds", (int)plan->poll_seconds, "protection", db_protection_name(plan->protection),
        "sending", plan->sending, "catch_all", plan->catch_all);
}

static enum db_result collect(struct db *db, json_t *rows)
{
    struct db_plan plan = {0};
    enum db_result result;

    while ((result = accounts->plan_next(db, &plan)) == DB_OK)
        json_array_append_new(rows, plan_row(&plan));
    return result;
}

int plan_list_main(struct instance *instance, int argc, char **argv)
{
    return database_list(instance, argc, argv, collect, columns);
}

enum plan_option {
    ADDRESSES = 1,
    DOMAINS,
    QUOTA_BYTES,
    QUOTA_MESSAGES,
    MESSAGE_BYTES,
    RETENTION_DAYS,
    POLL_SECONDS,
    PROTECTION,
    SENDING,
    CATCH_ALL
};

static const struct option plan_options[] = {
    {"addresses", required_argument, NULL, ADDRESSES},
    {"domains", required_argument, NULL, DOMAINS},
    {"quota-bytes", required_argument, NULL, QUOTA_BYTES},
    {"quota-messages", required_argument, NULL, QUOTA_MESSAGES},
    {"message-bytes", required_argument, NULL, MESSAGE_BYTES},
    {"retention-days", required_argument, NULL, RETENTION_DAYS},
    {"poll-seconds", required_argument, NULL, POLL_SECONDS},
    {"protection", required_argument, NULL, PROTECTION},
    {"sending", required_argument, NULL, SENDING},
    {"catch-all", required_argument, NULL, CATCH_ALL},
    {0}};

static int set_count(unsigned *count_r, const char *text)
{
    uint64_t number;

    if (number_parse(text, 0, UINT32_MAX, &number) < 0)
        return -1;
    *count_r = (unsigned)number;
    return 0;
}

/* SQLite's and JSON's numbers have a sign. */
static int set_size(uint64_t *size_r, const char *text)
{
    return number_parse_size(text, 0, INT64_MAX, size_r);
}

static int set_answer(bool *answer_r, const char *text)
{
    *answer_r = strcmp(text, "yes") == 0;
    return *answer_r || strcmp(text, "no") == 0 ? 0 : -1;
}

static int set_value(struct db_plan *plan, int option, const char *text)
{
    switch (option) {
    case ADDRESSES: return set_count(&plan->addresses, text);
    case DOMAINS: return set_count(&plan->domains, text);
    case QUOTA_BYTES: return set_size(&plan->mailbox_octets, text);
    case QUOTA_MESSAGES: return number_parse(text, 0, INT64_MAX, &plan->mailbox_messages);
    case MESSAGE_BYTES: return set_size(&plan->message_octets, text);
    case RETENTION_DAYS: return set_count(&plan->retention_days, text);
    case POLL_SECONDS: return set_count(&plan->poll_seconds, text);
    case PROTECTION: return db_protection_parse(text, &plan->protection);
    case SENDING: return set_answer(&plan->sending, text);
    case CATCH_ALL: return set_answer(&plan->catch_all, text);
    default: return -1;
    }
}

/* Sets in *plan what the options say. Returns which were given as a set of bits, or -1. */
static int parse_options(struct db_plan *plan, int argc, char **argv)
{
    int given = 0;
    int option;
    int at;

    while ((option = command_option(argc, argv, plan_options)) != -1) {
        if (option == '?')
            return -1;
        if (set_value(plan, option, optarg) == 0) {
            given |= 1 << option;
            continue;
        }
        for (at = 0; plan_options[at].val != option;)
            at++;
        wrong_usage("--%s takes %s, not \"%s\"", plan_options[at].name,
                    option == PROTECTION                               ? "none, mark or refuse"
                    : option == SENDING || option == CATCH_ALL         ? "yes or no"
                    : option == QUOTA_BYTES || option == MESSAGE_BYTES ? "a size like 500M"
                                                                       : "a number",
                    optarg);
        return -1;
    }
    return command_arguments(argc, argv, 1, 1) == 0 ? given : -1;
}

static int set_name(struct db_plan *plan, const char *name)
{
    if (strlen(name) > DB_PLAN_NAME_MAX)
        return refuse("a plan's name has at most %d characters", DB_PLAN_NAME_MAX);
    memcpy(plan->name, name, strlen(name) + 1);
    return EXIT_DONE;
}

static int add_plan(struct db *db, const struct db_plan *plan)
{
    switch (database_result(db, accounts->plan_add(db, plan))) {
    case DB_OK: return EXIT_DONE;
    case DB_TAKEN:
        return refuse("there is a plan \"%s\" already; \"bellhop plan set\" changes it",
                      plan->name);
    default: return EXIT_REFUSED;
    }
}

int plan_add_main(struct instance *instance, int argc, char **argv)
{
    struct db_plan plan;
    const char *error;

    db_plan_default(&plan);
    int given = parse_options(&plan, argc, argv);
    if (given < 0)
        return EXIT_USAGE;
    if (set_name(&plan, argv[optind]) != EXIT_DONE)
        return EXIT_REFUSED;
    if ((given & 1 << MESSAGE_BYTES) == 0 && plan.message_octets > plan.mailbox_octets)
        plan.message_octets = plan.mailbox_octets;
    if (db_plan_check(&plan, &error) < 0)
        return refuse("%s", error);
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = add_plan(db, &plan);
    accounts->close(db);
    return done;
}

static int no_plan(const char *name)
{
    return refuse("there is no plan \"%s\"; \"bellhop plan list\" shows them", name);
}

/* Changes what the options say, over what the plan is at that moment. */
static int set_plan(struct db *db, int argc, char **argv)
{
    const char *name = argv[optind];
    struct db_plan plan;
    const char *error;

    enum db_result result = database_result(db, accounts->plan_find(db, name, &plan));
    if (result == DB_NONE)
        return no_plan(name);
    if (result != DB_OK)
        return EXIT_REFUSED;
    optind = 0;
    (void)parse_options(&plan, argc, argv);
    if (db_plan_check(&plan, &error) < 0)
        return refuse("%s", error);
    result = database_result(db, accounts->plan_set(db, &plan));
    return result == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}

int plan_set_main(struct instance *instance, int argc, char **argv)
{
    struct db_plan checked;

    db_plan_default(&checked);
    int given = parse_options(&checked, argc, argv);
    if (given < 0)
        return EXIT_USAGE;
    if (given == 0)
        return wrong_usage("say what to change in the plan");
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = EXIT_REFUSED;
    if (database_result(db, accounts->transaction_begin(db)) == DB_OK) {
        done = set_plan(db, argc, argv);
        if (done != EXIT_DONE)
            accounts->transaction_rollback(db);
        else if (database_result(db, accounts->transaction_commit(db)) != DB_OK)
            done = EXIT_REFUSED;
    }
    accounts->close(db);
    return done;
}
