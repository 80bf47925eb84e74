/* bellhop address cards: invitations for a customer's mailboxes, as a page to print. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/address.h"
#include "cli/command.h"
#include "cli/database.h"
#include "db/domain.h"
#include "db/sheet.h"
#include "db/transaction.h"

/* The mailboxes without a password. */
static int collect_new(struct db_sheet *sheet, struct db *db)
{
    if (database_result(db, db_sheet_add_new(db, sheet, SIZE_MAX)) != DB_OK)
        return EXIT_REFUSED;
    if (sheet->count == 0)
        return refuse("each mailbox of \"%s\"%s%s has a password; name the addresses that are to "
                      "choose another one",
                      sheet->customer.name, sheet->domain[0] != '\0' ? " in " : "", sheet->domain);
    return EXIT_DONE;
}

static int collect_named(struct db_sheet *sheet, struct db *db, char **names, size_t count)
{
    struct db_mailaddress owner;
    struct address address;

    for (size_t i = 0; i < count; i++) {
        if (address_argument(&address, names[i]) != EXIT_DONE ||
            address_lookup_mailbox(db, &address, &owner) != EXIT_DONE)
            return EXIT_REFUSED;
        enum db_result result = database_result(db, db_sheet_add(db, sheet, &address));
        if (result == DB_NONE)
            return refuse("%s is not among the addresses of \"%s\"%s%s", address.text,
                          sheet->customer.name, sheet->domain[0] != '\0' ? " in " : "",
                          sheet->domain);
        if (result != DB_OK)
            return EXIT_REFUSED;
    }
    return EXIT_DONE;
}

/* All invitations of before stay good unless all of these are. */
static enum db_result invite_all(struct db_sheet *sheet, struct db *db)
{
    enum db_result result = db_transaction_begin(db);

    if (result == DB_OK)
        result = db_sheet_invite(db, sheet);
    if (result == DB_OK)
        return db_transaction_commit(db);
    db_transaction_rollback(db);
    return result;
}

static enum db_result write_cards(const struct db_sheet *sheet, struct db *db,
                                  const struct conf *conf, FILE *file)
{
    char server[CONF_SERVER_SIZE];
    struct welcomecards cards = {.file = file,
                                 .language = sheet->customer.language,
                                 .customer = sheet->customer.name,
                                 .pop3_server = server,
                                 .smtp_server = conf->smtp_server};
    enum db_result result = DB_OK;

    conf_pop3_server(conf, server);
    welcomecards_begin(&cards);
    for (size_t i = 0; i < sheet->count && result == DB_OK; i++)
        result = db_sheet_draw(db, sheet, i, conf->page_url, &cards);
    welcomecards_end(&cards);
    return result;
}

static int print_sheet(struct db_sheet *sheet, struct db *db, const struct conf *conf)
{
    enum db_result result = database_result(db, invite_all(sheet, db));

    if (result == DB_NONE)
        return refuse("one of the addresses was removed just now; nothing was changed");
    if (result != DB_OK)
        return EXIT_REFUSED;
    result = database_result(db, write_cards(sheet, db, conf, stdout));
    if (fflush(stdout) != 0 || ferror(stdout) || result != DB_OK)
        return refuse("cannot write the cards; make them anew, for the invitations of before hold "
                      "no longer");
    return EXIT_DONE;
}

/* Keeps the domain that was given. */
static int find_customer(struct db_sheet *sheet, struct db *db, const char *name)
{
    char domain_name[ADDRESS_DOMAIN_MAX + 1];
    struct db_customer customer;
    struct db_domain domain;

    if (database_customer(db, name, &customer) != EXIT_DONE)
        return EXIT_REFUSED;
    memcpy(domain_name, sheet->domain, sizeof(domain_name));
    if (database_result(db, db_sheet_begin(db, customer.id, sheet)) != DB_OK)
        return EXIT_REFUSED;
    memcpy(sheet->domain, domain_name, sizeof(domain_name));
    if (sheet->domain[0] == '\0')
        return EXIT_DONE;
    enum db_result result = database_result(db, db_domain_find(db, sheet->domain, &domain));
    if (result == DB_NONE || (result == DB_OK && domain.customer != customer.id))
        return refuse("\"%s\" has no domain %s", customer.name, sheet->domain);
    return result == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}

static int make_sheet(struct db_sheet *sheet, struct instance *instance, const char *customer,
                      char **names, size_t count)
{
    struct db *db = instance_open_database(instance);

    if (db == NULL)
        return EXIT_REFUSED;
    int done = EXIT_DONE;
    if (instance->conf.page_url[0] == '\0')
        done = refuse("links need the address of the pages; set page_url in %s", INSTANCE_CONF);
    if (done == EXIT_DONE)
        done = find_customer(sheet, db, customer);
    if (done == EXIT_DONE)
        done = count > 0 ? collect_named(sheet, db, names, count) : collect_new(sheet, db);
    if (done == EXIT_DONE)
        done = print_sheet(sheet, db, &instance->conf);
    db_close(db);
    return done;
}

static int parse_domain(struct db_sheet *sheet, const char *text)
{
    const char *error;

    if (text == NULL || address_parse_domain(sheet->domain, text, strlen(text), &error) == 0)
        return EXIT_DONE;
    return refuse("\"%s\" is no domain: %s", text, error);
}

int address_cards_main(struct instance *instance, int argc, char **argv)
{
    static const struct option options[] = {
        {"customer", required_argument, NULL, 'c'}, {"domain", required_argument, NULL, 'd'}, {0}};
    struct db_sheet sheet = {0};
    const char *customer = NULL;
    const char *domain = NULL;
    int option;

    while ((option = command_option(argc, argv, options)) != -1)
        switch (option) {
        case 'c': customer = optarg; break;
        case 'd': domain = optarg; break;
        default: return EXIT_USAGE;
        }
    if (command_arguments(argc, argv, 0, DB_PLAN_ADDRESSES_MAX) != 0)
        return EXIT_USAGE;
    if (customer == NULL)
        return wrong_usage("say whose addresses they are with --customer");
    if (parse_domain(&sheet, domain) != EXIT_DONE)
        return EXIT_REFUSED;
    int done = make_sheet(&sheet, instance, customer, argv + optind, (size_t)(argc - optind));
    db_sheet_free(&sheet);
    return done;
}
