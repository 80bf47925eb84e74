/*
 * bellhop serve: checks that this instance can be served, opens everything that the programs need,
 * and hands it to the supervisor. Each check that fails is one sentence and exit code 1.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/fdstore.h"
#include "cli/inventory.h"
#include "cli/listen.h"
#include "cli/lock.h"
#include "cli/material.h"
#include "cli/share.h"
#include "cli/supervisor.h"
#include "db/db.h"
#include "lib/capability.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/owner.h"
#include "lib/ticketkeys.h"
#include "lib/xalloc.h"

struct tcp_service {
    const char *name;
    const char *setting;
    size_t offset; /* in struct conf */
};

static const struct tcp_service tcp_services[] = {
    {"pop3", "pop3_listen", offsetof(struct conf, pop3_listen)},
    {"pop3s", "pop3s_listen", offsetof(struct conf, pop3s_listen)},
    {"lmtp", "lmtp_listen", offsetof(struct conf, lmtp_listen)},
    {"http", "http_listen", offsetof(struct conf, http_listen)},
    {"https", "https_listen", offsetof(struct conf, https_listen)}, /* empty: nowhere */
};

struct unix_service {
    const char *name;
    const char *path;
    mode_t mode;
};

/* A mail server of another user reaches those that are meant for it through the group of run/. */
static const struct unix_service unix_services[] = {
    {"auth", INSTANCE_RUN "/auth.sock", 0660},
    {"auth-front", INSTANCE_RUN "/auth-front.sock", 0600},
    {"auth-control", INSTANCE_AUTH_CONTROL, 0600},
    {"nginx", INSTANCE_RUN "/nginx.sock", 0660},
    {"lmtp-unix", INSTANCE_RUN "/lmtp.sock", 0660},
    {"policy", INSTANCE_POLICY, 0660},
    {"map", INSTANCE_RUN "/map.sock", 0660},
    {"deliver", INSTANCE_RUN "/stored-deliver.sock", 0600},
    {"front", INSTANCE_RUN "/stored-front.sock", 0600},
    {"control", INSTANCE_CONTROL, 0600},
    {"fetch", INSTANCE_RUN "/fetchd.sock", 0600},
    {"callers", INSTANCE_SUPERVISOR, 0600},
};

#define TCP_SERVICES  (sizeof(tcp_services) / sizeof(tcp_services[0]))
#define UNIX_SERVICES (sizeof(unix_services) / sizeof(unix_services[0]))

static const char *listen_text(const struct tcp_service *service, const struct conf *conf)
{
    return (const char *)conf + service->offset;
}

static const char *listen_advice(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "address already in use; stop the program that has it, or choose another port in "
               "bellhop.conf";
    case EACCES:
        return "not permitted; ports below 1024 are root's, so start as root or choose another "
               "port in bellhop.conf";
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        return "this machine has no such address; write one that it has, or *, in bellhop.conf";
    default: return strerror(error);
    }
}

static int open_tcp(struct inventory *inventory, const struct conf *conf)
{
    for (size_t i = 0; i < TCP_SERVICES; i++) {
        const struct tcp_service *service = &tcp_services[i];
        const char *text = listen_text(service, conf);
        struct listen_address address;
        int fds[LISTEN_SOCKETS_MAX];
        const char *error;

        if (text[0] == '\0')
            continue;
        if (listen_parse(&address, text, &error) < 0) {
            refuse(INSTANCE_CONF ": \"%s\" is no address for %s: %s", text, service->setting,
                   error);
            return -1;
        }
        int count = listen_tcp(&address, fds);
        if (count < 0) {
            refuse("cannot listen on %s (%s): %s", text, service->setting, listen_advice(errno));
            return -1;
        }
        for (int j = 0; j < count; j++)
            inventory_add(inventory, service->name, fds[j]);
    }
    return 0;
}

static int open_unix(struct inventory *inventory)
{
    for (size_t i = 0; i < UNIX_SERVICES; i++) {
        int fd = listen_unix(unix_services[i].path, unix_services[i].mode);
        if (fd < 0) {
            refuse("cannot listen on %s: %s; %s", unix_services[i].path, strerror(errno),
                   errno == EEXIST ? "take that file away"
                                   : "the user of bellhop serve must be able to write there");
            return -1;
        }
        inventory_add(inventory, unix_services[i].name, fd);
    }
    return 0;
}

/* Only authd and stored get this descriptor, and nobody can change what is in it. */
static int share_key(void)
{
    uint8_t key[CAPABILITY_KEY_SIZE];

    randombytes_buf(key, sizeof(key));
    int fd = share_new("bellhop-key", key, sizeof(key));
    sodium_memzero(key, sizeof(key));
    return fd >= 0 && share_seal(fd) == 0 ? fd : -1;
}

/* pop3d reads this memory; the supervisor goes on writing through its mapping. */
static int share_tickets(struct material *material)
{
    int reader = -1;

    int memory = share_area("bellhop-tickets", ticketkeys_size());
    if (memory < 0)
        return -1;
    material->ticketkeys = ticketkeys_make(memory);
    if (material->ticketkeys != NULL)
        reader = share_reader(memory);
    close(memory);
    return reader;
}

static int add_shared(struct inventory *inventory, const char *name, int fd)
{
    if (fd < 0) {
        refuse("cannot make the shared memory \"%s\": %s; is /proc mounted?", name,
               strerror(errno));
        return -1;
    }
    inventory_add(inventory, name, fd);
    return 0;
}

