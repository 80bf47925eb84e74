/* The commands about keys for the HTTP API. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "cli/accounts.h"
#include "cli/address.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/listing.h"
#include "cli/number.h"
#include "cli/password.h"
#include "db/apikey.h"
#include "lib/networks.h"

#define DAYS_MAX 3650
#define DAY      86400

static const struct listing_column columns[] = {
    {"name", "NAME", LISTING_TEXT},         {"role", "ROLE", LISTING_TEXT},
    {"customer", "CUSTOMER", LISTING_TEXT}, {"domain", "DOMAIN", LISTING_TEXT},
    {"address", "ADDRESS", LISTING_TEXT},   {"networks", "NETWORKS", LISTING_TEXT},
    {"rate", "RATE", LISTING_NUMBER},       {"expires", "EXPIRES", LISTING_TIME},
    {"created", "CREATED", LISTING_TIME},   {"used", "LAST USED", LISTING_TIME},
    {"used_address", "FROM", LISTING_TEXT}, {0}};

static json_t *key_row(const struct db_api_key *key)
{
    return json_pack("{ss ss so so so so so so so so so}", "name", key->name, "role",
                     db_role_name(key->role), "customer", listing_text(key->customer_name),
                     "domain", listing_text(key->domain), "address", listing_text(key->address),
                     "networks", listing_text(key->networks), "rate",
                     key->rate > 0 ? json_integer(key->rate) : json_null(), "expires",
                     listing_time(key->expires), "created", listing_time(key->created), "used",
                     listing_time(key->used), "used_address", listing_text(key->used_address));
}

/* --- add */

struct addition {
    struct db_api_key key;
    const char *role;
    const char *customer;
    const char *domain;
    const char *address;
    bool json;
};

static int take_network(struct db_api_key *key, const char *text)
{
    struct networks networks;
    size_t length = strlen(key->networks);

    int more = snprintf(key->networks + length, sizeof(key->networks) - length, "%s%s",
                        length > 0 ? " " : "", text);
    if (more < 0 || length + (size_t)more >= sizeof(key->networks) ||
        networks_parse(&networks, key->networks) < 0 || networks.count == 0)
        return wrong_usage("--network takes up to %d, and \"%s\" is no " NETWORKS_ONE, NETWORKS_MAX,
                           text);
    return 0;
}

static int take_number(const char *option, const char *text, uint64_t most, uint64_t *number_r)
{
    if (number_parse(text, 1, most, number_r) == 0)
        return 0;
    return wrong_usage("%s takes a number, 1 to %d", option, (int)most);
}

static int take_rate(struct db_api_key *key, const char *text)
{
    uint64_t rate = 0;
    int wrong = take_number("--rate", text, DB_API_KEY_RATE_MAX, &rate);

    key->rate = (unsigned)rate;
    return wrong;
}

static int take_days(struct db_api_key *key, const char *text)
{
    uint64_t days = 0;
    int wrong = take_number("--expires", text, DAYS_MAX, &days);

    key->expires = (uint64_t)time(NULL) + days * DAY;
    return wrong;
}

static int take_option(struct addition *addition, int option, const char *text)
{
    switch (option) {
    case 'r': addition->role = text; return 0;
    case 'c': addition->customer = text; return 0;
    case 'd': addition->domain = text; return 0;
    case 'a': addition->address = text; return 0;
    case 'n': return take_network(&addition->key, text);
    case 'e': return take_days(&addition->key, text);
    case 'l': return take_rate(&addition->key, text);
    case 'j': addition->json = true; return 0;
    default: return EXIT_USAGE;
    }
}

static int wrong_role(const char *role)
{
    return wrong_usage("--role takes operator, operator-read, admin, helpdesk, customer-read or "
                       "owner, not \"%s\"",
                       role);
}

/* Without --role it is the one that may do most. */
static int take_role(struct addition *addition)
{
    struct db_api_key *key = &addition->key;
    const char *role = addition->role;

    if (role == NULL)
        role = addition->address != NULL    ? "owner"
               : addition->customer != NULL ? "admin"
                                            : "operator";
    if (db_role_parse(role, &key->role) < 0)
        return wrong_role(role);
    bool operators = db_role_is_operator(key->role);
    if (operators && (addition->customer != NULL || addition->address != NULL))
        return wrong_usage("an operator's key is of no customer; take another role");
    if ((key->role == DB_ROLE_OWNER) != (addition->address != NULL))
        return wrong_usage("say whose key an owner's is with --address, and no other's");
    if (!operators && key->role != DB_ROLE_OWNER && addition->customer == NULL)
        return wrong_usage("say whose key it is with --customer");
    if (addition->domain != NULL && addition->customer == NULL)
        return wrong_usage("say with --customer whose domain it is");
    return 0;
}

