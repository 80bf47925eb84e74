/* The commands about people who use the API and its pages with a password. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "cli/accounts.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/listing.h"
#include "cli/password.h"
#include "db/adminuser.h"

static const struct listing_column columns[] = {{"login", "LOGIN", LISTING_TEXT},
                                                {"name", "NAME", LISTING_TEXT},
                                                {"role", "ROLE", LISTING_TEXT},
                                                {"customer", "CUSTOMER", LISTING_TEXT},
                                                {"suspended", "SUSPENDED", LISTING_TEXT},
                                                {"password", "PASSWORD", LISTING_TEXT},
                                                {"second_factor", "SECOND FACTOR", LISTING_TEXT},
                                                {"invited_until", "INVITED UNTIL", LISTING_TIME},
                                                {"created", "CREATED", LISTING_TIME},
                                                {0}};

static json_t *user_row(const struct db_admin_user *user)
{
    return json_pack("{ss so ss so sb sb sb so so}", "login", user->login, "name",
                     listing_text(user->name), "role", db_role_name(user->role), "customer",
                     listing_text(user->customer_name), "suspended", (int)user->suspended,
                     "password", (int)user->password, "second_factor", (int)user->second_factor,
                     "invited_until", listing_time(user->invited_until), "created",
                     listing_time(user->created));
}

static int no_user(const char *login)
{
    return refuse("there is no admin user %s; \"bellhop admin-user list\" shows them", login);
}

/* Opens the accounts and finds one by what was typed. NULL after a refusal. */
static struct db *open_user(struct instance *instance, const char *text,
                            struct db_admin_user *user_r)
{
    char login[ADMINLOGIN_MAX + 1];

    if (adminlogin_parse(login, text) < 0) {
        no_user(text);
        return NULL;
    }
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return NULL;
    enum db_result result = database_result(db, accounts->admin_user_find(db, login, user_r));
    if (result == DB_OK)
        return db;
    if (result == DB_NONE)
        no_user(login);
    accounts->close(db);
    return NULL;
}

static int check_name(const char *name)
{
    const char *error;

    return db_mailbox_name_check(name, &error) == 0 ? 0 : wrong_usage("%s", error);
}

static int take_role(const char *text, enum db_role *role_r)
{
    if (db_role_parse(text, role_r) == 0 && *role_r != DB_ROLE_OWNER)
        return 0;
    return wrong_usage("--role takes operator, operator-read, admin, helpdesk or customer-read, "
                       "not \"%s\"",
                       text);
}

/* --- add */

struct addition {
    struct db_admin_user user;
    char login[ADMINLOGIN_NAME_MAX + 1];
    const char *role;
    const char *customer;
    const char *name;
};

static int parse_add(struct addition *addition, int argc, char **argv)
{
    static const struct option options[] = {{"role", required_argument, NULL, 'r'},
                                            {"customer", required_argument, NULL, 'c'},
                                            {"name", required_argument, NULL, 'n'},
                                            {0}};
    const char *error;
    int option;

    addition->name = "";
    while ((option = command_option(argc, argv, options)) != -1) {
        switch (option) {
        case 'r': addition->role = optarg; break;
        case 'c': addition->customer = optarg; break;
        case 'n': addition->name = optarg; break;
        default: return EXIT_USAGE;
        }
    }
    if (command_arguments(argc, argv, 1, 1) != 0 || check_name(addition->name) != 0)
        return EXIT_USAGE;
    if (adminlogin_parse_name(addition->login, argv[optind], &error) < 0)
        return wrong_usage("%s", error);
    /* Without --role it is the one that may do most. */
    addition->user.role = addition->customer != NULL ? DB_ROLE_ADMIN : DB_ROLE_OPERATOR;
    if (addition->role != NULL && take_role(addition->role, &addition->user.role) != 0)
        return EXIT_USAGE;
    if (db_role_is_operator(addition->user.role) != (addition->customer == NULL))
        return wrong_usage("an operator is of no customer; say whose each other one is with "
                           "--customer");
    snprintf(addition->user.name, sizeof(addition->user.name), "%s", addition->name);
    return 0;
}

static int add(struct instance *instance, struct db *db, struct addition *addition)
{
    struct db_admin_user *user = &addition->user;
    struct drawn_invitation drawn = {0};
    struct db_customer customer;
    int done = EXIT_REFUSED;

    if (addition->customer != NULL) {
        if (database_customer(db, addition->customer, &customer) != EXIT_DONE)
            return EXIT_REFUSED;
        user->customer = customer.id;
    }
    enum db_result result =
        accounts->admin_user_draw(db, &instance->conf, user, addition->login, &drawn);
    switch (database_result(db, result)) {
    case DB_OK:
        printf("login: %s\n", user->login);
        done = fflush(stdout) == 0 ? password_show_invitation(&drawn) : EXIT_REFUSED;
        break;
    case DB_TAKEN:
        refuse("there is an admin user %s already; take another name", addition->login);
        break;
    case DB_NONE: refuse("the customer \"%s\" was removed just now", addition->customer); break;
    default: break;
    }
    sodium_memzero(&drawn, sizeof(drawn));
    return done;
}

int admin_user_add_main(struct instance *instance, int argc, char **argv)
{
    struct addition addition = {0};

    if (parse_add(&addition, argc, argv) != 0)
        return EXIT_USAGE;
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = add(instance, db, &addition);
    accounts->close(db);
    return done;
}

/* --- list */

