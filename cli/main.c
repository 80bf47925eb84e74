/*
 * The program bellhop: one table of commands, one dispatcher. What a command does is in the file
 * named after its first word.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "cli/command.h"
#include "cli/moment.h"
#include "lib/log.h"
#include "lib/utf8.h"
#include "lib/version.h"

static int help_main(struct instance *instance, int argc, char **argv);

#define PLAN_OPTIONS                                                                               \
    "[--addresses N] [--domains N] [--quota-bytes SIZE] [--quota-messages N] "                     \
    "[--message-bytes SIZE] [--retention-days N] [--poll-seconds N] [--protection "                \
    "none|mark|refuse] [--sending yes|no] [--catch-all yes|no]"

static const struct command commands[] = {
    {"help", "[COMMAND]", "show the commands, or how one is used", COMMAND_ANYWHERE, help_main},
    {"init", "DIR [--port-base N]", "make an instance, or complete and update one",
     COMMAND_DIRECTORY, init_main},
    {"serve", "", "run everything in the foreground until SIGTERM or SIGINT", COMMAND_INSTANCE,
     serve_main},
    {"reload", "",
     "read configuration, certificates and texts again, and let new programs take over, after an "
     "upgrade, without refusing a connection",
     COMMAND_INSTANCE, reload_main},
    {"plan list", "[--json]", "show the plans", COMMAND_ACCOUNTS, plan_list_main},
    {"plan add", "NAME " PLAN_OPTIONS,
     "make a plan: its limits, and how many days mail is kept (0: until it is deleted)",
     COMMAND_ACCOUNTS, plan_add_main},
    {"plan set", "NAME " PLAN_OPTIONS,
     "change a plan; fewer days of retention remove older mail at the next hourly sweep",
     COMMAND_ACCOUNTS, plan_set_main},
    {"customer add", "NAME --plan PLAN [--language LANG]", "make a customer", COMMAND_ACCOUNTS,
     customer_add_main},
    {"customer list", "[--json]", "show the customers", COMMAND_ACCOUNTS, customer_list_main},
    {"customer show", "NAME [--json]", "show one customer", COMMAND_ACCOUNTS, customer_show_main},
    {"customer set",
     "NAME [--plan PLAN [--over refuse|keep|suspend | --preview [--json]]] [--name NEW-NAME] "
     "[--language LANG]",
     "change a customer's name, language or plan; what is too much for a smaller plan is refused, "
     "kept while nothing can be added, or suspended, the newest first; --preview only shows it",
     COMMAND_ACCOUNTS, customer_set_main},
    {"customer suspend", "NAME [--mail keep|defer|refuse]",
     "stop a customer's logins; its mail is kept, deferred or refused, as bellhop.conf has it "
     "unless it is said here",
     COMMAND_ACCOUNTS, customer_suspend_main},
    {"customer resume", "NAME", "let a suspended customer go on", COMMAND_ACCOUNTS,
     customer_resume_main},
    {"customer remove", "NAME [--now]",
     "remove a customer with all domains, addresses and mail; it can be restored for the "
     "removed_days of bellhop.conf, or is gone now",
     COMMAND_ACCOUNTS, customer_remove_main},
    {"customer restore", "NAME", "bring back a removed customer as it was", COMMAND_ACCOUNTS,
     customer_restore_main},
    {"domain add", "DOMAIN --customer NAME", "give a customer a domain", COMMAND_ACCOUNTS,
     domain_add_main},
    {"domain list", "[--customer NAME] [--json]", "show the domains", COMMAND_ACCOUNTS,
     domain_list_main},
    {"domain set", "DOMAIN --catch-all ADDRESS|none",
     "let an address have the mail for all that a domain does not have, if the plan permits it",
     COMMAND_ACCOUNTS, domain_set_main},
    {"domain remove", "DOMAIN [--now]",
     "remove a domain with its addresses and mail, as a customer is", COMMAND_ACCOUNTS,
     domain_remove_main},
    {"domain restore", "DOMAIN [--customer NAME]",
     "bring back a removed domain, the last of that name or the customer's", COMMAND_ACCOUNTS,
     domain_restore_main},
    {"address add",
     "ADDRESS [--name NAME] [--password-stdin | --hash-stdin | --invite] | ALIAS --to "
     "ADDRESS[,...]",
     "make an address with a mailbox, or one that leads to mailboxes of the same customer",
     COMMAND_ACCOUNTS, address_add_main},
    {"address set",
     "ADDRESS [--name NAME] [--quota-bytes SIZE|plan] [--language LANG|customer] [--pop3 yes|no] "
     "[--smtp yes|no] | ALIAS --to ADDRESS[,...]",
     "change what a mailbox has of its own within its plan, or where an alias leads",
     COMMAND_ACCOUNTS, address_set_main},
    {"address list", "[--customer NAME] [--json]", "show the addresses", COMMAND_ACCOUNTS,
     address_list_main},
    {"address show", "ADDRESS [--json]", "show one address", COMMAND_ACCOUNTS, address_show_main},
    {"address remove", "ADDRESS [--now]", "remove an address with its mail, as a customer is",
     COMMAND_ACCOUNTS, address_remove_main},
    {"address restore", "ADDRESS", "bring back a removed address with its mail", COMMAND_ACCOUNTS,
     address_restore_main},
    {"address suspend", "ADDRESS [--mail keep|defer|refuse]",
     "stop an address's logins, as a customer's", COMMAND_ACCOUNTS, address_suspend_main},
    {"address resume", "ADDRESS", "let a suspended address go on", COMMAND_ACCOUNTS,
     address_resume_main},
    {"address passwd", "ADDRESS [--password-stdin | --hash-stdin]", "set an address's password",
     COMMAND_ACCOUNTS, address_passwd_main},
    {"address invite", "ADDRESS",
     "draw a token, good for a week, with which the owner chooses a password, or another one",
     COMMAND_ACCOUNTS, address_invite_main},
    {"address cards", "--customer NAME [--domain DOMAIN] [ADDRESS...]",
     "invite the mailboxes without a password, or those named, and write a page of cards to print",
     COMMAND_ACCOUNTS, address_cards_main},
    {"address import", "FILE.csv --customer NAME [--dry-run]",
     "make the addresses in a table with the columns address,password,name, or hash for password",
     COMMAND_ACCOUNTS, address_import_main},
    {"job add",
     "FILE [--customer NAME] [--format csv|json|ndjson] [--dry-run] [--all-or-nothing] "
     "[--follow [--progress]]",
     "upload up to 100,000 addresses, of one customer or of those whose domains they are in, which "
     "the service then checks and makes",
     COMMAND_ACCOUNTS, job_add_main},
    {"job list", "[--customer NAME] [--json]", "show the uploads of the last 30 days",
     COMMAND_ACCOUNTS, job_list_main},
    {"job show", "ID [--json]", "show one", COMMAND_ACCOUNTS, job_show_main},
    {"job follow", "ID [--progress]", "show how far one is, until it ends", COMMAND_ACCOUNTS,
     job_follow_main},
    {"job errors", "ID [--json]", "show what is wrong with rows of an upload", COMMAND_ACCOUNTS,
     job_errors_main},
    {"job cancel", "ID", "let an upload make nothing more", COMMAND_ACCOUNTS, job_cancel_main},
    {"job result", "ID",
     "write the addresses that were made with their invitations or passwords to standard output, "
     "once",
     COMMAND_ACCOUNTS, job_result_main},
    {"job cards", "ID",
     "write a page of welcome cards for whom an upload has invited to standard output, once and "
     "before its result",
     COMMAND_ACCOUNTS, job_cards_main},
    {"removed list", "[--customer NAME] [--json]", "show what was removed and can be restored",
     COMMAND_ACCOUNTS, removed_list_main},
    {"removed purge", "ID", "remove for good what was removed", COMMAND_ACCOUNTS,
     removed_purge_main},
    {"app-password add", "ADDRESS --name NAME [--pop3] [--smtp] [--expires DAYS] [--json]",
     "make a password for one program of an address's owner, for POP3 and SMTP or one of them",
     COMMAND_ACCOUNTS, app_password_add_main},
    {"app-password list", "ADDRESS [--json]", "show an address's app passwords by their names",
     COMMAND_ACCOUNTS, app_password_list_main},
    {"app-password remove", "ADDRESS NAME", "remove an app password", COMMAND_ACCOUNTS,
     app_password_remove_main},
    {"auth events", "[ADDRESS | --customer NAME] [--since TIME] [--json]",
     "show logins, refusals and new passwords, the newest first (the last 1000 unless since a TIME "
     "like 12h, 7d or 2026-11-22)",
     COMMAND_ACCOUNTS, auth_events_main},
    {"auth audit", "[--customer NAME] [--json]",
     "show passwords that are hashed as another server did, or at a lower cost than configured",
     COMMAND_INSTANCE, auth_audit_main},
    {"auth blocks", "[--customer NAME] [--json]",
     "show what is delayed because of wrong passwords, and for how long", COMMAND_ACCOUNTS,
     auth_blocks_main},
    {"auth lift", "ADDRESS | LOGIN | NETWORK",
     "end what delays a mailbox or an admin user, or all that comes from a network",
     COMMAND_ACCOUNTS, auth_lift_main},
    {"api-key add",
     "NAME [--role ROLE] [--customer NAME] [--domain DOMAIN | --address ADDRESS] "
     "[--network NETWORK]... [--expires DAYS] [--rate N] [--json]",
     "draw a key for the HTTP API, shown once", COMMAND_ACCOUNTS, api_key_add_main},
    {"api-key list", "[--customer NAME] [--json]", "show the keys and when they were last used",
     COMMAND_ACCOUNTS, api_key_list_main},
    {"api-key set",
     "NAME [--customer NAME] [--name NEW-NAME] [--role ROLE] [--network NETWORK|none]... "
     "[--expires DAYS|never] [--rate N|none]",
     "change a key; it counts from the next request on", COMMAND_ACCOUNTS, api_key_set_main},
    {"api-key remove", "NAME [--customer NAME]", "let a key open nothing any more",
     COMMAND_ACCOUNTS, api_key_remove_main},
    {"admin-user add", "NAME [--customer NAME] [--role ROLE] [--name TEXT]",
     "add somebody who uses the API and its pages, and draw an invitation", COMMAND_ACCOUNTS,
     admin_user_add_main},
    {"admin-user list", "[--customer NAME] [--json]", "show who uses the API and its pages",
     COMMAND_ACCOUNTS, admin_user_list_main},
    {"admin-user set",
     "LOGIN [--name TEXT] [--role ROLE] [--suspend | --resume] [--no-second-factor]",
     "change, suspend or resume somebody, or take away the second factor", COMMAND_ACCOUNTS,
     admin_user_set_main},
    {"admin-user passwd", "LOGIN [--password-stdin]", "set somebody's password", COMMAND_ACCOUNTS,
     admin_user_passwd_main},
    {"admin-user invite", "LOGIN", "draw a token to choose another password with", COMMAND_ACCOUNTS,
     admin_user_invite_main},
    {"admin-user remove", "LOGIN", "remove somebody who uses the API and its pages",
     COMMAND_ACCOUNTS, admin_user_remove_main},
    {"audit list", "[--customer NAME] [--since TIME] [--json]",
     "show who changed what, the newest first (the last 1000 unless since a TIME like 12h, 7d or "
     "2026-11-22), with --json what was before and after",
     COMMAND_ACCOUNTS, audit_list_main},
    {"audit export", "[--customer NAME]",
     "write the audit, or one customer's, to standard output, a line of JSON a row",
     COMMAND_ACCOUNTS, audit_export_main},
    {"audit verify", "[FILE] [--head HEAD]",
     "check that no row of the audit, or of an export, was changed, added or removed, and that it "
     "holds what was noted",
     COMMAND_INSTANCE, audit_verify_main},
    {"audit head", "",
     "show what to note elsewhere, so that the audit up to now can be proved by it",
     COMMAND_INSTANCE, audit_head_main},
    {"webhook add", "URL [--customer NAME] [--events TYPE,...] [--json]",
     "tell a URL of what happens to a customer, or without --customer of everything (types as "
     "address.add, customer.* and login.blocked), and show the secret of its signatures, once",
     COMMAND_ACCOUNTS, webhook_add_main},
    {"webhook list", "[--customer NAME] [--json]", "show the webhooks, and which of them fail",
     COMMAND_ACCOUNTS, webhook_list_main},
    {"webhook set", "ID [--url URL] [--events TYPE,...]",
     "tell another URL, or of other types of what happens", COMMAND_ACCOUNTS, webhook_set_main},
    {"webhook secret", "ID [--at-once] [--json]",
     "draw another secret and show it, once; for a day, unless --at-once, signatures are made with "
     "the one of before as well",
     COMMAND_ACCOUNTS, webhook_secret_main},
    {"webhook disable", "ID", "tell a webhook nothing until it is enabled", COMMAND_ACCOUNTS,
     webhook_disable_main},
    {"webhook enable", "ID",
     "tell a webhook again what happens, and what it has missed in the last 7 days",
     COMMAND_ACCOUNTS, webhook_enable_main},
    {"webhook remove", "ID", "tell a webhook nothing more", COMMAND_ACCOUNTS, webhook_remove_main},
    {"webhook replay", "ID --from CURSOR|TIME",
     "tell a webhook again what happened from an event or a time on, of the last 7 days; one that "
     "was given up is tried again",
     COMMAND_ACCOUNTS, webhook_replay_main},
    {"trusted-network add", "NETWORK --customer NAME",
     "let wrong passwords from a network of the customer's delay nobody but who types them",
     COMMAND_ACCOUNTS, trusted_network_add_main},
    {"trusted-network list", "[--customer NAME] [--json]", "show the networks that customers trust",
     COMMAND_ACCOUNTS, trusted_network_list_main},
    {"trusted-network remove", "NETWORK --customer NAME", "trust a network no more",
     COMMAND_ACCOUNTS, trusted_network_remove_main},
    {"statistics", "[--customer NAME] [--json]",
     "show how much there is of everything, or of a customer's, and what has happened with "
     "passwords in 7 days",
     COMMAND_ACCOUNTS, statistics_main},
    {"session list", "[ADDRESS | --customer NAME] [--json]",
     "show who has a mailbox open over POP3, since when and from where", COMMAND_ACCOUNTS,
     session_list_main},
    {"session end", "ADDRESS | --customer NAME",
     "end the POP3 session of an address, or all of a customer's; nothing keeps anybody from "
     "logging in again",
     COMMAND_ACCOUNTS, session_end_main},
    {"token-issuer add", "ISSUER --customer NAME --audience TEXT [--claim NAME]",
     "let tokens of an issuer like https://login.example open a customer's mailboxes (OAUTHBEARER, "
     "XOAUTH2); the address is in the claim NAME, email if not given",
     COMMAND_ACCOUNTS, token_issuer_add_main},
    {"token-issuer list", "[--customer NAME] [--json]",
     "show customers' issuers of tokens, and how fetching their keys goes", COMMAND_ACCOUNTS,
     token_issuer_list_main},
    {"token-issuer remove", "ISSUER --customer NAME", "take an issuer's tokens no more",
     COMMAND_ACCOUNTS, token_issuer_remove_main},
    {"mailbox import",
     "ADDRESS --maildir DIR | --mbox FILE | --pop3 HOST[:PORT] --user NAME [--password-stdin] "
     "[--ca FILE] [--stls | --cleartext] [--progress]",
     "bring mail in from another server, with the unique-ids that clients know", COMMAND_INSTANCE,
     mailbox_import_main},
    {"mailbox export", "ADDRESS --maildir DIR | --mbox FILE [--progress]",
     "write a mailbox's mail out", COMMAND_INSTANCE, mailbox_export_main},
    {"certificate list", "[--json]", "show the certificates in tls/, and what is wrong with them",
     COMMAND_INSTANCE, certificate_list_main},
    {"backup", "FILE [--since FILE] [--progress]",
     "write all mail and accounts to a file, or what is new since another backup", COMMAND_INSTANCE,
     backup_main},
    {"restore", "FILE... [--progress]",
     "fill an empty instance from a backup and those that build on it", COMMAND_INSTANCE,
     restore_main},
    {"store verify", "[--json]", "check every message of the store", COMMAND_INSTANCE, store_main},
    {"store rebuild", "[--json]", "make the store's index anew from its log", COMMAND_INSTANCE,
     store_main},
    {"smtpd-filter", "", "for OpenSMTPD to start: refuse what a mailbox does not take",
     COMMAND_INSTANCE, smtpd_filter_main},
    {"store stats", "[--json]", "show what the store holds", COMMAND_INSTANCE, store_main},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* The command that runs, for its usage line. */
