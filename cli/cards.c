/* bellhop address cards: invitations for a customer's mailboxes, as a page to print. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "cli/address.h"
#include "cli/command.h"
#include "cli/database.h"
#include "db/domain.h"
#include "db/plan.h"
#include "db/transaction.h"
#include "lib/invitation.h"
#include "lib/qrcode.h"
#include "lib/welcomecards.h"
#include "lib/xalloc.h"

_Static_assert(INVITATION_LINK_SIZE <= QRCODE_TEXT_MAX, "a link fits into a code");

struct card {
    struct db_mailaddress owner;
    struct invitation invitation;
};

struct sheet {
    const struct conf *conf;
    struct db_customer customer;
    char domain[ADDRESS_DOMAIN_MAX + 1]; /* empty: all */
    bool sending;                        /* by the customer's plan */
    struct card *cards;
    size_t count;
    size_t room;
};

static void sheet_free(struct sheet *sheet)
{
    if (sheet->cards != NULL)
        sodium_memzero(sheet->cards, sheet->room * sizeof(*sheet->cards));
    free(sheet->cards);
}

/* Before there are secrets in it. Each once: a second invitation would end the first. */
static void sheet_add(struct sheet *sheet, const struct db_mailaddress *owner)
{
    for (size_t i = 0; i < sheet->count; i++)
        if (sheet->cards[i].owner.mailbox == owner->mailbox)
            return;
    if (sheet->count == sheet->room) {
        sheet->room = sheet->room > 0 ? 2 * sheet->room : 32;
        sheet->cards = xrealloc(sheet->cards, sheet->room * sizeof(*sheet->cards));
    }
    sheet->cards[sheet->count++].owner = *owner;
}

static bool is_of_domain(const struct sheet *sheet, const struct db_mailaddress *owner)
{
    return sheet->domain[0] == '\0' || strcmp(strrchr(owner->text, '@') + 1, sheet->domain) == 0;
}

/* The mailboxes without a password. */
static int collect_new(struct sheet *sheet, struct db *db)
{
    struct db_mailaddress owner = {0};
    enum db_result result;

    while ((result = db_mailaddress_next(db, sheet->customer.id, &owner)) == DB_OK)
        if (owner.mailbox != 0 && !owner.password && is_of_domain(sheet, &owner))
            sheet_add(sheet, &owner);
    if (database_result(db, result) != DB_NONE)
        return EXIT_REFUSED;
    if (sheet->count == 0)
        return refuse("each mailbox of \"%s\"%s%s has a password; name the addresses that are to "
                      "choose another one",
                      sheet->customer.name, sheet->domain[0] != '\0' ? " in " : "", sheet->domain);
    return EXIT_DONE;
}

static int collect_named(struct sheet *sheet, struct db *db, char **names, size_t count)
{
    struct db_mailaddress owner;
    struct address address;

    for (size_t i = 0; i < count; i++) {
        if (address_argument(&address, names[i]) != EXIT_DONE ||
            address_lookup_mailbox(db, &address, &owner) != EXIT_DONE)
            return EXIT_REFUSED;
        if (owner.customer != sheet->customer.id || !is_of_domain(sheet, &owner))
            return refuse("%s is not among the addresses of \"%s\"%s%s", address.text,
                          sheet->customer.name, sheet->domain[0] != '\0' ? " in " : "",
                          sheet->domain);
        sheet_add(sheet, &owner);
    }
    return EXIT_DONE;
}

/* All invitations of before stay good unless all of these are. */
static enum db_result invite_all(struct sheet *sheet, struct db *db)
{
    enum db_result result = db_transaction_begin(db);

