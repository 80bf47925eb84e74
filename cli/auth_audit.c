/* bellhop auth audit: which passwords are still hashed as another server did, or at another cost.
 */
#include <sodium.h>

#include "cli/command.h"
#include "cli/database.h"
#include "cli/listing.h"
#include "db/credential.h"
#include "lib/storedhash.h"

static const struct listing_column columns[] = {{"customer", "CUSTOMER", LISTING_TEXT},
                                                {"address", "ADDRESS", LISTING_TEXT},
                                                {"scheme", "SCHEME", LISTING_TEXT},
                                                {"changed", "SET", LISTING_TIME},
                                                {0}};

/* NULL: it is as it would be made today. */
static const char *find_scheme(const struct conf *conf, const char *text)
{
    struct storedhash hash;
    const char *error;
    const char *scheme = "damaged";

    if (storedhash_parse(&hash, text, &error) == 0)
        scheme = storedhash_is_current(&hash, conf->hash_operations, conf->hash_memory) ? NULL
                 : hash.kind == STOREDHASH_OWN ? "ARGON2ID of another cost"
                                               : hash.scheme;
    sodium_memzero(&hash, sizeof(hash));
    return scheme;
}

static enum db_result collect(struct db *db, const struct conf *conf,
                              const struct db_customer *customer, json_t *rows)
{
    struct db_credential credential = {0};
    enum db_result result;

    while ((result = db_credential_next(db, customer->id, &credential)) == DB_OK) {
        const char *scheme = find_scheme(conf, credential.hash);
        if (scheme != NULL)
            json_array_append_new(rows, json_pack("{ss ss ss so}", "customer", customer->name,
                                                  "address", credential.address, "scheme", scheme,
                                                  "changed", listing_time(credential.changed)));
    }
    sodium_memzero(&credential, sizeof(credential));
    return result;
}

static int audit(struct instance *instance, struct db *db, const char *name, bool json)
{
    struct db_customer customer = {0};
    enum db_result result = DB_NONE;

    if (name != NULL && database_customer(db, name, &customer) != EXIT_DONE)
        return EXIT_REFUSED;
    json_t *rows = json_array();
    if (name != NULL)
        result = collect(db, &instance->conf, &customer, rows);
    else
        while (result == DB_NONE && (result = db_customer_next(db, &customer)) == DB_OK)
            result = collect(db, &instance->conf, &customer, rows);
    return database_list_end(db, result, rows, columns, json);
}

int auth_audit_main(struct instance *instance, int argc, char **argv)
{
    static const struct option options[] = {
        {"customer", required_argument, NULL, 'c'}, {"json", no_argument, NULL, 'j'}, {0}};
    const char *customer = NULL;
    bool json = false;
    int option;

    while ((option = command_option(argc, argv, options)) != -1)
        switch (option) {
        case 'c': customer = optarg; break;
        case 'j': json = true; break;
        default: return EXIT_USAGE;
        }
    if (command_arguments(argc, argv, 0, 0) != 0)
        return EXIT_USAGE;
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = audit(instance, db, customer, json);
    db_close(db);
    return done;
}
