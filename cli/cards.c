/* bellhop address cards: invitations for a customer's mailboxes, as a page to print. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/accounts.h"
#include "cli/address.h"
#include "cli/cards.h"
#include "cli/command.h"
#include "cli/database.h"
#include "db/domain.h"
#include "db/sheet.h"
#include "db/transaction.h"
#include "lib/xalloc.h"

/* --- here */

static enum db_result collect(struct db_sheet *sheet, struct db *db,
                              const struct cards_wanted *wanted)
{
    enum db_result result = db_sheet_begin(db, wanted->customer.id, sheet);

    memcpy(sheet->domain, wanted->domain, sizeof(sheet->domain));
    if (result == DB_OK && wanted->count == 0)
        return db_sheet_add_new(db, sheet, SIZE_MAX);
    for (size_t i = 0; result == DB_OK && i < wanted->count; i++)
        result = db_sheet_add(db, sheet, &wanted->addresses[i]);
    return result;
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

enum db_result cards_print(struct db *db, const struct conf *conf,
                           const struct cards_wanted *wanted, FILE *file)
{
    struct db_sheet sheet = {0};

    enum db_result result = collect(&sheet, db, wanted);
    if (result == DB_OK && sheet.count == 0)
        result = DB_NONE;
    if (result == DB_OK)
        result = invite_all(&sheet, db);
    if (result == DB_OK)
        result = write_cards(&sheet, db, conf, file);
    db_sheet_free(&sheet);
    return result;
}

/* --- the command */

/* Each is a mailbox of the customer and of the domain. */
static int find_named(struct cards_wanted *wanted, struct db *db, char **names)
{
    const char *domain = wanted->domain;
    struct db_mailaddress owner;

    for (size_t i = 0; i < wanted->count; i++) {
        struct address *address = &wanted->addresses[i];
        if (address_argument(address, names[i]) != EXIT_DONE ||
            address_lookup_mailbox(db, address, &owner) != EXIT_DONE)
            return EXIT_REFUSED;
        if (owner.customer != wanted->customer.id ||
            (domain[0] != '\0' && strcmp(address->domain, domain) != 0))
            return refuse("%s is not among the addresses of \"%s\"%s%s", address->text,
                          wanted->customer.name, domain[0] != '\0' ? " in " : "", domain);
    }
    return EXIT_DONE;
}

static int find_domain(const struct cards_wanted *wanted, struct db *db)
{
    struct db_domain domain;

    if (wanted->domain[0] == '\0')
        return EXIT_DONE;
    enum db_result result = database_result(db, accounts->domain_find(db, wanted->domain, &domain));
    if (result == DB_NONE || (result == DB_OK && domain.customer != wanted->customer.id))
        return refuse("\"%s\" has no domain %s", wanted->customer.name, wanted->domain);
    return result == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}

static int print_wanted(struct db *db, const struct conf *conf, const struct cards_wanted *wanted)
{
    enum db_result result = database_result(db, accounts->cards_print(db, conf, wanted, stdout));

    if (result == DB_NONE && wanted->count > 0)
        return refuse("one of the addresses was removed just now; nothing was changed");
    if (result == DB_NONE)
        return refuse("each mailbox of \"%s\"%s%s has a password; name the addresses that are to "
                      "choose another one",
                      wanted->customer.name, wanted->domain[0] != '\0' ? " in " : "",
                      wanted->domain);
    if (result != DB_OK)
        return EXIT_REFUSED;
    if (fflush(stdout) != 0 || ferror(stdout))
        return refuse("cannot write the cards; make them anew, for the invitations of before hold "
                      "no longer");
    return EXIT_DONE;
}

static int make_cards(struct cards_wanted *wanted, struct instance *instance, const char *customer,
                      char **names)
{
    struct db *db = instance_open_database(instance);

    if (db == NULL)
        return EXIT_REFUSED;
    int done = EXIT_DONE;
    if (!accounts->remote && instance->conf.page_url[0] == '\0')
        done = refuse("links need the address of the pages; set page_url in %s", INSTANCE_CONF);
    if (done == EXIT_DONE)
        done = database_customer(db, customer, &wanted->customer);
    if (done == EXIT_DONE)
        done = find_domain(wanted, db);
    if (done == EXIT_DONE)
        done = find_named(wanted, db, names);
    if (done == EXIT_DONE)
        done = print_wanted(db, &instance->conf, wanted);
    accounts->close(db);
    return done;
}

static int parse_domain(struct cards_wanted *wanted, const char *text)
{
    const char *error;

    if (text == NULL || address_parse_domain(wanted->domain, text, strlen(text), &error) == 0)
        return EXIT_DONE;
    return refuse("\"%s\" is no domain: %s", text, error);
}

int address_cards_main(struct instance *instance, int argc, char **argv)
{
    static const struct option options[] = {
        {"customer", required_argument, NULL, 'c'}, {"domain", required_argument, NULL, 'd'}, {0}};
    struct cards_wanted wanted = {0};
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
    if (parse_domain(&wanted, domain) != EXIT_DONE)
        return EXIT_REFUSED;
    wanted.count = (size_t)(argc - optind);
    wanted.addresses = xcalloc(wanted.count + 1, sizeof(*wanted.addresses));
    int done = make_cards(&wanted, instance, customer, argv + optind);
    free(wanted.addresses);
    return done;
}