    for (size_t i = 0; result == DB_OK && i < sheet->count; i++) {
        struct card *card = &sheet->cards[i];
        struct address address;
        const char *error;
        if (address_parse(&address, card->owner.text, strlen(card->owner.text), &error) < 0)
            result = DB_BROKEN;
        invitation_draw(&card->invitation);
        if (result == DB_OK)
            result = db_mailaddress_invite(db, sheet->customer.id, &address,
                                           card->invitation.digest, card->invitation.until);
    }
    if (result == DB_OK)
        return db_transaction_commit(db);
    db_transaction_rollback(db);
    return result;
}

static void write_card(const struct sheet *sheet, struct welcomecards *cards,
                       const struct card *card, const char *link)
{
    const struct db_mailbox_settings *own = &card->owner.settings;

    welcomecards_add(cards, &(struct welcomecard){.address = card->owner.text,
                                                  .name = card->owner.name,
                                                  .link = link,
                                                  .until = card->invitation.until,
                                                  .language = own->language_given
                                                                  ? own->language
                                                                  : sheet->customer.language,
                                                  .sending = sheet->sending && own->smtp});
}

static void write_cards(const struct sheet *sheet, FILE *file)
{
    char server[CONF_SERVER_SIZE];
    char link[INVITATION_LINK_SIZE];
    struct welcomecards cards = {.file = file,
                                 .language = sheet->customer.language,
                                 .customer = sheet->customer.name,
                                 .pop3_server = server,
                                 .smtp_server = sheet->conf->smtp_server};

    conf_pop3_server(sheet->conf, server);
    welcomecards_begin(&cards);
    for (size_t i = 0; i < sheet->count; i++) {
        const struct card *card = &sheet->cards[i];
        invitation_link(link, sheet->conf->page_url, &card->invitation);
        write_card(sheet, &cards, card, link);
    }
    welcomecards_end(&cards);
    sodium_memzero(link, sizeof(link));
}

static int print_sheet(struct sheet *sheet, struct db *db)
{
    enum db_result result = database_result(db, invite_all(sheet, db));

    if (result == DB_NONE)
        return refuse("one of the addresses was removed just now; nothing was changed");
    if (result != DB_OK)
        return EXIT_REFUSED;
    write_cards(sheet, stdout);
    if (fflush(stdout) != 0 || ferror(stdout))
        return refuse("cannot write the cards; make them anew, for the invitations of before hold "
                      "no longer");
    return EXIT_DONE;
}

static int find_customer(struct sheet *sheet, struct db *db, const char *customer)
{
    struct db_domain domain;
    struct db_plan plan;

    if (database_customer(db, customer, &sheet->customer) != EXIT_DONE)
        return EXIT_REFUSED;
    if (sheet->domain[0] != '\0') {
        enum db_result result = database_result(db, db_domain_find(db, sheet->domain, &domain));
        if (result == DB_NONE || (result == DB_OK && domain.customer != sheet->customer.id))
            return refuse("\"%s\" has no domain %s", sheet->customer.name, sheet->domain);
        if (result != DB_OK)
            return EXIT_REFUSED;
    }
    enum db_result result = database_result(db, db_plan_find(db, sheet->customer.plan, &plan));
    sheet->sending = result == DB_OK && plan.sending;
    return result == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}

static int make_sheet(struct sheet *sheet, struct instance *instance, const char *customer,
                      char **names, size_t count)
{
    struct db *db = instance_open_database(instance);

    if (db == NULL)
        return EXIT_REFUSED;
    sheet->conf = &instance->conf;
    int done = EXIT_DONE;
    if (instance->conf.page_url[0] == '\0')
        done = refuse("links need the address of the pages; set page_url in %s", INSTANCE_CONF);
    if (done == EXIT_DONE)
        done = find_customer(sheet, db, customer);
    if (done == EXIT_DONE)
        done = count > 0 ? collect_named(sheet, db, names, count) : collect_new(sheet, db);
    if (done == EXIT_DONE)
        done = print_sheet(sheet, db);
    db_close(db);
    return done;
}

static int parse_domain(struct sheet *sheet, const char *text)
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
    struct sheet sheet = {0};
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
    sheet_free(&sheet);
    return done;
}
