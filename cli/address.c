/* The commands that make and change one address; address_list.c shows them. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "cli/accounts.h"
#include "cli/address.h"
#include "cli/alias.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/password.h"
#include "cli/removal.h"
#include "cli/suspension.h"
#include "db/domain.h"

int address_argument(struct address *address_r, const char *text)
{
    const char *error;

    if (address_parse(address_r, text, strlen(text), &error) == 0)
        return EXIT_DONE;
    return refuse("\"%s\" is no address: %s", text, error);
}

struct db *address_open(struct instance *instance, const char *text, struct address *address_r)
{
    return address_argument(address_r, text) == EXIT_DONE ? instance_open_database(instance) : NULL;
}

int address_lookup(struct db *db, const struct address *address, struct db_mailaddress *found_r)
{
    enum db_result result = database_result(db, accounts->mailaddress_find(db, address, found_r));

    if (result == DB_NONE)
        refuse("there is no address %s; \"bellhop address list\" shows them", address->text);
    return result == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}

int address_lookup_mailbox(struct db *db, const struct address *address,
                           struct db_mailaddress *found_r)
{
    if (address_lookup(db, address, found_r) != EXIT_DONE)
        return EXIT_REFUSED;
    if (found_r->mailbox == 0)
        return refuse("%s is an alias; name the address of a mailbox that it leads to",
                      address->text);
    return EXIT_DONE;
}

int address_showing(struct instance *instance, int argc, char **argv,
                    int (*show)(struct db *db, const struct address *address, bool json))
{
    struct address address;
    bool json;

    if (command_json(argc, argv, &json) != 0 || command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    struct db *db = address_open(instance, argv[optind], &address);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = show(db, &address, json);
    accounts->close(db);
    return done;
}

/* By another program, after it was found here. */
static int removed(const struct address *address)
{
    return refuse("the address %s was removed just now", address->text);
}

static int taken(const struct address *address)
{
    return refuse("the address %s is there already; \"bellhop address show\" shows it",
                  address->text);
}

/* Finds the domain whose customer may have the address, which nobody has yet. */
static int find_place(struct db *db, const struct address *address, struct db_domain *domain_r)
{
    struct db_mailaddress there;

    enum db_result result =
        database_result(db, accounts->domain_find(db, address->domain, domain_r));
    if (result == DB_NONE)
        return refuse("there is no domain %s; add it with \"bellhop domain add %s --customer "
                      "NAME\"",
                      address->domain, address->domain);
    if (result != DB_OK)
        return EXIT_REFUSED;
    result = database_result(db, accounts->mailaddress_find(db, address, &there));
    if (result == DB_OK)
        return taken(address);
    return result == DB_NONE ? EXIT_DONE : EXIT_REFUSED;
}

enum password_source { SOURCE_DEFAULT, SOURCE_STDIN, SOURCE_HASH, SOURCE_INVITATION };

/* By default a person at a terminal is asked; a script gets a password to pass on. */
static int get_password(enum password_source source, const struct passwordrule_owner *owner,
                        struct password *password_r, bool *generated_r)
{
    *generated_r = false;
    if (source == SOURCE_STDIN)
        return password_read(password_r, owner);
    if (isatty(STDIN_FILENO))
        return password_ask(password_r, owner);
    password_generate(password_r);
    *generated_r = true;
    return EXIT_DONE;
}

/* A password with what is to be kept of it, or only that. */
static int get_login(struct instance *instance, struct db *db, enum password_source source,
                     const struct address *address, const char *customer, struct login *login_r,
                     bool *generated_r)
{
    const struct password_job job = {&login_r->password, address->text, &login_r->kept};
    const struct passwordrule_owner owner = {
        .address = address->text, .customer = customer, .hostname = instance->conf.hostname};

    *generated_r = false;
    if (source == SOURCE_HASH)
        return password_read_kept(&login_r->kept);
    int done = get_password(source, &owner, &login_r->password, generated_r);
    return done == EXIT_DONE ? accounts->password_keep(&instance->conf, db, &job, 1) : done;
}

