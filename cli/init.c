/*
 * bellhop init: makes what an instance lacks, piece by piece. Each piece comes to be whole or not
 * at all, and none is ever replaced, so init can be stopped anywhere and run again.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/certificate.h"
#include "cli/command.h"
#include "cli/file.h"
#include "cli/instance.h"
#include "cli/number.h"
#include "db/schema.h"
#include "lib/address.h"
#include "lib/notice.h"
#include "lib/owner.h"

/* The largest of the ports that are added to the base, pop3s, must still be a port. */
#define PORT_BASE_MAX (65535 - 995)

/*
 * The group of run/ reaches the sockets in it, whose own modes say which (cli/serve.c). The
 * set-group-id bit hands that group on to them at every start, so one chgrp lets a mail server in.
 */
#define RUN_MODE 02710

/* `make install` makes it. */
#define SERVICE_USER "bellhop"

struct init {
    const char *directory;
    bool base_given;
    uint64_t base;
    bool existing; /* there was a bellhop.conf */
    struct conf conf;
};

static void say(const char *what, const char *name)
{
    printf("%-8s %s\n", what, name);
}

static int cannot(const char *what, const char *name)
{
    return refuse("cannot %s %s: %s", what, name, strerror(errno));
}

static int make_folder(const char *name, mode_t mode)
{
    int made = file_make_folder(name, mode);

    if (made < 0)
        return cannot("make the folder", name);
    say(made > 0 ? "made" : "kept", name);
    return EXIT_DONE;
}

static bool belongs_here(const char *name)
{
    static const char *const parts[] = {INSTANCE_DATABASE, INSTANCE_STORE, INSTANCE_RUN,
                                        INSTANCE_TLS,      INSTANCE_TEXTS, "lost+found"};

    if (name[0] == '.' || strncmp(name, INSTANCE_CONF, strlen(INSTANCE_CONF)) == 0)
        return true;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (strcmp(name, parts[i]) == 0)
            return true;
    return false;
}

/* Somebody else's folder is not made an instance: a slip of the pen would spread files in it. */
static int check_contents(const char *directory)
{
    DIR *folder = opendir(".");
    struct dirent *entry;
    int result = EXIT_DONE;

    if (folder == NULL)
        return cannot("read the folder", directory);
    while (result == EXIT_DONE && (entry = readdir(folder)) != NULL)
        if (!belongs_here(entry->d_name))
            result = refuse("%s is no instance, and %s is in it; name a new or an empty folder",
                            directory, entry->d_name);
    closedir(folder);
    return result;
}

/* SQLite asks about each folder on the way to its file, so the user must be able to pass them. */
static bool can_get_here(const struct passwd *user)
{
    char path[PATH_MAX];
    struct stat status;

    if (getcwd(path, sizeof(path)) == NULL || setgroups(0, NULL) < 0 || setegid(user->pw_gid) < 0)
        return false;
    bool can = seteuid(user->pw_uid) == 0 && stat(path, &status) == 0;
    return seteuid(0) == 0 && setegid(0) == 0 && can;
}

/* What root makes is for the service's user, where the machine has one. */
static int choose_owner(const char *directory)
{
    const struct passwd *user = getpwnam(SERVICE_USER);

    if (user == NULL)
        printf("%-8s the instance is root's, for there is no user \"" SERVICE_USER "\"\n", "note");
    else if (!can_get_here(user))
        printf("%-8s the instance is root's, for the user \"" SERVICE_USER "\" cannot enter %s\n",
               "note", directory);
    else if (chown(".", user->pw_uid, user->pw_gid) < 0)
        return cannot("give away", directory);
    else
        printf("%-8s %s to the user \"" SERVICE_USER "\"\n", "given", directory);
    return EXIT_DONE;
}

/* Enters the instance's folder, and keeps a second init out until this one ends. */
static int enter(struct init *init)
{
    int made = file_make_folder(init->directory, 0750);

    if (made < 0)
        return cannot("make the folder", init->directory);
    if (chdir(init->directory) < 0)
        return cannot("enter", init->directory);
    int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK
                   ? refuse("another bellhop init is at work in %s; wait for it", init->directory)
                   : cannot("lock", init->directory);
    init->existing = file_exists(INSTANCE_CONF);
    int result = init->existing ? EXIT_DONE : check_contents(init->directory);
    if (result == EXIT_DONE && !init->existing && owner_is_root())
        result = choose_owner(init->directory);
    if (result == EXIT_DONE && !owner_is_root())
        owner_become();
    return result;
}