static const struct command *running;

static void print_usage(FILE *file, const struct command *command)
{
    bool instance = command->place == COMMAND_INSTANCE || command->place == COMMAND_ACCOUNTS;

    fprintf(file, "usage: bellhop %s%s%s%s\n", instance ? "-C DIR " : "", command->words,
            command->usage[0] != '\0' ? " " : "", command->usage);
}

static void print_help(const struct command *command)
{
    print_usage(stdout, command);
    printf("  %s\n", command->help);
    if (command->place == COMMAND_ACCOUNTS)
        puts("  It works with --server URL --key FILE in place of -C DIR, too.");
}

static void print_all(FILE *file)
{
    fputs("usage: bellhop [-C DIR | --server URL --key FILE [--ca FILE]] COMMAND ...\n\n", file);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(file, "  %-24s%s\n", commands[i].words, commands[i].help);
    fputs(
        "\nDIR is the instance's directory; without -C it is the current one. \"bellhop help "
        "COMMAND\"\nshows how a command is used.\n"
        "\nWith --server the commands about accounts work on a server elsewhere, through its HTTP "
        "API. FILE\nholds an API key, and that of --ca the authority of the server's certificate. "
        "BELLHOP_SERVER and\nBELLHOP_KEY_FILE in the environment stand for --server and --key.\n",
        file);
}

