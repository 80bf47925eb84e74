/* The commands about keys for the HTTP API. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "cli/address.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/listing.h"
#include "cli/number.h"
#include "cli/password.h"
#include "db/apikey.h"
#include "db/secret.h"
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
        return wrong_usage("--network takes an address or a network like 192.0.2.0/24, up to %d "
                           "times, not \"%s\"",
                           NETWORKS_MAX, text);
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
        return wrong_usage("--role takes operator, operator-read, admin, helpdesk, customer-read "
                           "or owner, not \"%s\"",
                           role);
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

static int store(struct db *db, const struct addition *addition, const uint8_t *digest)
{
    switch (database_result(db, db_api_key_add(db, &addition->key, digest, NULL))) {
    case DB_OK: return EXIT_DONE;
    case DB_TAKEN:
        return refuse("there is an API key \"%s\" already; take another name, or remove that one "
                      "with \"bellhop api-key remove\"",
                      addition->key.name);
    case DB_NONE:
        return refuse("the customer has no such domain; \"bellhop domain list\" shows them");
    default: return EXIT_REFUSED;
    }
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

static int add(struct db *db, struct addition *addition)
{
    char text[APIKEY_TEXT_SIZE];
    uint8_t digest[APIKEY_DIGEST_SIZE];
    uint8_t secret[DB_SECRET_SIZE];

    _Static_assert(DB_SECRET_SIZE == APIKEY_KEY_SIZE, "a stored secret is a key");
    if (find_owner(db, addition) != EXIT_DONE)
        return EXIT_REFUSED;
    enum db_result result = database_result(db, db_secret_find(db, DB_SECRET_API_KEY, secret));
    if (result == DB_NONE)
        return refuse("the account database has lost the secret of the API keys; restore it from a "
                      "backup");
    if (result != DB_OK)
        return EXIT_REFUSED;
    apikey_draw(text);
    (void)apikey_digest(digest, secret, text, strlen(text));
    int done = store(db, addition, digest);
    if (done == EXIT_DONE)
        done = show(addition, text);
    sodium_memzero(text, sizeof(text));
    sodium_memzero(secret, sizeof(secret));
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
    db_close(db);
    return done;
}

/* --- list and remove */

static enum db_result next_key(struct db *db, const struct db_customer *customer,
                               struct db_api_key *key)
{
    return customer != NULL ? db_api_key_next(db, customer->id, key)
                            : db_operator_api_key_next(db, key);
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
static int remove_key(struct db *db, const struct db_customer *customer, const char *name)
{
    struct db_api_key key = {0};
    enum db_result result;

    while ((result = next_key(db, customer, &key)) == DB_OK)
        if (strcmp(key.name, name) == 0 && (customer != NULL || key.customer == 0))
            break;
    if (result == DB_OK)
        result = db_api_key_remove(db, key.customer, key.id);
    if (database_result(db, result) == DB_NONE)
        refuse("there is no API key \"%s\"; \"bellhop api-key list\" shows them and whose they are",
               name);
    return result == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}

int api_key_remove_main(struct instance *instance, int argc, char **argv)
{
    struct db_customer customer;
    const char *name;
    int done = EXIT_DONE;

    if (command_customer(argc, argv, &name) != 0 || command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    if (name != NULL)
        done = database_customer(db, name, &customer);
    if (done == EXIT_DONE)
        done = remove_key(db, name != NULL ? &customer : NULL, argv[optind]);
    db_close(db);
    return done;
}
