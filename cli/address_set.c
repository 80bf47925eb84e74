/* The command that changes an address's settings. */
#include <string.h>

#include "cli/accounts.h"
#include "cli/address.h"
#include "cli/alias.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/number.h"
#include "db/transaction.h"

struct address_options {
    const char *name;
    const char *targets;
    bool mailbox_given; /* something that only a mailbox has */
    bool octets_given;
    uint64_t octets; /* 0: the plan's */
    bool language_given;
    const char *language; /* or "customer" */
    int pop3, smtp;       /* -1: not given */
};

enum address_option { NAME = 1, TO, QUOTA_BYTES, LANGUAGE, POP3, SMTP };

static const struct option address_options[] = {
    {"name", required_argument, NULL, NAME},
    {"to", required_argument, NULL, TO},
    {"quota-bytes", required_argument, NULL, QUOTA_BYTES},
    {"language", required_argument, NULL, LANGUAGE},
    {"pop3", required_argument, NULL, POP3},
    {"smtp", required_argument, NULL, SMTP},
    {0}};

static int parse_yes(int *yes_r, const char *text)
{
    *yes_r = strcmp(text, "yes") == 0;
    return *yes_r || strcmp(text, "no") == 0 ? 0 : -1;
}

static int parse_octets(uint64_t *octets_r, const char *text)
{
    *octets_r = 0;
    return strcmp(text, "plan") == 0 ? 0 : number_parse_size(text, 1, INT64_MAX, octets_r);
}

static int parse_language(const char **language_r, const char *text)
{
    enum language language;

    *language_r = text;
    return strcmp(text, "customer") == 0 ? 0 : language_parse(text, &language);
}

static int set_option(struct address_options *given, int option, const char *text)
{
    given->mailbox_given |= option != TO;
    switch (option) {
    case NAME: given->name = text; return 0;
    case TO: given->targets = text; return 0;
    case QUOTA_BYTES: given->octets_given = true; return parse_octets(&given->octets, text);
    case LANGUAGE: given->language_given = true; return parse_language(&given->language, text);
    case POP3: return parse_yes(&given->pop3, text);
    default: return parse_yes(&given->smtp, text);
    }
}

static const char *takes(int option)
{
    switch (option) {
    case QUOTA_BYTES: return "a size like 500M, or plan";
    case LANGUAGE: return "customer or a language, as \"customer set\" does";
    default: return "yes or no";
    }
}

static int parse_options(struct address_options *given, int argc, char **argv)
{
    int option;

    *given = (struct address_options){.pop3 = -1, .smtp = -1};
    while ((option = command_option(argc, argv, address_options)) != -1) {
        if (option == '?')
            return EXIT_USAGE;
        if (set_option(given, option, optarg) < 0)
            return wrong_usage("--%s takes %s, not \"%s\"", address_options[option - 1].name,
                               takes(option), optarg);
    }
    if (!given->mailbox_given && given->targets == NULL)
        return wrong_usage("say what to change in the address");
    if (given->mailbox_given && given->targets != NULL)
        return wrong_usage("--to is for an alias, and the others are for a mailbox");
    return command_arguments(argc, argv, 1, 1);
}

static void set_settings(struct db_mailbox_settings *settings, const struct address_options *given)
{
    if (given->octets_given)
        settings->octets = given->octets;
    if (given->language_given)
        settings->language_given = language_parse(given->language, &settings->language) == 0;
    if (given->pop3 >= 0)
        settings->pop3 = given->pop3 > 0;
    if (given->smtp >= 0)
        settings->smtp = given->smtp > 0;
}

/* Within a transaction. */
static int change_mailbox(struct db *db, const struct address *address,
                          const struct address_options *given)
{
    struct db_mailaddress found;

    if (address_lookup_mailbox(db, address, &found) != EXIT_DONE)
        return EXIT_REFUSED;
    set_settings(&found.settings, given);
    enum db_result result = DB_OK;
    if (given->name != NULL)
        result = accounts->mailaddress_set_name(db, found.customer, address, given->name);
    if (result == DB_OK)
        result = accounts->mailaddress_set_settings(db, found.customer, address, &found.settings);
    return database_result(db, result) == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}

static int set_mailbox(struct db *db, const struct address *address,
                       const struct address_options *given)
{
    if (database_result(db, accounts->transaction_begin(db)) != DB_OK)
        return EXIT_REFUSED;
    int done = change_mailbox(db, address, given);
    if (done == EXIT_DONE)
        return database_result(db, accounts->transaction_commit(db)) == DB_OK ? EXIT_DONE
                                                                              : EXIT_REFUSED;
    accounts->transaction_rollback(db);
    return done;
}

static int set_targets(struct db *db, const struct address *address, const char *targets)
{
    struct db_mailaddress found;

    if (address_lookup(db, address, &found) != EXIT_DONE)
        return EXIT_REFUSED;
    if (found.mailbox != 0)
        return refuse("%s has a mailbox; only an alias leads elsewhere", address->text);
    return alias_set(db, found.customer, address, targets);
}

int address_set_main(struct instance *instance, int argc, char **argv)
{
    struct address_options given;
    struct address address;
    const char *error;

    if (parse_options(&given, argc, argv) != 0)
        return EXIT_USAGE;
    if (given.name != NULL && db_mailbox_name_check(given.name, &error) < 0)
        return refuse("%s", error);
    struct db *db = address_open(instance, argv[optind], &address);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = given.targets != NULL ? set_targets(db, &address, given.targets)
                                     : set_mailbox(db, &address, &given);
    accounts->close(db);
    return done;
}
