/* The commands about issuers of tokens. */
#include <string.h>

#include "cli/accounts.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/listing.h"
#include "db/issuer.h"

static const struct listing_column columns[] = {{"issuer", "ISSUER", LISTING_TEXT},
                                                {"customer", "CUSTOMER", LISTING_TEXT},
                                                {"audience", "AUDIENCE", LISTING_TEXT},
                                                {"claim", "CLAIM", LISTING_TEXT},
                                                {"fetched", "KEYS FETCHED", LISTING_TIME},
                                                {"failure", "LAST FAILURE", LISTING_TEXT},
                                                {0}};

struct wanted {
    const char *customer;
    const char *audience;
    const char *claim;
};

/* Returns 0, or EXIT_USAGE after wrong_usage(). */
static int parse_options(int argc, char **argv, struct wanted *wanted_r)
{
    static const struct option options[] = {{"customer", required_argument, NULL, 'c'},
                                            {"audience", required_argument, NULL, 'a'},
                                            {"claim", required_argument, NULL, 'm'},
                                            {NULL, 0, NULL, 0}};
    int option;

    *wanted_r = (struct wanted){.claim = "email"};
    while ((option = command_option(argc, argv, options)) != -1) {
        switch (option) {
        case 'c': wanted_r->customer = optarg; break;
        case 'a': wanted_r->audience = optarg; break;
        case 'm': wanted_r->claim = optarg; break;
        default: return EXIT_USAGE;
        }
    }
    if (command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    if (wanted_r->customer == NULL || wanted_r->audience == NULL) {
        wrong_usage("say with --customer whose mailboxes its tokens open, and with --audience what "
                    "must stand in their \"aud\"; tokens for other services open nothing");
        return EXIT_USAGE;
    }
    return 0;
}

static int copy(char *text_r, size_t size, const char *text)
{
    if (strlen(text) >= size)
        return -1;
    memcpy(text_r, text, strlen(text) + 1);
    return 0;
}

static int fill_in(struct db_issuer *issuer_r, const char *text, const struct wanted *wanted)
{
    const char *error;

    memset(issuer_r, 0, sizeof(*issuer_r));
    if (copy(issuer_r->issuer, sizeof(issuer_r->issuer), text) < 0 ||
        copy(issuer_r->audience, sizeof(issuer_r->audience), wanted->audience) < 0 ||
        copy(issuer_r->claim, sizeof(issuer_r->claim), wanted->claim) < 0)
        return refuse("issuer and audience are at most %d octets each, and a claim %d",
                      DB_ISSUER_MAX, DB_ISSUER_CLAIM_MAX);
    return db_issuer_check(issuer_r, &error) == 0 ? EXIT_DONE : refuse("%s", error);
}

static int add_issuer(struct db *db, const struct db_customer *customer,
                      const struct db_issuer *issuer)
{
    enum db_result result = accounts->issuer_add(db, customer->id, issuer);

    switch (result) {
    case DB_OK: return EXIT_DONE;
    case DB_TAKEN:
        return refuse(
            "%s is an issuer of \"%s\" already; \"bellhop token-issuer remove\" ends that",
            issuer->issuer, customer->name);
    case DB_NONE: return refuse("the customer \"%s\" was removed just now", customer->name);
    case DB_LIMIT:
        return refuse("\"%s\" has %d issuers, and no customer can have more", customer->name,
                      DB_ISSUERS_MAX);
    default: database_result(db, result); return EXIT_REFUSED;
    }
}

int token_issuer_add_main(struct instance *instance, int argc, char **argv)
{
    struct db_customer customer;
    struct db_issuer issuer;
    struct wanted wanted;

    if (parse_options(argc, argv, &wanted) != 0)
        return EXIT_USAGE;
    if (fill_in(&issuer, argv[optind], &wanted) != EXIT_DONE)
        return EXIT_REFUSED;
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = database_customer(db, wanted.customer, &customer);
    if (done == EXIT_DONE)
        done = add_issuer(db, &customer, &issuer);
    accounts->close(db);
    return done;
}

static int remove_issuer(struct db *db, const struct db_customer *customer, const char *issuer)
{
    switch (database_result(db, accounts->issuer_remove(db, customer->id, issuer))) {
    case DB_OK: return EXIT_DONE;
    case DB_NONE:
        return refuse("%s is no issuer of \"%s\"; \"bellhop token-issuer list\" shows which are",
                      issuer, customer->name);
    default: return EXIT_REFUSED;
    }
}

int token_issuer_remove_main(struct instance *instance, int argc, char **argv)
{
    struct db_customer customer;
    const char *name;

    if (command_customer(argc, argv, &name) != 0 || command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    if (name == NULL)
        return wrong_usage("say whose issuer it is with --customer");
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = database_customer(db, name, &customer);
    if (done == EXIT_DONE)
        done = remove_issuer(db, &customer, argv[optind]);
    accounts->close(db);
    return done;
}

static json_t *row_of(const struct db_issuer *issuer, const char *customer)
{
    return json_pack("{ss ss ss ss so ss?}", "issuer", issuer->issuer, "customer", customer,
                     "audience", issuer->audience, "claim", issuer->claim, "fetched",
                     listing_time(issuer->fetched), "failure",
                     issuer->failure[0] != '\0' ? issuer->failure : NULL);
}

static enum db_result add_rows(struct instance *instance, struct db *db,
                               const struct db_customer *customer, json_t *rows)
{
    struct db_issuer issuer = {0};
    enum db_result result;
    (void)instance;

    while ((result = accounts->issuer_next(db, customer->id, &issuer)) == DB_OK)
        json_array_append_new(rows, row_of(&issuer, customer->name));
    return result;
}

static int list_issuers(struct instance *instance, struct db *db,
                        const struct db_customer *customer, bool json)
{
    return database_list_each(instance, db, customer, add_rows, columns, json);
}

int token_issuer_list_main(struct instance *instance, int argc, char **argv)
{
    return database_listing(instance, argc, argv, list_issuers);
}
