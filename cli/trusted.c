/* The commands about networks that a customer trusts. */
#include "db/trusted.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/listing.h"
#include "lib/networks.h"

/* What is wider than what any customer has would spare those who guess. */
#define BITS_LEAST_IPV4 8
#define BITS_LEAST_IPV6 32

static const struct listing_column columns[] = {{"network", "NETWORK", LISTING_TEXT},
                                                {"customer", "CUSTOMER", LISTING_TEXT},
                                                {"created", "CREATED", LISTING_TIME},
                                                {0}};

static int parse_network(char network_r[NETWORKS_TEXT_SIZE], const char *text)
{
    struct networks networks;

    if (networks_parse(&networks, text) < 0 || networks.count != 1)
        return refuse("\"%s\" is no address or network, as 192.0.2.1, 192.0.2.0/24 or "
                      "2001:db8::/48 is",
                      text);
    const struct in6_addr *address = &networks.list[0].address;
    unsigned bits = networks.list[0].bits;
    if (bits < (IN6_IS_ADDR_V4MAPPED(address) ? 96 + BITS_LEAST_IPV4 : BITS_LEAST_IPV6))
        return refuse("%s is too large a network to be trusted; the largest are /%d and, of IPv6, "
                      "/%d",
                      text, BITS_LEAST_IPV4, BITS_LEAST_IPV6);
    networks_format(network_r, address, bits);
    return EXIT_DONE;
}

static int add_network(struct db *db, const struct db_customer *customer, const char *network)
{
    enum db_result result = db_trusted_add(db, customer->id, network);

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
    switch (database_result(db, db_trusted_remove(db, customer->id, network))) {
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
    const char *name;

    if (command_customer(argc, argv, &name) != 0 || command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    if (name == NULL)
        return wrong_usage("say which customer trusts the network with --customer");
    if (parse_network(network, argv[optind]) != EXIT_DONE)
        return EXIT_REFUSED;
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = database_customer(db, name, &customer);
    if (done == EXIT_DONE)
        done = function(db, &customer, network);
    db_close(db);
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

    while ((result = db_trusted_next(db, customer->id, &trusted)) == DB_OK)
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
