/* The commands about domains. */
#include <string.h>

#include "cli/accounts.h"
#include "cli/address.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/listing.h"
#include "cli/removal.h"
#include "db/domain.h"
#include "lib/address.h"

static const struct listing_column columns[] = {
    {"domain", "DOMAIN", LISTING_TEXT},         {"customer", "CUSTOMER", LISTING_TEXT},
    {"addresses", "ADDRESSES", LISTING_NUMBER}, {"catch_all", "CATCH-ALL", LISTING_TEXT},
    {"created", "CREATED", LISTING_TIME},       {0}};

static json_t *domain_row(const struct db_domain *domain)
{
    return json_pack("{ss ss si so so}", "domain", domain->name, "customer", domain->customer_name,
                     "addresses", (int)domain->addresses, "catch_all",
                     domain->catch_all[0] != '\0' ? json_string(domain->catch_all) : json_null(),
                     "created", listing_time(domain->created));
}

static int parse_domain(char domain_r[ADDRESS_DOMAIN_MAX + 1], const char *text)
{
    const char *error;

    if (address_parse_domain(domain_r, text, strlen(text), &error) == 0)
        return EXIT_DONE;
    return refuse("\"%s\" is no domain: %s", text, error);
}

static int add_domain(struct db *db, const char *domain, const char *name)
{
    struct db_customer customer;

    if (database_customer(db, name, &customer) != EXIT_DONE)
        return EXIT_REFUSED;
    switch (database_result(db, accounts->domain_add(db, customer.id, domain))) {
    case DB_OK: return EXIT_DONE;
    case DB_TAKEN:
        return refuse("the domain %s is there already; \"bellhop domain list\" shows "
                      "whose it is",
                      domain);
    case DB_NONE: return refuse("the customer \"%s\" was removed just now", name);
    default: return EXIT_REFUSED;
    }
}

int domain_add_main(struct instance *instance, int argc, char **argv)
{
    char domain[ADDRESS_DOMAIN_MAX + 1];
    const char *customer;

    if (command_customer(argc, argv, &customer) != 0 || command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    if (customer == NULL)
        return wrong_usage("say whose domain it is with --customer");
    if (parse_domain(domain, argv[optind]) != EXIT_DONE)
        return EXIT_REFUSED;
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = add_domain(db, domain, customer);
    accounts->close(db);
    return done;
}

static int list_domains(struct instance *instance, struct db *db,
                        const struct db_customer *customer, bool json)
{
    struct db_domain domain = {0};
    enum db_result result;
    (void)instance;

    json_t *rows = json_array();
    while ((result = customer != NULL ? accounts->domain_next(db, customer->id, &domain)
                                      : accounts->operator_domain_next(db, &domain)) == DB_OK)
        json_array_append_new(rows, domain_row(&domain));
    return database_list_end(db, result, rows, columns, json);
}

int domain_list_main(struct instance *instance, int argc, char **argv)
{
    return database_listing(instance, argc, argv, list_domains);
}

/* `address` is NULL for none. */
static int set_catch_all(struct db *db, const char *name, const struct address *address)
{
    struct db_customer customer;
    struct db_plan plan = {0};
    struct db_domain domain;

    enum db_result result = database_result(db, accounts->domain_find(db, name, &domain));
    if (result == DB_NONE)
        return refuse("there is no domain %s; \"bellhop domain list\" shows them", name);
    if (result == DB_OK)
        result = database_result(db, accounts->customer_get(db, domain.customer, &customer));
    if (result == DB_OK)
        result = database_result(db, accounts->plan_find(db, customer.plan, &plan));
    if (result == DB_OK && address != NULL && !plan.catch_all)
        return refuse("the plan \"%s\" allows no catch-all; \"bellhop plan set\" changes that",
                      plan.name);
    if (result == DB_OK)
        result =
            database_result(db, accounts->domain_set_catch_all(db, domain.customer, name, address));
    if (result == DB_NONE)
        return refuse("the customer has no address %s", address != NULL ? address->text : "");
    return result == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}

int domain_set_main(struct instance *instance, int argc, char **argv)
{
    static const struct option options[] = {{"catch-all", required_argument, NULL, 'c'}, {0}};
    char domain[ADDRESS_DOMAIN_MAX + 1];
    struct address address;
    const char *text = NULL;
    int option;

    while ((option = command_option(argc, argv, options)) != -1) {
        if (option == '?')
            return EXIT_USAGE;
        text = optarg;
    }
    if (text == NULL)
        return wrong_usage("say what to change in the domain");
    if (command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    bool none = strcmp(text, "none") == 0;
    if (parse_domain(domain, argv[optind]) != EXIT_DONE ||
        (!none && address_argument(&address, text) != EXIT_DONE))
        return EXIT_REFUSED;
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = set_catch_all(db, domain, none ? NULL : &address);
    accounts->close(db);
    return done;
}

static int remove_domain(struct db *db, const char *name, uint64_t keep)
{
    struct db_domain domain;

    enum db_result result = database_result(db, accounts->domain_find(db, name, &domain));
    if (result == DB_OK)
        result = database_result(db, accounts->domain_remove(db, domain.customer, name, keep));
    if (result == DB_NONE)
        refuse("there is no domain %s; \"bellhop domain list\" shows them", name);
    return result == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}

int domain_remove_main(struct instance *instance, int argc, char **argv)
{
    char domain[ADDRESS_DOMAIN_MAX + 1];
    bool now;

    if (removal_options(argc, argv, &now) != 0)
        return EXIT_USAGE;
    if (parse_domain(domain, argv[optind]) != EXIT_DONE)
        return EXIT_REFUSED;
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = remove_domain(db, domain, removal_keep(instance, now));
    accounts->close(db);
    return done;
}

int domain_restore_main(struct instance *instance, int argc, char **argv)
{
    char domain[ADDRESS_DOMAIN_MAX + 1];
    const char *customer;

    if (command_customer(argc, argv, &customer) != 0 || command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    if (parse_domain(domain, argv[optind]) != EXIT_DONE)
        return EXIT_REFUSED;
    return removal_restore(instance, DB_REMOVAL_DOMAIN, domain, customer);
}
