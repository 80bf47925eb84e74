/* The commands about customers. */
#include "db/customer.h"
#include "cli/accounts.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/listing.h"
#include "cli/overplan.h"
#include "cli/removal.h"
#include "cli/suspension.h"
#include "db/transaction.h"

static const struct listing_column columns[] = {
    {"name", "NAME", LISTING_TEXT},         {"plan", "PLAN", LISTING_TEXT},
    {"domains", "DOMAINS", LISTING_NUMBER}, {"addresses", "ADDRESSES", LISTING_NUMBER},
    {"language", "LANGUAGE", LISTING_TEXT}, {"suspended", "SUSPENDED", LISTING_TEXT},
    {"created", "CREATED", LISTING_TIME},   {0}};

static json_t *customer_row(const struct db_customer *customer)
{
    return json_pack("{ss ss si si ss sb so}", "name", customer->name, "plan", customer->plan,
                     "domains", (int)customer->domains, "addresses", (int)customer->addresses,
                     "language", language_code(customer->language), "suspended",
                     (int)customer->suspended, "created", listing_time(customer->created));
}

static enum db_result collect(struct db *db, json_t *rows)
{
    struct db_customer customer = {0};
    enum db_result result;

    while ((result = accounts->customer_next(db, &customer)) == DB_OK)
        json_array_append_new(rows, customer_row(&customer));
    return result;
}

int customer_list_main(struct instance *instance, int argc, char **argv)
{
    return database_list(instance, argc, argv, collect, columns);
}