static int add_result(const struct db *db, const struct address *address, enum db_result result)
{
    switch (database_result(db, result)) {
    case DB_OK: return EXIT_DONE;
    case DB_TAKEN: return taken(address);
    case DB_NONE: return refuse("the domain %s was removed just now", address->domain);
    default: return EXIT_REFUSED;
    }
}

static int add_with_password(struct instance *instance, struct db *db,
                             const struct db_domain *domain, const struct db_mailaddress_new *new,
                             enum password_source source)
{
    struct login login = {0};
    bool generated;

    int done =
        get_login(instance, db, source, &new->address, domain->customer_name, &login, &generated);
    if (done == EXIT_DONE)
        done = add_result(
            db, &new->address,
            accounts->mailbox_add(db, &instance->conf, domain->customer, new, &login, NULL));
    if (done == EXIT_DONE && generated)
        done = password_show("password", login.password.text);
    login_wipe(&login);
    return done;
}

static int add_with_invitation(const struct conf *conf, struct db *db, uint64_t customer,
                               const struct db_mailaddress_new *new)
{
    struct drawn_invitation drawn;
    int done =
        add_result(db, &new->address, accounts->mailbox_add(db, conf, customer, new, NULL, &drawn));

    return done == EXIT_DONE ? password_show_invitation(&drawn) : done;
}

static int add_address(struct instance *instance, struct db *db,
                       const struct db_mailaddress_new *new, enum password_source source)
{
    struct db_domain domain;

    if (find_place(db, &new->address, &domain) != EXIT_DONE)
        return EXIT_REFUSED;
    if (source == SOURCE_INVITATION)
        return add_with_invitation(&instance->conf, db, domain.customer, new);
    return add_with_password(instance, db, &domain, new, source);
}

static int add_alias(struct db *db, const struct address *alias, const char *targets)
{
    struct db_domain domain;

    if (find_place(db, alias, &domain) != EXIT_DONE)
        return EXIT_REFUSED;
    return alias_add(db, domain.customer, alias, targets);
}

/* One option that says where the password comes from. */
static int take_source(enum password_source *source, enum password_source taken)
{
    if (*source != SOURCE_DEFAULT && *source != taken)
        return wrong_usage("take one of the options that say where the password comes from");
    *source = taken;
    return 0;
}

static int parse_add(enum password_source *source_r, const char **name_r, const char **targets_r,
                     int argc, char **argv)
{
    static const struct option options[] = {{"password-stdin", no_argument, NULL, SOURCE_STDIN},
                                            {"hash-stdin", no_argument, NULL, SOURCE_HASH},
                                            {"invite", no_argument, NULL, SOURCE_INVITATION},
                                            {"name", required_argument, NULL, 'n'},
                                            {"to", required_argument, NULL, 't'},
                                            {0}};
    int option;

    *name_r = *targets_r = NULL;
    while ((option = command_option(argc, argv, options)) != -1) {
        if (option == '?')
            return EXIT_USAGE;
        if (option == 'n')
            *name_r = optarg;
        else if (option == 't')
            *targets_r = optarg;
        else if (take_source(source_r, (enum password_source)option) != 0)
            return EXIT_USAGE;
    }
    if (*targets_r != NULL && (*name_r != NULL || *source_r != SOURCE_DEFAULT))
        return wrong_usage("an alias (--to) has no name and no password");
    return command_arguments(argc, argv, 1, 1);
}

int address_add_main(struct instance *instance, int argc, char **argv)
{
    struct db_mailaddress_new new = {0};
    enum password_source source = SOURCE_DEFAULT;
    const char *targets;
    const char *error;

    if (parse_add(&source, &new.name, &targets, argc, argv) != 0)
        return EXIT_USAGE;
    new.name = new.name != NULL ? new.name : "";
    if (address_argument(&new.address, argv[optind]) != EXIT_DONE)
        return EXIT_REFUSED;
    if (db_mailbox_name_check(new.name, &error) < 0)
        return refuse("%s", error);
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = targets != NULL ? add_alias(db, &new.address, targets)
                               : add_address(instance, db, &new, source);
    accounts->close(db);
    return done;
}