/* What a person or a file gave may stand in a sentence, but cannot command the terminal. */
static void disarm(char *text)
{
    uint32_t character;

    for (size_t left = strlen(text), size; left > 0; text += size, left -= size) {
        size = utf8_decode(text, left, &character);
        if (size > 0 && character >= ' ' && (character < 0x7f || character > 0x9f))
            continue;
        size = size > 0 ? size : 1;
        memset(text, '?', size);
    }
}

__attribute__((format(printf, 1, 0))) static void complain(const char *format, va_list arguments)
{
    char sentence[2048];

    vsnprintf(sentence, sizeof(sentence), format, arguments);
    disarm(sentence);
    fflush(stdout);
    fprintf(stderr, "bellhop: %s\n", sentence);
}

int refuse(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    return EXIT_REFUSED;
}

int wrong_usage(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    if (running != NULL)
        print_usage(stderr, running);
    return EXIT_USAGE;
}

int command_option(int argc, char **argv, const struct option *options)
{
    /* The leading ':' keeps getopt_long() silent and tells a missing argument from a wrong name. */
    int option = getopt_long(argc, argv, ":", options, NULL);

    if (option == ':')
        wrong_usage("%s needs a value", argv[optind - 1]);
    else if (option == '?' && strncmp(argv[optind - 1], "--", 2) == 0)
        wrong_usage("%s is not an option here", argv[optind - 1]);
    else if (option == '?')
        wrong_usage("-%c is not an option here", optopt);
    return option == ':' ? '?' : option;
}

