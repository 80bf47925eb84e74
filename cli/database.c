#include "cli/database.h"
#include "cli/accounts.h"
#include "cli/command.h"
#include "db/adminuser.h"
#include "db/apikey.h"
#include "db/apppassword.h"
#include "db/issuer.h"
#include "db/job.h"
#include "db/limit.h"
#include "db/trusted.h"
#include "db/webhook.h"

/* What has the same limit for every customer. */
static const struct {
    const char *whose;
    unsigned most;
    const char *things;
    const char *how; /* it becomes less */
} fixed[DB_LIMIT__MAX] = {
    [DB_LIMIT_TRUSTED_NETWORKS] = {"a customer", DB_TRUSTED_MAX, "trusted networks",
                                   "remove one with \"bellhop trusted-network remove\""},
    [DB_LIMIT_APP_PASSWORDS] = {"a mailbox", DB_APP_PASSWORDS_MAX, "app passwords",
                                "remove one with \"bellhop app-password remove\""},
    [DB_LIMIT_WEBHOOKS] = {"a customer, like the operator,", DB_WEBHOOKS_MAX, "webhooks",
                           "remove one with \"bellhop webhook remove\""},
    [DB_LIMIT_API_KEYS] = {"a customer, like the operator,", DB_API_KEYS_MAX, "API keys",
                           "remove one with \"bellhop api-key remove\""},
    [DB_LIMIT_TOKEN_ISSUERS] = {"a customer", DB_ISSUERS_MAX, "issuers of tokens",
                                "remove one with \"bellhop token-issuer remove\""},
    [DB_LIMIT_JOBS] = {"a customer, like the operator,", DB_JOBS_MAX, "uploads under way",
                       "see \"bellhop job list\" for them, and wait or cancel one"},
    [DB_LIMIT_ADMIN_USERS] = {"a customer, like the operator,", DB_ADMIN_USERS_MAX, "admin users",
                              "remove one with \"bellhop admin-user remove\""},
};

static void refuse_limit(const struct db *db)
{
    struct db_limit limit;

    accounts->limit_get(db, &limit);
    if (fixed[limit.kind].whose != NULL) {
        refuse("%s can have %u %s and has as many; %s", fixed[limit.kind].whose,
               fixed[limit.kind].most, fixed[limit.kind].things, fixed[limit.kind].how);
        return;
    }
    if (limit.kind == DB_LIMIT_MAILBOX_OCTETS) {
        refuse("the plan \"%s\" allows a mailbox less than that; take a smaller quota, or give "
               "\"%s\" a larger plan with \"bellhop customer set\"",
               limit.plan, limit.customer);
        return;
    }
    const char *thing = limit.kind == DB_LIMIT_ADDRESSES ? "address" : "domain";
    const char *plural = limit.kind == DB_LIMIT_ADDRESSES ? "es" : "s";
    refuse("the plan \"%s\" allows %u %s%s, and \"%s\" has %u; remove some, or give it a larger "
           "plan with \"bellhop customer set\"",
           limit.plan, limit.allowed, thing, limit.allowed != 1 ? plural : "", limit.customer,
           limit.used);
}

enum db_result database_result(const struct db *db, enum db_result result)
{
    switch (result) {
    case DB_LIMIT: refuse_limit(db); break;
    case DB_BUSY: refuse("another program is changing the account database; try again"); break;
    case DB_BROKEN:
        if (accounts->broken != NULL)
            refuse("%s", accounts->broken);
        break;
    case DB_OK:
    case DB_NONE:
    case DB_TAKEN: break;
    }
    return result;
}

int database_customer(struct db *db, const char *name, struct db_customer *customer_r)
{
    enum db_result result = database_result(db, accounts->customer_find(db, name, customer_r));

    if (result == DB_NONE)
        refuse("there is no customer \"%s\"; \"bellhop customer list\" shows them", name);
    return result == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}

int database_list_end(const struct db *db, enum db_result last, json_t *rows,
                      const struct listing_column *columns, bool json)
{
    if (database_result(db, last) != DB_NONE) {
        json_decref(rows);
        return EXIT_REFUSED;
    }
    listing_print(rows, columns, json);
    return EXIT_DONE;
}

int database_list(struct instance *instance, int argc, char **argv,
                  enum db_result (*collect)(struct db *db, json_t *rows),
                  const struct listing_column *columns)
{
    bool json;

    if (command_json(argc, argv, &json) != 0 || command_arguments(argc, argv, 0, 0) != 0)
        return EXIT_USAGE;
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    json_t *rows = json_array();
    enum db_result last = collect(db, rows);
    int done = database_list_end(db, last, rows, columns, json);
    accounts->close(db);
    return done;
}

int database_listing(struct instance *instance, int argc, char **argv,
                     int (*list)(struct instance *instance, struct db *db,
                                 const struct db_customer *customer, bool json))
{
    static const struct option options[] = {
        {"customer", required_argument, NULL, 'c'}, {"json", no_argument, NULL, 'j'}, {0}};
    struct db_customer customer;
    const char *name = NULL;
    bool json = false;
    int option;

    while ((option = command_option(argc, argv, options)) != -1)
        switch (option) {
        case 'c': name = optarg; break;
        case 'j': json = true; break;
        default: return EXIT_USAGE;
        }
    if (command_arguments(argc, argv, 0, 0) != 0)
        return EXIT_USAGE;
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = EXIT_DONE;
    if (name != NULL)
        done = database_customer(db, name, &customer);
    if (done == EXIT_DONE)
        done = list(instance, db, name != NULL ? &customer : NULL, json);
    accounts->close(db);
    return done;
}

int database_list_each(struct instance *instance, struct db *db, const struct db_customer *customer,
                       enum db_result (*add)(struct instance *instance, struct db *db,
                                             const struct db_customer *customer, json_t *rows),
                       const struct listing_column *columns, bool json)
{
    struct db_customer each = {0};
    enum db_result result = DB_NONE;

    json_t *rows = json_array();
    if (customer != NULL)
        result = add(instance, db, customer, rows);
    else
        while (result == DB_NONE && (result = accounts->customer_next(db, &each)) == DB_OK)
            result = add(instance, db, &each, rows);
    return database_list_end(db, result, rows, columns, json);
}
