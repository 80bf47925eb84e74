/* The commands that bring a mailbox's mail in from elsewhere and out. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/address.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/exporter.h"
#include "cli/importer.h"
#include "cli/maildirsource.h"
#include "cli/mboxsource.h"
#include "cli/password.h"
#include "cli/pop3source.h"
#include "cli/target.h"
#include "db/route.h"
#include "lib/xalloc.h"

struct arguments {
    struct address address;
    const char *maildir;
    const char *mbox;
    struct pop3source_options pop3;
    bool password_stdin;
    bool progress;
};

/* --- import ----------------------------------------------------------------------------------- */

/* One mailbox's own address: an alias would bring the mail to each that it leads to. */
static int find_recipient(struct instance *instance, const struct address *address,
                          struct store_recipient *recipient_r)
{
    struct db_mailaddress found;
    struct db_route routes[DB_ROUTE_MAX];
    unsigned count;

    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = address_lookup_mailbox(db, address, &found);
    if (done == EXIT_DONE &&
        database_result(db, db_route_find(db, address, routes, &count)) != DB_OK)
        done = EXIT_REFUSED;
    if (done == EXIT_DONE)
        *recipient_r = (struct store_recipient){.mailbox = routes[0].mailbox,
                                                .quota_octets = routes[0].quota_octets,
                                                .quota_messages = routes[0].quota_messages,
                                                .octets_max = routes[0].message_octets_max};
    db_close(db);
    return done;
}

/* The other server's password, which need not be one that we would take. */
static int get_password(const struct arguments *arguments, struct password *password_r)
{
    if (arguments->password_stdin)
        return password_read_foreign(password_r);
    if (isatty(STDIN_FILENO))
        return password_ask_foreign("Password on the other server: ", password_r);
    return refuse("give the other server's password with --password-stdin");
}

static struct source *open_pop3(const struct arguments *arguments)
{
    struct source *source = NULL;
    struct password password;

    if (get_password(arguments, &password) == EXIT_DONE)
        source = pop3source_open(&arguments->pop3, &password);
    password_wipe(&password);
    return source;
}

static struct source *open_source(const struct arguments *arguments)
{
    if (arguments->maildir != NULL)
        return maildirsource_open(arguments->maildir);
    if (arguments->mbox != NULL)
        return mboxsource_open(arguments->mbox);
    return open_pop3(arguments);
}

/* The source first: its files are named from where the caller is. */
static int import(struct instance *instance, const struct arguments *arguments)
{
    struct store_recipient recipient;

    struct source *source = open_source(arguments);
    if (source == NULL)
        return EXIT_REFUSED;
    int done = find_recipient(instance, &arguments->address, &recipient);
    if (done == EXIT_DONE)
        done = importer_run(source, &recipient, arguments->progress);
    source_free(source);
    return done;
}

static int check_import(const struct arguments *arguments)
{
    const struct pop3source_options *pop3 = &arguments->pop3;
    int sources = (arguments->maildir != NULL) + (arguments->mbox != NULL) + (pop3->host != NULL);
    bool only_pop3 = pop3->user != NULL || pop3->authority != NULL || arguments->password_stdin ||
                     pop3->protection != POP3_TLS;

    if (sources != 1)
        return wrong_usage("an import needs one of --maildir, --mbox and --pop3");
    if (pop3->host == NULL && only_pop3)
        return wrong_usage("--user, --password-stdin, --ca, --stls and --cleartext go with --pop3");
    if (pop3->host != NULL && pop3->user == NULL)
        return wrong_usage("--pop3 needs --user");
    return 0;
}

static int set_protection(struct pop3source_options *pop3, enum pop3_protection protection)
{
    if (pop3->protection != POP3_TLS && pop3->protection != protection)
        return wrong_usage("--stls and --cleartext exclude each other");
    pop3->protection = protection;
    return 0;
}