int command_json(int argc, char **argv, bool *json_r)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {0}};
    int option;

    *json_r = false;
    while ((option = command_option(argc, argv, options)) != -1) {
        if (option == '?')
            return EXIT_USAGE;
        *json_r = true;
    }
    return 0;
}

int command_customer(int argc, char **argv, const char **name_r)
{
    static const struct option options[] = {{"customer", required_argument, NULL, 'c'}, {0}};
    int option;

    *name_r = NULL;
    while ((option = command_option(argc, argv, options)) != -1) {
        if (option == '?')
            return EXIT_USAGE;
        *name_r = optarg;
    }
    return 0;
}

int command_moment(const char *text, uint64_t *moment_r)
{
    if (moment_parse(text, (uint64_t)time(NULL), moment_r) == 0)
        return 0;
    return wrong_usage("\"%s\" is no time; write 90m, 12h or 7d for as long ago, a date as "
                       "2026-11-22, or 2026-11-22T08:00:00Z",
                       text);
}

int command_arguments(int argc, char **argv, int least, int most)
{
    int count = argc - optind;

    if (count < least)
        return wrong_usage("something is missing after \"%s\"", running->words);
    if (count > most)
        return wrong_usage("there is too much after \"%s\"", running->words);
    for (int i = optind; i < argc; i++)
        if (argv[i][0] == '\0')
            return wrong_usage("what stands after \"%s\" is empty", running->words);
    return 0;
}

