/* bellhop auth audit: which passwords are still hashed as another server did, or at a lower cost.
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
                 : hash.kind == STOREDHASH_OWN ? "ARGON2ID of a lower cost"
                                               : hash.scheme;
    sodium_memzero(&hash, sizeof(hash));
    return scheme;
}

static enum db_result collect(struct instance *instance, struct db *db,
                              const struct db_customer *customer, json_t *rows)
{
    struct db_credential credential = {0};
    enum db_result result;

    while ((result = db_credential_next(db, customer->id, &credential)) == DB_OK) {
        const char *scheme = find_scheme(&instance->conf, credential.hash);
        if (scheme != NULL)
            json_array_append_new(rows, json_pack("{ss ss ss so}", "customer", customer->name,
                                                  "address", credential.address, "scheme", scheme,
                                                  "changed", listing_time(credential.changed)));
    }
    sodium_memzero(&credential, sizeof(credential));
    return result;
}

static int audit(struct instance *instance, struct db *db, const struct db_customer *customer,
                 bool json)
{
    return database_list_each(instance, db, customer, collect, columns, json);
}

int auth_audit_main(struct instance *instance, int argc, char **argv)
{
    return database_listing(instance, argc, argv, audit);
}