static int parse_import(struct arguments *arguments, int argc, char **argv)
{
    static const struct option options[] = {
        {"maildir", required_argument, NULL, 'd'}, {"mbox", required_argument, NULL, 'm'},
        {"pop3", required_argument, NULL, 'p'},    {"user", required_argument, NULL, 'u'},
        {"ca", required_argument, NULL, 'a'},      {"password-stdin", no_argument, NULL, 'i'},
        {"stls", no_argument, NULL, 's'},          {"cleartext", no_argument, NULL, 'c'},
        {"progress", no_argument, NULL, 'P'},      {0}};
    int option;

    while ((option = command_option(argc, argv, options)) != -1)
        switch (option) {
        case 'd': arguments->maildir = optarg; break;
        case 'm': arguments->mbox = optarg; break;
        case 'p': arguments->pop3.host = optarg; break;
        case 'u': arguments->pop3.user = optarg; break;
        case 'a': arguments->pop3.authority = optarg; break;
        case 'i': arguments->password_stdin = true; break;
        case 's':
        case 'c':
            if (set_protection(&arguments->pop3, option == 's' ? POP3_STLS : POP3_CLEARTEXT) != 0)
                return EXIT_USAGE;
            break;
        case 'P': arguments->progress = true; break;
        default: return EXIT_USAGE;
        }
    return command_arguments(argc, argv, 1, 1) != 0 ? EXIT_USAGE : check_import(arguments);
}

int mailbox_import_main(struct instance *instance, int argc, char **argv)
{
    struct arguments arguments = {0};

    if (parse_import(&arguments, argc, argv) != 0)
        return EXIT_USAGE;
    if (address_argument(&arguments.address, argv[optind]) != EXIT_DONE)
        return EXIT_REFUSED;
    return import(instance, &arguments);
}

/* --- export ----------------------------------------------------------------------------------- */

static int parse_export(struct arguments *arguments, int argc, char **argv)
{
    static const struct option options[] = {{"maildir", required_argument, NULL, 'd'},
                                            {"mbox", required_argument, NULL, 'm'},
                                            {"progress", no_argument, NULL, 'P'},
                                            {0}};
    int option;

    while ((option = command_option(argc, argv, options)) != -1)
        switch (option) {
        case 'd': arguments->maildir = optarg; break;
        case 'm': arguments->mbox = optarg; break;
        case 'P': arguments->progress = true; break;
        default: return EXIT_USAGE;
        }
    if (command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    if ((arguments->maildir != NULL) == (arguments->mbox != NULL))
        return wrong_usage("an export needs one of --maildir and --mbox");
    return 0;
}

static int find_mailbox(struct instance *instance, const struct address *address,
                        uint64_t *mailbox_r)
{
    struct db_mailaddress found;

    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = address_lookup_mailbox(db, address, &found);
    db_close(db);
    if (done == EXIT_DONE)
        *mailbox_r = found.mailbox;
    return done;
}

/* A name that is good also when another folder is the working directory. */
static char *absolute(const char *path)
{
    char folder[PATH_MAX];

    if (path[0] == '/' || getcwd(folder, sizeof(folder)) == NULL)
        return xstrdup(path);
    return xasprintf("%s/%s", folder, path);
}

static int export(struct instance *instance, const struct arguments *arguments)
{
    char *path = absolute(arguments->maildir != NULL ? arguments->maildir : arguments->mbox);
    struct target *target = NULL;
    uint64_t mailbox = 0;

    int done = find_mailbox(instance, &arguments->address, &mailbox);
    if (done == EXIT_DONE) {
        target = arguments->maildir != NULL ? maildirtarget_open(path, mailbox)
                                            : mboxtarget_open(path, mailbox);
        done = EXIT_REFUSED;
    }
    if (target != NULL) {
        done = exporter_run(target, mailbox, arguments->progress);
        target->free(target);
    }
    free(path);
    return done;
}

int mailbox_export_main(struct instance *instance, int argc, char **argv)
{
    struct arguments arguments = {0};

    if (parse_export(&arguments, argc, argv) != 0)
        return EXIT_USAGE;
    if (address_argument(&arguments.address, argv[optind]) != EXIT_DONE)
        return EXIT_REFUSED;
    return export(instance, &arguments);
}