static int open_shared(struct inventory *inventory, struct material *material)
{
    int metrics = share_area("bellhop-metrics", metrics_size());

    int last = fdstore_take();
    if (last >= 0)
        inventory_add(inventory, "last", last);
    if (metrics >= 0 && metrics_attach(metrics, 0) < 0)
        log_fatal("cannot map the shared counters: %s", strerror(errno));
    material_count_certificates(material);
    if (add_shared(inventory, "metrics", metrics) < 0 ||
        add_shared(inventory, "key", share_key()) < 0 ||
        add_shared(inventory, "conf", share_reader(material->conf_text)) < 0 ||
        add_shared(inventory, "tls", share_reader(material->tls)) < 0 ||
        (material->conf.https_listen[0] != '\0' &&
         add_shared(inventory, "https-tls", share_reader(material->tls)) < 0) ||
        add_shared(inventory, "authorities", share_reader(material->authorities)) < 0 ||
        add_shared(inventory, "tickets", share_tickets(material)) < 0)
        return -1;
    for (unsigned i = 0; i < LANGUAGE__MAX; i++)
        if (add_shared(inventory, "text", share_reader(material->texts[i])) < 0)
            return -1;
    return 0;
}

/*
 * Held open while it serves, so that SQLite's -wal and -shm are there for as long: the programs are
 * confined to these files and can make none.
 */
static struct db *open_database(void)
{
    char error[512];
    struct db *db = db_open(INSTANCE_DATABASE, DB_WRITE, error, sizeof(error));

    if (db == NULL)
        refuse("%s", error);
    return db;
}

/* A session is a descriptor, and programs inherit the limit. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            log_warning("cannot raise the limit of open files: %s", strerror(errno));
    }
}

static int prepare(struct inventory *inventory, struct material *material, struct db **db_r)
{
    char error[512];

    if (material_load_conf(material, error, sizeof(error)) < 0) {
        refuse("%s", error);
        return -1;
    }
    int lock = lock_take(INSTANCE_LOCK, error, sizeof(error));
    if (lock < 0) {
        refuse("%s", error);
        return -1;
    }
    inventory_add(inventory, "lock", lock);
    *db_r = open_database();
    if (*db_r == NULL)
        return -1;
    raise_descriptor_limit();
    if (open_tcp(inventory, &material->conf) < 0 || open_unix(inventory) < 0)
        return -1;
    /* Thousands of certificates take seconds: clients that come meanwhile wait. */
    if (material_load_tls(material, error, sizeof(error)) < 0) {
        refuse("%s", error);
        return -1;
    }
    if (material_load_texts(material, error, sizeof(error)) < 0 ||
        material_load_authorities(material, error, sizeof(error)) < 0) {
        refuse("%s", error);
        return -1;
    }
    return open_shared(inventory, material);
}

static char *describe(const char *directory, const struct conf *conf)
{
    bool tls = conf->https_listen[0] != '\0';

    return xasprintf("%s: pop3 %s, pop3s %s, lmtp %s, http %s%s%s", directory, conf->pop3_listen,
                     conf->pop3s_listen, conf->lmtp_listen, conf->http_listen,
                     tls ? ", https " : "", conf->https_listen);
}

/* Not before all is well, so that what is refused is one sentence. */
static void warn_of_root(void)
{
    if (owner_is_root())
        log_warning("the instance is root's, so its programs run as root, though with none of "
                    "root's privileges; give it to a user with \"chown -R USER DIR\"");
}

static bool is_loopback(const struct sockaddr_storage *address)
{
    struct sockaddr_in6 ipv6;
    struct sockaddr_in ipv4;

    if (address->ss_family == AF_INET6) {
        memcpy(&ipv6, address, sizeof(ipv6));
        return IN6_IS_ADDR_LOOPBACK(&ipv6.sin6_addr);
    }
    memcpy(&ipv4, address, sizeof(ipv4));
    return ntohl(ipv4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

/* A proxy in a network of its own may have its reasons, so it is not refused. */
static void warn_of_clear_keys(const struct conf *conf)
{
    struct listen_address address;
    const char *error;

    if (listen_parse(&address, conf->http_listen, &error) == 0 &&
        !is_loopback(&address.addresses[0]))
        log_warning("http_listen = %s is reached from other machines without TLS: whoever is "
                    "between reads the API keys; use https_listen for them",
                    conf->http_listen);
}

int serve_main(struct instance *instance, int argc, char **argv)
{
    static const struct option no_options[] = {{NULL, 0, NULL, 0}};
    struct inventory inventory = {0};
    struct material material;
    struct db *db = NULL;
    int result = -1;

    if (command_option(argc, argv, no_options) != -1 || command_arguments(argc, argv, 0, 0) != 0)
        return EXIT_USAGE;
    if (instance_enter(instance) < 0)
        return EXIT_REFUSED;
    material_init(&material);
    if (prepare(&inventory, &material, &db) == 0) {
        warn_of_root();
        warn_of_clear_keys(&material.conf);
        char *serving = describe(instance->directory, &material.conf);
        result = supervisor_run(&inventory, &material, serving);
        free(serving);
    }
    db_close(db);
    return result == 0 ? EXIT_DONE : EXIT_REFUSED;
}