/* How many of the arguments are the words of this command's name; 0: it is another command. */
static int match_words(const struct command *command, int argc, char **argv)
{
    const char *rest = command->words;

    for (int count = 0; count < argc; count++) {
        size_t length = strcspn(rest, " ");
        if (strlen(argv[count]) != length || memcmp(argv[count], rest, length) != 0)
            return 0;
        if (rest[length] == '\0')
            return count + 1;
        rest += length + 1;
    }
    return 0;
}

static const struct command *command_find(int argc, char **argv, int *words_r)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        *words_r = match_words(&commands[i], argc, argv);
        if (*words_r > 0)
            return &commands[i];
    }
    return NULL;
}

/*
 * Shows the usage of every command whose first word this is, with NULL none; returns whether there
 * is one.
 */
static bool print_group(FILE *file, const char *word)
{
    bool found = false;

    for (size_t i = 0; i < COMMANDS; i++)
        if (strcspn(commands[i].words, " ") == strlen(word) &&
            strncmp(commands[i].words, word, strlen(word)) == 0) {
            if (file != NULL)
                print_usage(file, &commands[i]);
            found = true;
        }
    return found;
}

static int unknown_command(int argc, char **argv)
{
    bool group = print_group(NULL, argv[0]);

    running = NULL;
    if (group && argc > 1)
        wrong_usage("\"%s %s\" is not a command; these are", argv[0], argv[1]);
    else if (group)
        wrong_usage("\"%s\" is not a whole command; these are", argv[0]);
    else
        wrong_usage("\"%s\" is not a command; \"bellhop help\" shows them all", argv[0]);
    print_group(stderr, argv[0]);
    return EXIT_USAGE;
}

