/* What was removed: shown, restored, purged. */
#include <inttypes.h>

#include "cli/accounts.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/listing.h"
#include "cli/number.h"
#include "cli/removal.h"

/* For how long a server keeps it, it knows by itself; this is not 0. */
#define REMOVAL_AS_CONFIGURED 1

static const struct listing_column columns[] = {{"id", "ID", LISTING_NUMBER},
                                                {"kind", "KIND", LISTING_TEXT},
                                                {"name", "NAME", LISTING_TEXT},
                                                {"customer", "CUSTOMER", LISTING_TEXT},
                                                {"removed", "REMOVED", LISTING_TIME},
                                                {"purge", "KEPT UNTIL", LISTING_TIME},
                                                {0}};

int removal_options(int argc, char **argv, bool *now_r)
{
    static const struct option options[] = {{"now", no_argument, NULL, 'n'}, {0}};
    int option;

    *now_r = false;
    while ((option = command_option(argc, argv, options)) != -1) {
        if (option == '?')
            return EXIT_USAGE;
        *now_r = true;
    }
    return command_arguments(argc, argv, 1, 1);
}

uint64_t removal_keep(const struct instance *instance, bool now)
{
    if (now)
        return 0;
    return accounts->remote ? REMOVAL_AS_CONFIGURED : instance->conf.removed_days * 86400;
}

static int restore_result(const struct db *db, const struct db_removal *removal,
                          enum db_result result)
{
    const char *kind = db_removal_kind_name(removal->kind);

    switch (database_result(db, result)) {
    case DB_OK: return EXIT_DONE;
    case DB_TAKEN:
        return refuse("the name of the %s \"%s\" has been taken since it was removed; rename or "
                      "remove what has it",
                      kind, removal->name);
    case DB_NONE:
        return refuse("the %s \"%s\" is being purged, or what it belonged to was removed as well; "
                      "restore that first",
                      kind, removal->name);
    default: return EXIT_REFUSED;
    }
}

static int restore(struct db *db, enum db_removal_kind kind, const char *name,
                   const char *customer_name)
{
    struct db_customer customer = {0};
    struct db_removal removal;

    if (customer_name != NULL && database_customer(db, customer_name, &customer) != EXIT_DONE)
        return EXIT_REFUSED;
    enum db_result result =
        database_result(db, accounts->removal_find(db, customer.id, kind, name, &removal));
    if (result == DB_NONE)
        return refuse("no %s \"%s\" was removed that could be restored; \"bellhop removed list\" "
                      "shows what can be",
                      db_removal_kind_name(kind), name);
    if (result != DB_OK)
        return EXIT_REFUSED;
    return restore_result(db, &removal, accounts->removal_restore(db, &removal));
}

int removal_restore(struct instance *instance, enum db_removal_kind kind, const char *name,
                    const char *customer)
{
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = restore(db, kind, name, customer);
    accounts->close(db);
    return done;
}

static json_t *removal_row(const struct db_removal *removal)
{
    return json_pack("{sI ss ss ss so so}", "id", (json_int_t)removal->id, "kind",
                     db_removal_kind_name(removal->kind), "name", removal->name, "customer",
                     removal->customer_name, "removed", listing_time(removal->time), "purge",
                     listing_time(removal->purge));
}

static int list_removals(struct instance *instance, struct db *db,
                         const struct db_customer *customer, bool json)
{
    struct db_removal removal = {0};
    enum db_result result;
    (void)instance;

    json_t *rows = json_array();
    while ((result = customer != NULL ? accounts->removal_next(db, customer->id, &removal)
                                      : accounts->operator_removal_next(db, &removal)) == DB_OK)
        json_array_append_new(rows, removal_row(&removal));
    return database_list_end(db, result, rows, columns, json);
}

int removed_list_main(struct instance *instance, int argc, char **argv)
{
    return database_listing(instance, argc, argv, list_removals);
}

static int purge(struct db *db, uint64_t id)
{
    struct db_removal removal = {.id = id - 1};

    enum db_result result = accounts->operator_removal_next(db, &removal);
    if (result == DB_OK)
        result = removal.id == id ? accounts->removal_purge(db, &removal) : DB_NONE;
    if (database_result(db, result) == DB_NONE)
        return refuse("no removal has the number %" PRIu64 "; \"bellhop removed list\" shows them",
                      id);
    return result == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}

int removed_purge_main(struct instance *instance, int argc, char **argv)
{
    static const struct option none[] = {{0}};
    uint64_t id;

    if (command_option(argc, argv, none) != -1 || command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    if (number_parse(argv[optind], 1, INT64_MAX, &id) < 0)
        return wrong_usage("an ID is a number of \"bellhop removed list\"");
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = purge(db, id);
    accounts->close(db);
    return done;
}