/* The machine's name, where it is one that mail programs can connect to. */
static void set_hostname(struct conf *conf)
{
    char name[CONF_TEXT_MAX];
    char domain[ADDRESS_DOMAIN_MAX + 1];
    const char *error;

    if (gethostname(name, sizeof(name)) < 0)
        return;
    name[sizeof(name) - 1] = '\0';
    if (address_parse_domain(domain, name, strlen(name), &error) == 0)
        memcpy(conf->hostname, domain, strlen(domain) + 1);
}

static void set_ports(struct conf *conf, uint64_t base)
{
    unsigned port = (unsigned)base;

    snprintf(conf->pop3_listen, CONF_TEXT_MAX, "*:%u", port + 110);
    snprintf(conf->pop3s_listen, CONF_TEXT_MAX, "*:%u", port + 995);
    snprintf(conf->lmtp_listen, CONF_TEXT_MAX, "127.0.0.1:%u", port + 24);
    snprintf(conf->http_listen, CONF_TEXT_MAX, "127.0.0.1:%u", port + 80);
}

static bool same_ports(const struct conf *one, const struct conf *other)
{
    return strcmp(one->pop3_listen, other->pop3_listen) == 0 &&
           strcmp(one->pop3s_listen, other->pop3s_listen) == 0 &&
           strcmp(one->lmtp_listen, other->lmtp_listen) == 0 &&
           strcmp(one->http_listen, other->http_listen) == 0;
}

static int keep_conf(struct init *init)
{
    char error[512];
    struct conf wanted;

    if (instance_read_conf(&init->conf, error, sizeof(error)) < 0)
        return refuse("%s/%s", init->directory, error);
    say("kept", INSTANCE_CONF);
    wanted = init->conf;
    set_ports(&wanted, init->base);
    if (init->base_given && !same_ports(&wanted, &init->conf))
        printf("%-8s the ports in %s are kept as well; change them there\n", "note", INSTANCE_CONF);
    return EXIT_DONE;
}

static int make_conf(struct init *init)
{
    if (init->existing)
        return keep_conf(init);
    conf_default(&init->conf);
    set_hostname(&init->conf);
    if (init->base_given)
        set_ports(&init->conf, init->base);
    FILE *file = file_begin(INSTANCE_CONF, 0640);
    if (file == NULL)
        return cannot("write", INSTANCE_CONF);
    /* An error stays with the stream, so file_end() sees it. */
    (void)conf_write(&init->conf, file);
    if (file_end(file, INSTANCE_CONF) < 0)
        return cannot("write", INSTANCE_CONF);
    say("made", INSTANCE_CONF);
    return EXIT_DONE;
}

static int make_key(void)
{
    const char *error;

    FILE *file = file_begin(INSTANCE_KEY, 0600);
    if (file == NULL)
        return cannot("write", INSTANCE_KEY);
    /* The stream's copy of the key is not to be found in memory that is used again. */
    setvbuf(file, NULL, _IONBF, 0);
    int made = certificate_make_key(file, &error);
    if (made < 0) {
        file_cancel(file, INSTANCE_KEY);
        return refuse("%s", error);
    }
    if (file_end(file, INSTANCE_KEY) < 0)
        return cannot("write", INSTANCE_KEY);
    say("made", INSTANCE_KEY);
    return EXIT_DONE;
}