static int parse_add(struct addition *addition, int argc, char **argv)
{
    static const struct option options[] = {{"role", required_argument, NULL, 'r'},
                                            {"customer", required_argument, NULL, 'c'},
                                            {"domain", required_argument, NULL, 'd'},
                                            {"address", required_argument, NULL, 'a'},
                                            {"network", required_argument, NULL, 'n'},
                                            {"expires", required_argument, NULL, 'e'},
                                            {"rate", required_argument, NULL, 'l'},
                                            {"json", no_argument, NULL, 'j'},
                                            {0}};
    const char *error;
    int option;

    while ((option = command_option(argc, argv, options)) != -1)
        if (take_option(addition, option, optarg) != 0)
            return EXIT_USAGE;
    if (command_arguments(argc, argv, 1, 1) != 0 || take_role(addition) != 0)
        return EXIT_USAGE;
    if (db_api_key_name_check(argv[optind], &error) < 0)
        return wrong_usage("%s", error);
    snprintf(addition->key.name, sizeof(addition->key.name), "%s", argv[optind]);
    return 0;
}

/* Whose key it is, from names to ids. */
static int find_owner(struct db *db, struct addition *addition)
{
    struct db_mailaddress found;
    struct db_customer customer;
    struct address address;
    const char *error;

    if (addition->customer != NULL) {
        if (database_customer(db, addition->customer, &customer) != EXIT_DONE)
            return EXIT_REFUSED;
        addition->key.customer = customer.id;
    }
    if (addition->domain != NULL && address_parse_domain(addition->key.domain, addition->domain,
                                                         strlen(addition->domain), &error) < 0)
        return refuse("\"%s\" is no domain: %s", addition->domain, error);
    if (addition->address == NULL)
        return EXIT_DONE;
    if (address_argument(&address, addition->address) != EXIT_DONE ||
        address_lookup(db, &address, &found) != EXIT_DONE)
        return EXIT_REFUSED;
    if (found.mailbox == 0)
        return refuse("%s is an alias, which has no owner; take a mailbox that it leads to",
                      address.text);
    addition->key.customer = found.customer;
    addition->key.mailbox = found.mailbox;
    return EXIT_DONE;
}

static int show(const struct addition *addition, const char *text)
{
    if (!addition->json)
        return password_show("key", text);
    listing_print_one(json_pack("{ss ss ss so}", "name", addition->key.name, "role",
                                db_role_name(addition->key.role), "key", text, "expires",
                                listing_time(addition->key.expires)),
                      columns, true);
    return EXIT_DONE;
}

static int taken(const char *name)
{
    return refuse("there is an API key \"%s\" already; take another name, or remove that one with "
                  "\"bellhop api-key remove\"",
                  name);
}

static int add(struct db *db, struct addition *addition)
{
    char text[APIKEY_TEXT_SIZE];
    int done = EXIT_REFUSED;

    if (find_owner(db, addition) != EXIT_DONE)
        return EXIT_REFUSED;
    switch (database_result(db, accounts->api_key_draw(db, &addition->key, text, NULL))) {
    case DB_OK: done = show(addition, text); break;
    case DB_TAKEN: taken(addition->key.name); break;
    case DB_NONE:
        refuse("the customer has no such domain; \"bellhop domain list\" shows them");
        break;
    default: break;
    }
    sodium_memzero(text, sizeof(text));
    return done;
}

int api_key_add_main(struct instance *instance, int argc, char **argv)
{
    struct addition addition = {0};

    if (parse_add(&addition, argc, argv) != 0)
        return EXIT_USAGE;
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = add(db, &addition);
    accounts->close(db);
    return done;
}

/* --- list and remove */

static enum db_result next_key(struct db *db, const struct db_customer *customer,
                               struct db_api_key *key)
{
    return customer != NULL ? accounts->api_key_next(db, customer->id, key)
                            : accounts->operator_api_key_next(db, key);
}

static int list_keys(struct instance *instance, struct db *db, const struct db_customer *customer,
                     bool json)
{
    struct db_api_key key = {0};
    enum db_result result;
    (void)instance;

    json_t *rows = json_array();
    while ((result = next_key(db, customer, &key)) == DB_OK)
        json_array_append_new(rows, key_row(&key));
    return database_list_end(db, result, rows, columns, json);
}

int api_key_list_main(struct instance *instance, int argc, char **argv)
{
    return database_listing(instance, argc, argv, list_keys);
}