int customer_show_main(struct instance *instance, int argc, char **argv)
{
    struct db_customer customer;
    bool json;

    if (command_json(argc, argv, &json) != 0 || command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = database_customer(db, argv[optind], &customer);
    if (done == EXIT_DONE)
        listing_print_one(customer_row(&customer), columns, json);
    accounts->close(db);
    return done;
}

static int name_taken(const char *name)
{
    return refuse("there is a customer \"%s\" already; take another name", name);
}

static int no_plan(const char *plan)
{
    return refuse("there is no plan \"%s\"; \"bellhop plan list\" shows them", plan);
}

/* `language` is NULL for the one that the server is configured with. */
static int add_customer(struct db *db, const char *name, const char *plan,
                        const enum language *language)
{
    uint64_t customer;

    if (database_result(db, accounts->transaction_begin(db)) != DB_OK)
        return EXIT_REFUSED;
    enum db_result result = accounts->customer_add(db, name, plan, &customer);
    if (result == DB_OK && language != NULL)
        result = accounts->customer_set_language(db, customer, *language);
    if (result == DB_OK)
        result = accounts->transaction_commit(db);
    else
        accounts->transaction_rollback(db);
    switch (database_result(db, result)) {
    case DB_OK: return EXIT_DONE;
    case DB_TAKEN: return name_taken(name);
    case DB_NONE: return no_plan(plan);
    default: return EXIT_REFUSED;
    }
}

struct customer_options {
    const char *plan;
    const char *name;
    bool language_given;
    enum language language;
    bool over_given;
    enum db_overplan over;
    bool preview;
    bool json;
};

static int set_option(struct customer_options *given, int option, const char *text)
{
    switch (option) {
    case 'p': given->plan = text; return 0;
    case 'n': given->name = text; return 0;
    case 'l':
        given->language_given = true;
        if (language_parse(text, &given->language) == 0)
            return 0;
        wrong_usage("--language takes %s, not \"%s\"", language_list(), text);
        return -1;
    case 'o':
        given->over_given = true;
        if (db_overplan_parse(text, &given->over) == 0)
            return 0;
        wrong_usage("--over takes refuse, keep or suspend, not \"%s\"", text);
        return -1;
    case 'v': given->preview = true; return 0;
    case 'j': given->json = true; return 0;
    default: return -1;
    }
}

static int parse_options(struct customer_options *given_r, const struct option *options, int argc,
                         char **argv)
{
    int option;

    *given_r = (struct customer_options){0};
    while ((option = command_option(argc, argv, options)) != -1)
        if (set_option(given_r, option, optarg) < 0)
            return EXIT_USAGE;
    return command_arguments(argc, argv, 1, 1);
}

int customer_add_main(struct instance *instance, int argc, char **argv)
{
    static const struct option options[] = {
        {"plan", required_argument, NULL, 'p'}, {"language", required_argument, NULL, 'l'}, {0}};
    struct customer_options given;
    const char *error;

    if (parse_options(&given, options, argc, argv) != 0)
        return EXIT_USAGE;
    if (given.plan == NULL)
        return wrong_usage("say which plan the customer is on with --plan");
    if (db_customer_name_check(argv[optind], &error) < 0)
        return refuse("%s", error);
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    bool language = given.language_given || !accounts->remote;
    if (!given.language_given)
        given.language = (enum language)instance->conf.language;
    int done = add_customer(db, argv[optind], given.plan, language ? &given.language : NULL);
    accounts->close(db);
    return done;
}

/* By another program, after it was found here. */
static int removed(void)
{
    return refuse("the customer was removed just now");
}

/* All that is given changes together or not at all. */
static enum db_result change_customer(struct db *db, uint64_t customer,
                                      const struct customer_options *given)
{
    enum db_result result = DB_OK;

    if (given->plan != NULL)
        result = accounts->customer_set_plan(db, customer, given->plan, given->over);
    if (result == DB_OK && given->language_given)
        result = accounts->customer_set_language(db, customer, given->language);
    if (result == DB_OK && given->name != NULL)
        result = accounts->customer_set_name(db, customer, given->name);
    return result;
}

static int set_customer(struct db *db, const char *name, const struct customer_options *given)
{
    struct db_customer customer;
    enum db_result result = DB_OK;

    if (database_result(db, accounts->transaction_begin(db)) != DB_OK)
        return EXIT_REFUSED;
    int done = database_customer(db, name, &customer);
    if (done == EXIT_DONE)
        result = change_customer(db, customer.id, given);
    if (done == EXIT_DONE && result == DB_OK)
        result = accounts->transaction_commit(db);
    else
        accounts->transaction_rollback(db);
    if (done != EXIT_DONE)
        return done;
    switch (database_result(db, result)) {
    case DB_OK: return EXIT_DONE;
    case DB_TAKEN: return name_taken(given->name);
    case DB_NONE: return given->plan != NULL ? no_plan(given->plan) : removed();
    default: return EXIT_REFUSED;
    }
}

static int check_options(const struct customer_options *given)
{
    if (given->plan == NULL && (given->over_given || given->preview))
        return wrong_usage("--over and --preview go with --plan");
    if (given->preview && (given->over_given || given->name != NULL || given->language_given))
        return wrong_usage("--preview changes nothing, so nothing but --plan goes with it");
    if (given->json && !given->preview)
        return wrong_usage("--json goes with --preview");
    return 0;
}

static int preview_plan(struct db *db, const char *name, const char *plan, bool json)
{
    struct db_customer customer;

    int done = database_customer(db, name, &customer);
    return done == EXIT_DONE ? overplan_show(db, &customer, plan, json) : done;
}

int customer_set_main(struct instance *instance, int argc, char **argv)
{
    static const struct option options[] = {{"plan", required_argument, NULL, 'p'},
                                            {"name", required_argument, NULL, 'n'},
                                            {"language", required_argument, NULL, 'l'},
                                            {"over", required_argument, NULL, 'o'},
                                            {"preview", no_argument, NULL, 'v'},
                                            {"json", no_argument, NULL, 'j'},
                                            {0}};
    struct customer_options given;
    const char *error;

    if (parse_options(&given, options, argc, argv) != 0)
        return EXIT_USAGE;
    if (given.plan == NULL && given.name == NULL && !given.language_given)
        return wrong_usage("say what to change in the customer");
    if (check_options(&given) != 0)
        return EXIT_USAGE;
    if (given.name != NULL && db_customer_name_check(given.name, &error) < 0)
        return refuse("%s", error);
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = given.preview ? preview_plan(db, argv[optind], given.plan, given.json)
                             : set_customer(db, argv[optind], &given);
    accounts->close(db);
    return done;
}

static int change_result(const struct db *db, enum db_result result)
{
    switch (database_result(db, result)) {
    case DB_OK: return EXIT_DONE;
    case DB_NONE: return removed();
    default: return EXIT_REFUSED;
    }
}

static int set_suspended(struct instance *instance, const char *name, bool suspended,
                         enum db_suspended_mail mail)
{
    struct db_customer customer;

    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = database_customer(db, name, &customer);
    if (done == EXIT_DONE)
        done =
            change_result(db, accounts->customer_set_suspended(db, customer.id, suspended, mail));
    accounts->close(db);
    return done;
}

int customer_suspend_main(struct instance *instance, int argc, char **argv)
{
    enum db_suspended_mail mail;

    if (suspension_options(argc, argv, &mail) != 0)
        return EXIT_USAGE;
    return set_suspended(instance, argv[optind], true, mail);
}

int customer_resume_main(struct instance *instance, int argc, char **argv)
{
    static const struct option none[] = {{0}};

    if (command_option(argc, argv, none) != -1 || command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    return set_suspended(instance, argv[optind], false, DB_SUSPENDED_AS_CONFIGURED);
}

int customer_remove_main(struct instance *instance, int argc, char **argv)
{
    struct db_customer customer;
    bool now;

    if (removal_options(argc, argv, &now) != 0)
        return EXIT_USAGE;
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = database_customer(db, argv[optind], &customer);
    if (done == EXIT_DONE)
        done = change_result(
            db, accounts->customer_remove(db, customer.id, removal_keep(instance, now)));
    accounts->close(db);
    return done;
}

int customer_restore_main(struct instance *instance, int argc, char **argv)
{
    static const struct option none[] = {{0}};

    if (command_option(argc, argv, none) != -1 || command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    return removal_restore(instance, DB_REMOVAL_CUSTOMER, argv[optind], NULL);
}