static int make_certificate(const struct init *init)
{
    const char *error;

    FILE *key = fopen(INSTANCE_KEY, "re");
    if (key == NULL)
        return cannot("read", INSTANCE_KEY);
    FILE *file = file_begin(INSTANCE_CERTIFICATE, 0644);
    if (file == NULL) {
        fclose(key);
        return cannot("write", INSTANCE_CERTIFICATE);
    }
    int made = certificate_make(file, key, init->conf.hostname, &error);
    fclose(key);
    if (made < 0) {
        file_cancel(file, INSTANCE_CERTIFICATE);
        return refuse("cannot use %s: %s", INSTANCE_KEY, error);
    }
    if (file_end(file, INSTANCE_CERTIFICATE) < 0)
        return cannot("write", INSTANCE_CERTIFICATE);
    printf("%-8s %s for %s, self-signed\n", "made", INSTANCE_CERTIFICATE, init->conf.hostname);
    return EXIT_DONE;
}

/* The key comes first: one without a certificate can be completed, the other way round not. */
static int make_tls(const struct init *init)
{
    bool key = file_exists(INSTANCE_KEY);
    bool certificate = file_exists(INSTANCE_CERTIFICATE);

    if (certificate && !key)
        return refuse("%s has no key; put it into %s, or remove the certificate to get a new pair",
                      INSTANCE_CERTIFICATE, INSTANCE_KEY);
    if (key)
        say("kept", INSTANCE_KEY);
    else if (make_key() != EXIT_DONE)
        return EXIT_REFUSED;
    if (!certificate)
        return make_certificate(init);
    say("kept", INSTANCE_CERTIFICATE);
    return EXIT_DONE;
}

static int make_text(enum language language)
{
    char name[64];

    snprintf(name, sizeof(name), INSTANCE_TEXT, language_code(language));
    if (file_exists(name))
        return EXIT_DONE;
    FILE *file = file_begin(name, 0640);
    if (file == NULL)
        return cannot("write", name);
    fputs(notice_builtin(language), file);
    if (file_end(file, name) < 0)
        return cannot("write", name);
    say("made", name);
    return EXIT_DONE;
}

/* Whoever removes one of them gets it back as it was; the edited ones stay. */
static int make_texts(void)
{
    int result = make_folder(INSTANCE_TEXTS, 0750);

    for (unsigned i = 0; i < LANGUAGE__MAX && result == EXIT_DONE; i++)
        result = make_text((enum language)i);
    return result;
}

static int make_database(void)
{
    char error[512];
    unsigned from;

    if (db_schema_apply(INSTANCE_DATABASE, &from, error, sizeof(error)) < 0)
        return refuse("%s", error);
    if (from == 0)
        say("made", INSTANCE_DATABASE);
    else if (from == db_schema_version())
        say("kept", INSTANCE_DATABASE);
    else
        printf("%-8s %s from version %u to version %u\n", "updated", INSTANCE_DATABASE, from,
               db_schema_version());
    return EXIT_DONE;
}

static int make_all(struct init *init)
{
    int result;

    if ((result = enter(init)) != EXIT_DONE)
        return result;
    if (instance_check_whole(init->directory) < 0)
        return EXIT_REFUSED;
    if ((result = make_conf(init)) != EXIT_DONE ||
        (result = make_folder(INSTANCE_TLS, 0750)) != EXIT_DONE ||
        (result = make_tls(init)) != EXIT_DONE || (result = make_texts()) != EXIT_DONE ||
        (result = make_folder(INSTANCE_STORE, 0700)) != EXIT_DONE ||
        (result = make_folder(INSTANCE_RUN, RUN_MODE)) != EXIT_DONE ||
        (result = make_database()) != EXIT_DONE)
        return result;
    printf("The instance %s is complete. Run it with: bellhop -C %s serve\n", init->directory,
           init->directory);
    return EXIT_DONE;
}

int init_main(struct instance *instance, int argc, char **argv)
{
    static const struct option options[] = {{"port-base", required_argument, NULL, 'p'}, {0}};
    struct init init = {0};
    int option;

    (void)instance;
    while ((option = command_option(argc, argv, options)) != -1) {
        if (option == '?')
            return EXIT_USAGE;
        if (number_parse(optarg, 0, PORT_BASE_MAX, &init.base) < 0)
            return wrong_usage("--port-base takes a number from 0 to %d", PORT_BASE_MAX);
        init.base_given = true;
    }
    if (command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    init.directory = argv[optind];
    /* Nobody else gets at a file before it has its final mode. */
    umask(0077);
    return make_all(&init);
}