static int list_users(struct instance *instance, struct db *db, const struct db_customer *customer,
                      bool json)
{
    struct db_admin_user user = {0};
    enum db_result result;
    (void)instance;

    json_t *rows = json_array();
    while ((result = customer != NULL ? accounts->admin_user_next(db, customer->id, &user)
                                      : accounts->operator_admin_user_next(db, &user)) == DB_OK)
        json_array_append_new(rows, user_row(&user));
    return database_list_end(db, result, rows, columns, json);
}

int admin_user_list_main(struct instance *instance, int argc, char **argv)
{
    return database_listing(instance, argc, argv, list_users);
}

/* --- set */

struct changes {
    const char *name;
    const char *role_text;
    enum db_role role;
    bool suspend;
    bool resume;
    bool no_second_factor;
};

static int take_option(struct changes *changes, int option, const char *text)
{
    switch (option) {
    case 'n': changes->name = text; return check_name(text);
    case 'r': changes->role_text = text; return take_role(text, &changes->role);
    case 's': changes->suspend = true; return 0;
    case 'u': changes->resume = true; return 0;
    case 'f': changes->no_second_factor = true; return 0;
    default: return EXIT_USAGE;
    }
}

static int parse_set(struct changes *changes, int argc, char **argv)
{
    static const struct option options[] = {
        {"name", required_argument, NULL, 'n'},       {"role", required_argument, NULL, 'r'},
        {"suspend", no_argument, NULL, 's'},          {"resume", no_argument, NULL, 'u'},
        {"no-second-factor", no_argument, NULL, 'f'}, {0}};
    int option;

    while ((option = command_option(argc, argv, options)) != -1)
        if (take_option(changes, option, optarg) != 0)
            return EXIT_USAGE;
    if (command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    if (changes->suspend && changes->resume)
        return wrong_usage("--suspend and --resume do not go together");
    if (changes->name == NULL && changes->role_text == NULL && !changes->suspend &&
        !changes->resume && !changes->no_second_factor)
        return wrong_usage("say what to set");
    return 0;
}

static enum db_result set(struct db *db, struct db_admin_user *user, const struct changes *changes)
{
    if (changes->name != NULL)
        snprintf(user->name, sizeof(user->name), "%s", changes->name);
    if (changes->role_text != NULL)
        user->role = changes->role;
    user->suspended = changes->suspend || (user->suspended && !changes->resume);
    return accounts->admin_user_change(db, user, changes->no_second_factor);
}

static int result_of(struct db *db, const struct db_admin_user *user, enum db_result result)
{
    if (database_result(db, result) == DB_NONE)
        return no_user(user->login);
    return result == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}

int admin_user_set_main(struct instance *instance, int argc, char **argv)
{
    struct changes changes = {0};
    struct db_admin_user user = {0};
    int done;

    if (parse_set(&changes, argc, argv) != 0)
        return EXIT_USAGE;
    struct db *db = open_user(instance, argv[optind], &user);
    if (db == NULL)
        return EXIT_REFUSED;
    if (changes.role_text != NULL && !db_admin_user_role_fits(changes.role, user.customer))
        done = refuse("%s is %s, and cannot be made %s", user.login,
                      user.customer != 0 ? "of a customer" : "an operator", changes.role_text);
    else
        done = result_of(db, &user, set(db, &user, &changes));
    accounts->close(db);
    return done;
}

/* --- passwords */

static int set_password(struct instance *instance, struct db *db, const struct db_admin_user *user,
                        bool from_stdin)
{
    const struct passwordrule_owner owner = {.address = user->login,
                                             .customer = user->customer_name,
                                             .hostname = instance->conf.hostname};
    struct login login = {0};
    const struct password_job job = {&login.password, user->login, &login.kept};

    int done =
        from_stdin ? password_read(&login.password, &owner) : password_ask(&login.password, &owner);
    if (done == EXIT_DONE)
        done = accounts->password_keep(&instance->conf, db, &job, 1);
    if (done == EXIT_DONE)
        done = result_of(db, user, accounts->admin_user_set_login(db, user, &login));
    login_wipe(&login);
    return done;
}

int admin_user_passwd_main(struct instance *instance, int argc, char **argv)
{
    static const struct option options[] = {{"password-stdin", no_argument, NULL, 's'}, {0}};
    struct db_admin_user user = {0};
    bool from_stdin = false;
    int option;

    while ((option = command_option(argc, argv, options)) != -1) {
        if (option == '?')
            return EXIT_USAGE;
        from_stdin = true;
    }
    if (command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    if (!from_stdin && !isatty(STDIN_FILENO))
        return wrong_usage("give the password with --password-stdin, or at a terminal");
    struct db *db = open_user(instance, argv[optind], &user);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = set_password(instance, db, &user, from_stdin);
    accounts->close(db);
    return done;
}

int admin_user_invite_main(struct instance *instance, int argc, char **argv)
{
    static const struct option none[] = {{0}};
    struct db_admin_user user = {0};
    struct drawn_invitation drawn = {0};

    if (command_option(argc, argv, none) != -1 || command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    struct db *db = open_user(instance, argv[optind], &user);
    if (db == NULL)
        return EXIT_REFUSED;
    int done =
        result_of(db, &user, accounts->admin_user_invite(db, &instance->conf, &user, &drawn));
    if (done == EXIT_DONE)
        done = password_show_invitation(&drawn);
    sodium_memzero(&drawn, sizeof(drawn));
    accounts->close(db);
    return done;
}

int admin_user_remove_main(struct instance *instance, int argc, char **argv)
{
    static const struct option none[] = {{0}};
    struct db_admin_user user = {0};

    if (command_option(argc, argv, none) != -1 || command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    struct db *db = open_user(instance, argv[optind], &user);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = result_of(db, &user, accounts->admin_user_remove(db, user.customer, user.id));
    accounts->close(db);
    return done;
}
