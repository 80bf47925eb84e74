/* The commands about networks that a customer trusts. */
#include "db/trusted.h"
#include "cli/accounts.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/listing.h"
#include "lib/networks.h"

static const struct listing_column columns[] = {{"network", "NETWORK", LISTING_TEXT},
                                                {"customer", "CUSTOMER", LISTING_TEXT},
                                                {"created", "CREATED", LISTING_TIME},
                                                {0}};

static int add_network(struct db *db, const struct db_customer *customer, const char *network)
{
    enum db_result result = accounts->trusted_add(db, customer->id, network);

    switch (result) {
    case DB_OK: return EXIT_DONE;
    case DB_TAKEN:
        return refuse("\"%s\" trusts %s already; \"bellhop trusted-network list\" shows them",
                      customer->name, network);
    case DB_NONE: return refuse("the customer \"%s\" was removed just now", customer->name);
    case DB_LIMIT:
        return refuse("\"%s\" trusts %d networks, and no customer can trust more; remove some, or "
                      "add a larger network that holds several",
                      customer->name, DB_TRUSTED_MAX);
    default: database_result(db, result); return EXIT_REFUSED;
    }
}

static int remove_network(struct db *db, const struct db_customer *customer, const char *network)
{
    switch (database_result(db, accounts->trusted_remove(db, customer->id, network))) {
    case DB_OK: return EXIT_DONE;
    case DB_NONE:
        return refuse("\"%s\" does not trust %s; \"bellhop trusted-network list\" shows what it "
                      "trusts",
                      customer->name, network);
    default: return EXIT_REFUSED;
    }
}

/* Both changes name a network and a customer. */
static int change(struct instance *instance, int argc, char **argv,
                  int (*function)(struct db *db, const struct db_customer *customer,
                                  const char *network))
{
    char network[NETWORKS_TEXT_SIZE];
    struct db_customer customer;
    const char *error;
    const char *name;

    if (command_customer(argc, argv, &name) != 0 || command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    if (name == NULL)
        return wrong_usage("say which customer trusts the network with --customer");
    if (db_trusted_parse(network, argv[optind], &error) < 0)
        return refuse("\"%s\" %s", argv[optind], error);
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = database_customer(db, name, &customer);
    if (done == EXIT_DONE)
        done = function(db, &customer, network);
    accounts->close(db);
    return done;
}

int trusted_network_add_main(struct instance *instance, int argc, char **argv)
{
    return change(instance, argc, argv, add_network);
}

int trusted_network_remove_main(struct instance *instance, int argc, char **argv)
{
    return change(instance, argc, argv, remove_network);
}

static enum db_result add_rows(struct instance *instance, struct db *db,
                               const struct db_customer *customer, json_t *rows)
{
    struct db_trusted trusted = {0};
    enum db_result result;
    (void)instance;

    while ((result = accounts->trusted_next(db, customer->id, &trusted)) == DB_OK)
        json_array_append_new(rows,
                              json_pack("{ss ss so}", "network", trusted.network, "customer",
                                        customer->name, "created", listing_time(trusted.created)));
    return result;
}

static int list_networks(struct instance *instance, struct db *db,
                         const struct db_customer *customer, bool json)
{
    return database_list_each(instance, db, customer, add_rows, columns, json);
}

int trusted_network_list_main(struct instance *instance, int argc, char **argv)
{
    return database_listing(instance, argc, argv, list_networks);
}