static int change_result(const struct db *db, const struct address *address, enum db_result result)
{
    switch (database_result(db, result)) {
    case DB_OK: return EXIT_DONE;
    case DB_NONE: return removed(address);
    default: return EXIT_REFUSED;
    }
}

int address_remove_main(struct instance *instance, int argc, char **argv)
{
    struct db_mailaddress found;
    struct address address;
    bool now;

    if (removal_options(argc, argv, &now) != 0)
        return EXIT_USAGE;
    struct db *db = address_open(instance, argv[optind], &address);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = address_lookup(db, &address, &found);
    if (done == EXIT_DONE)
        done = change_result(db, &address,
                             accounts->mailaddress_remove(db, found.customer, &address,
                                                          removal_keep(instance, now)));
    accounts->close(db);
    return done;
}

int address_restore_main(struct instance *instance, int argc, char **argv)
{
    static const struct option none[] = {{0}};
    struct address address;

    if (command_option(argc, argv, none) != -1 || command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    if (address_argument(&address, argv[optind]) != EXIT_DONE)
        return EXIT_REFUSED;
    return removal_restore(instance, DB_REMOVAL_ADDRESS, address.text, NULL);
}

static int set_suspended(struct instance *instance, const char *text, bool suspended,
                         enum db_suspended_mail mail)
{
    struct db_mailaddress found;
    struct address address;

    struct db *db = address_open(instance, text, &address);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = address_lookup_mailbox(db, &address, &found);
    if (done == EXIT_DONE)
        done = change_result(
            db, &address,
            accounts->mailaddress_set_suspended(db, found.customer, &address, suspended, mail));
    accounts->close(db);
    return done;
}

int address_suspend_main(struct instance *instance, int argc, char **argv)
{
    enum db_suspended_mail mail;

    if (suspension_options(argc, argv, &mail) != 0)
        return EXIT_USAGE;
    return set_suspended(instance, argv[optind], true, mail);
}

int address_resume_main(struct instance *instance, int argc, char **argv)
{
    static const struct option none[] = {{0}};

    if (command_option(argc, argv, none) != -1 || command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    return set_suspended(instance, argv[optind], false, DB_SUSPENDED_AS_CONFIGURED);
}

static int set_password(struct instance *instance, struct db *db, const struct address *address,
                        enum password_source source)
{
    struct db_mailaddress found;
    struct login login = {0};
    bool generated;

    if (address_lookup_mailbox(db, address, &found) != EXIT_DONE)
        return EXIT_REFUSED;
    int done = get_login(instance, db, source, address, found.customer_name, &login, &generated);
    if (done == EXIT_DONE)
        done = change_result(db, address,
                             accounts->mailbox_set_login(db, found.customer, address, &login));
    if (done == EXIT_DONE && generated)
        done = password_show("password", login.password.text);
    login_wipe(&login);
    return done;
}

int address_passwd_main(struct instance *instance, int argc, char **argv)
{
    static const struct option options[] = {{"password-stdin", no_argument, NULL, SOURCE_STDIN},
                                            {"hash-stdin", no_argument, NULL, SOURCE_HASH},
                                            {0}};
    enum password_source source = SOURCE_DEFAULT;
    struct address address;
    int option;

    while ((option = command_option(argc, argv, options)) != -1)
        if (option == '?' || take_source(&source, (enum password_source)option) != 0)
            return EXIT_USAGE;
    if (command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    struct db *db = address_open(instance, argv[optind], &address);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = set_password(instance, db, &address, source);
    accounts->close(db);
    return done;
}

int address_invite_main(struct instance *instance, int argc, char **argv)
{
    static const struct option none[] = {{0}};
    struct db_mailaddress found;
    struct drawn_invitation drawn;
    struct address address;

    if (command_option(argc, argv, none) != -1 || command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    struct db *db = address_open(instance, argv[optind], &address);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = address_lookup_mailbox(db, &address, &found);
    if (done == EXIT_DONE)
        done = change_result(
            db, &address,
            accounts->mailbox_invite(db, &instance->conf, found.customer, &address, &drawn));
    if (done == EXIT_DONE)
        done = password_show_invitation(&drawn);
    accounts->close(db);
    return done;
}