/* Without a customer, of the operator's own. */
static int find_key(struct db *db, const char *customer_name, const char *name,
                    struct db_api_key *key_r)
{
    struct db_customer customer;
    enum db_result result;

    *key_r = (struct db_api_key){0};
    if (customer_name != NULL && database_customer(db, customer_name, &customer) != EXIT_DONE)
        return EXIT_REFUSED;
    do
        result = next_key(db, customer_name != NULL ? &customer : NULL, key_r);
    while (result == DB_OK &&
           (strcmp(key_r->name, name) != 0 || (customer_name == NULL && key_r->customer != 0)));
    if (database_result(db, result) == DB_NONE)
        refuse("there is no API key \"%s\"; \"bellhop api-key list\" shows them and whose they are",
               name);
    return result == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}

static int change_result(const struct db *db, enum db_result result, const char *name)
{
    switch (database_result(db, result)) {
    case DB_OK: return EXIT_DONE;
    case DB_TAKEN: return taken(name);
    case DB_NONE: return refuse("the API key was removed just now");
    default: return EXIT_REFUSED;
    }
}

int api_key_remove_main(struct instance *instance, int argc, char **argv)
{
    struct db_api_key key;
    const char *customer;

    if (command_customer(argc, argv, &customer) != 0 || command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = find_key(db, customer, argv[optind], &key);
    if (done == EXIT_DONE)
        done = change_result(db, accounts->api_key_remove(db, key.customer, key.id), key.name);
    accounts->close(db);
    return done;
}

/* --- set */

struct change {
    const char *customer;
    const char *name;
    bool role_given, networks_given, rate_given, expires_given;
    struct db_api_key key; /* with what is given */
};

static int take_new_role(struct change *change, const char *text)
{
    change->role_given = true;
    if (db_role_parse(text, &change->key.role) == 0)
        return 0;
    return wrong_role(text);
}

static int take_change(struct change *change, int option, const char *text)
{
    bool none = strcmp(text, "none") == 0;
    const char *error;

    switch (option) {
    case 'c': change->customer = text; return 0;
    case 'm':
        change->name = text;
        return db_api_key_name_check(text, &error) == 0 ? 0 : wrong_usage("%s", error);
    case 'r': return take_new_role(change, text);
    case 'n': change->networks_given = true; return none ? 0 : take_network(&change->key, text);
    case 'e':
        change->expires_given = true;
        return strcmp(text, "never") == 0 ? 0 : take_days(&change->key, text);
    case 'l': change->rate_given = true; return none ? 0 : take_rate(&change->key, text);
    default: return EXIT_USAGE;
    }
}

static int parse_set(struct change *change, int argc, char **argv)
{
    static const struct option options[] = {{"customer", required_argument, NULL, 'c'},
                                            {"name", required_argument, NULL, 'm'},
                                            {"role", required_argument, NULL, 'r'},
                                            {"network", required_argument, NULL, 'n'},
                                            {"expires", required_argument, NULL, 'e'},
                                            {"rate", required_argument, NULL, 'l'},
                                            {0}};
    int option;

    while ((option = command_option(argc, argv, options)) != -1)
        if (option == '?' || take_change(change, option, optarg) != 0)
            return EXIT_USAGE;
    if (change->name == NULL && !change->role_given && !change->networks_given &&
        !change->rate_given && !change->expires_given)
        return wrong_usage("say what to change in the key");
    return command_arguments(argc, argv, 1, 1);
}

static int set(struct db *db, const struct change *change, const char *name)
{
    struct db_api_key key;

    if (find_key(db, change->customer, name, &key) != EXIT_DONE)
        return EXIT_REFUSED;
    if (change->role_given && (db_role_is_operator(change->key.role) != (key.customer == 0) ||
                               (change->key.role == DB_ROLE_OWNER) != (key.mailbox != 0)))
        return refuse(
            "the key \"%s\" stays one of the operator's, a customer's or an owner's; make "
            "another one with \"bellhop api-key add\"",
            name);
    if (change->role_given)
        key.role = change->key.role;
    if (change->networks_given)
        snprintf(key.networks, sizeof(key.networks), "%s", change->key.networks);
    if (change->rate_given)
        key.rate = change->key.rate;
    if (change->expires_given)
        key.expires = change->key.expires;
    if (change->name != NULL)
        snprintf(key.name, sizeof(key.name), "%s", change->name);
    return change_result(db, accounts->api_key_set(db, &key), key.name);
}

int api_key_set_main(struct instance *instance, int argc, char **argv)
{
    struct change change = {0};

    if (parse_set(&change, argc, argv) != 0)
        return EXIT_USAGE;
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = set(db, &change, argv[optind]);
    accounts->close(db);
    return done;
}
