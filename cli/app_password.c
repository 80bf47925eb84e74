/* The commands about app passwords: one for each program of a mailbox's owner. */
#include <stdio.h>
#include <time.h>

#include <sodium.h>

#include "cli/accounts.h"
#include "cli/address.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/listing.h"
#include "cli/number.h"
#include "cli/password.h"
#include "db/apppassword.h"

#define DAYS_MAX 3650
#define DAY      86400

static const struct listing_column columns[] = {
    {"name", "NAME", LISTING_TEXT},         {"pop3", "POP3", LISTING_TEXT},
    {"smtp", "SMTP", LISTING_TEXT},         {"expires", "EXPIRES", LISTING_TIME},
    {"created", "CREATED", LISTING_TIME},   {"used", "LAST USED", LISTING_TIME},
    {"used_address", "FROM", LISTING_TEXT}, {0}};

/* --- add */

struct addition {
    struct address address;
    struct db_app_password password;
    bool json;
};

/* It is shown once, and is nowhere afterwards. */
static int show(const struct addition *addition, const char *text)
{
    const struct db_app_password *password = &addition->password;
    json_t *expires = listing_time(password->expires);

    if (addition->json) {
        listing_print_one(json_pack("{ss ss ss sb sb so}", "address", addition->address.text,
                                    "name", password->name, "password", text, "pop3",
                                    (int)password->pop3, "smtp", (int)password->smtp, "expires",
                                    expires),
                          columns, true);
        return EXIT_DONE;
    }
    int done = password_show("app password", text);
    if (done == EXIT_DONE && password->expires > 0)
        printf("valid until: %s\n", json_string_value(expires));
    json_decref(expires);
    return done;
}

static int add(struct db *db, const struct addition *addition)
{
    const struct db_app_password *password = &addition->password;
    const char *address = addition->address.text;
    char text[APPPASSWORD_TEXT_SIZE];
    struct db_mailaddress found;
    int done = EXIT_REFUSED;

    if (address_lookup_mailbox(db, &addition->address, &found) != EXIT_DONE)
        return EXIT_REFUSED;
    switch (database_result(
        db, accounts->app_password_draw(db, found.customer, &addition->address, password, text))) {
    case DB_OK: done = show(addition, text); break;
    case DB_TAKEN:
        refuse("%s has an app password \"%s\" already; take another name, or remove that one with "
               "\"bellhop app-password remove\"",
               address, password->name);
        break;
    case DB_NONE: refuse("the address %s was removed just now", address); break;
    default: break;
    }
    sodium_memzero(text, sizeof(text));
    return done;
}

static int take_name(struct db_app_password *password, const char *name)
{
    const char *error;

    if (db_app_password_name_check(name, &error) < 0)
        return wrong_usage("%s", error);
    snprintf(password->name, sizeof(password->name), "%s", name);
    return 0;
}

static int take_days(struct db_app_password *password, const char *text)
{
    uint64_t days;

    if (number_parse(text, 1, DAYS_MAX, &days) < 0)
        return wrong_usage("--expires takes a number of days, 1 to %d", DAYS_MAX);
    password->expires = (uint64_t)time(NULL) + days * DAY;
    return 0;
}

/* Without --pop3 and --smtp it is for both. */
static int parse_add(struct addition *addition, int argc, char **argv)
{
    static const struct option options[] = {
        {"name", required_argument, NULL, 'n'}, {"pop3", no_argument, NULL, 'p'},
        {"smtp", no_argument, NULL, 's'},       {"expires", required_argument, NULL, 'e'},
        {"json", no_argument, NULL, 'j'},       {0}};
    struct db_app_password *password = &addition->password;
    int wrong = 0;
    int option;

    while (wrong == 0 && (option = command_option(argc, argv, options)) != -1)
        switch (option) {
        case 'n': wrong = take_name(password, optarg); break;
        case 'p': password->pop3 = true; break;
        case 's': password->smtp = true; break;
        case 'e': wrong = take_days(password, optarg); break;
        case 'j': addition->json = true; break;
        default: return EXIT_USAGE;
        }
    if (wrong != 0 || command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    if (password->name[0] == '\0')
        return wrong_usage("say with --name which program it is for, to know it by later");
    if (!password->pop3 && !password->smtp)
        password->pop3 = password->smtp = true;
    return 0;
}

int app_password_add_main(struct instance *instance, int argc, char **argv)
{
    struct addition addition = {0};

    if (parse_add(&addition, argc, argv) != 0)
        return EXIT_USAGE;
    struct db *db = address_open(instance, argv[optind], &addition.address);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = add(db, &addition);
    accounts->close(db);
    return done;
}

/* --- list */

static json_t *row(const struct db_app_password *password)
{
    return json_pack("{ss sb sb so so so so}", "name", password->name, "pop3", (int)password->pop3,
                     "smtp", (int)password->smtp, "expires", listing_time(password->expires),
                     "created", listing_time(password->created), "used",
                     listing_time(password->used), "used_address",
                     listing_text(password->used_address));
}

static int list(struct db *db, const struct address *address, bool json)
{
    struct db_app_password password = {0};
    struct db_mailaddress found;
    enum db_result result;

    if (address_lookup_mailbox(db, address, &found) != EXIT_DONE)
        return EXIT_REFUSED;
    json_t *rows = json_array();
    while ((result = accounts->app_password_next(db, found.customer, found.mailbox, &password)) ==
           DB_OK)
        json_array_append_new(rows, row(&password));
    return database_list_end(db, result, rows, columns, json);
}

int app_password_list_main(struct instance *instance, int argc, char **argv)
{
    return address_showing(instance, argc, argv, list);
}

/* --- remove */

static int remove_one(struct db *db, const struct address *address, const char *name)
{
    struct db_mailaddress found;

    if (address_lookup_mailbox(db, address, &found) != EXIT_DONE)
        return EXIT_REFUSED;
    switch (database_result(db, accounts->app_password_remove(db, found.customer, address, name))) {
    case DB_OK: return EXIT_DONE;
    case DB_NONE:
        return refuse("%s has no app password \"%s\"; \"bellhop app-password list\" shows them",
                      address->text, name);
    default: return EXIT_REFUSED;
    }
}

int app_password_remove_main(struct instance *instance, int argc, char **argv)
{
    static const struct option none[] = {{0}};
    struct address address;

    if (command_option(argc, argv, none) != -1 || command_arguments(argc, argv, 2, 2) != 0)
        return EXIT_USAGE;
    struct db *db = address_open(instance, argv[optind], &address);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = remove_one(db, &address, argv[optind + 1]);
    accounts->close(db);
    return done;
}