static int help_main(struct instance *instance, int argc, char **argv)
{
    int words;

    (void)instance;
    if (argc < 2) {
        print_all(stdout);
        return EXIT_DONE;
    }
    const struct command *command = command_find(argc - 1, argv + 1, &words);
    if (command == NULL)
        return argc == 2 && print_group(stdout, argv[1]) ? EXIT_DONE
                                                         : unknown_command(argc - 1, argv + 1);
    print_help(command);
    return EXIT_DONE;
}

/* What stands before the command, or in the environment, says where the accounts are. */
static int check_place(struct instance *instance)
{
    struct remote_options *server = &instance->server;

    if (instance->directory != NULL && server->url != NULL)
        return wrong_usage("-C names an instance here, and --server one elsewhere; take one");
    if (instance->directory == NULL && server->url == NULL)
        server->url = getenv("BELLHOP_SERVER");
    if (server->url == NULL && (server->key_file != NULL || server->authority != NULL))
        return wrong_usage("--key and --ca go with --server");
    if (server->key_file == NULL)
        server->key_file = getenv("BELLHOP_KEY_FILE");
    if (instance->directory == NULL)
        instance->directory = ".";
    return -1;
}

/* Returns -1 to go on. */
static int global_options(int argc, char **argv, struct instance *instance)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'},         {"version", no_argument, NULL, 'v'},
        {"server", required_argument, NULL, 's'}, {"key", required_argument, NULL, 'k'},
        {"ca", required_argument, NULL, 'a'},     {0}};
    int option;

    while ((option = getopt_long(argc, argv, "+:C:h", options, NULL)) != -1)
        switch (option) {
        case 'C': instance->directory = optarg; break;
        case 's': instance->server.url = optarg; break;
        case 'k': instance->server.key_file = optarg; break;
        case 'a': instance->server.authority = optarg; break;
        case 'h': print_all(stdout); return EXIT_DONE;
        case 'v': puts("bellhop " BELLHOP_VERSION); return EXIT_DONE;
        case ':':
            if (optopt == 'C')
                return wrong_usage("-C needs the directory of an instance; see \"bellhop help\"");
            return wrong_usage("%s needs a value; see \"bellhop help\"", argv[optind - 1]);
        default: return wrong_usage("%s is not an option; see \"bellhop help\"", argv[optind - 1]);
        }
    return check_place(instance);
}

static int dispatch(struct instance *instance, int argc, char **argv)
{
    int words;

    running = command_find(argc, argv, &words);
    if (running == NULL)
        return unknown_command(argc, argv);
    argc -= words - 1;
    argv += words - 1;
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0) {
            print_help(running);
            return EXIT_DONE;
        }
    if (instance->server.url != NULL &&
        (running->place == COMMAND_INSTANCE || running->place == COMMAND_DIRECTORY))
        return refuse(
            "\"bellhop %s\" works only on the machine where the server runs, and %s names "
            "one elsewhere",
            running->words,
            getenv("BELLHOP_SERVER") == instance->server.url ? "BELLHOP_SERVER" : "--server");
    optind = 0;
    return running->run(instance, argc, argv);
}

int main(int argc, char **argv)
{
    struct instance instance = {0};

    log_open("bellhop");
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an errno, EFBIG */
    if (sodium_init() < 0)
        return refuse("libsodium does not work on this machine");
    int done = global_options(argc, argv, &instance);
    if (done >= 0)
        return done;
    if (optind == argc) {
        print_all(stderr);
        return EXIT_USAGE;
    }
    int result = dispatch(&instance, argc - optind, argv + optind);
    if (fflush(stdout) != 0 || ferror(stdout))
        return refuse("cannot write to standard output");
    return result;
}
