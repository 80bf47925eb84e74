/*
 * fetchd: what Bellhop asks of other machines over HTTPS, and the only program that connects to
 * any. URLs come from customers, and what is at their end may be hostile: so it has no database, no
 * key and no file beyond what resolving names needs, and answers only whoever asks it over its
 * socket.
 */
#include <event2/event.h>
#include <netdb.h>
#include <nss.h>
#include <unistd.h>

#include <curl/curl.h>

#include "fetchd/destination.h"
#include "fetchd/server.h"
#include "lib/child.h"
#include "lib/confine.h"
#include "lib/log.h"
#include "lib/networks.h"

struct fetchd {
    struct child child;
    struct server *server;
    bool retired;
};

static void read_networks(const struct fetchd *fetchd, struct networks *listed_r)
{
    /* lib/conf.c has taken it already. */
    if (networks_parse(listed_r, fetchd->child.conf.fetch_networks) < 0)
        log_panic("fetch_networks is no list of networks");
}

static void on_reload(void *context)
{
    struct fetchd *fetchd = context;
    struct networks listed;

    read_networks(fetchd, &listed);
    server_configure(fetchd->server, &listed);
    log_info("the configuration has been read anew");
}

static void end(void *context)
{
    struct fetchd *fetchd = context;

    event_base_loopexit(fetchd->child.base, NULL);
}

static void on_serve(void *context)
{
    struct fetchd *fetchd = context;

    server_set_open(fetchd->server, !fetchd->retired);
}

static void on_retire(void *context)
{
    struct fetchd *fetchd = context;

    fetchd->retired = true;
    server_retire(fetchd->server, end, fetchd);
}

/*
 * All that loads code or reads a file of its own at its first use. Names are found in /etc/hosts
 * and by DNS, which need no further library, whatever nsswitch.conf says.
 */
static void warm_up(void)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        log_fatal("libcurl does not start");
    curl_easy_cleanup(curl_easy_init());
    __nss_configure_lookup("hosts", "files dns");
    if (getaddrinfo("localhost", "443", &hints, &found) == 0)
        freeaddrinfo(found);
}

/* What the C library reads to resolve a name; not every machine has all of it. */
static const char *const files[] = {"/etc/resolv.conf", "/etc/hosts", "/etc/host.conf",
                                    "/etc/gai.conf", "/etc/nsswitch.conf"};

static void confine_to_network(void)
{
    struct confine_profile profile = {
        .calls = {.files = CALLFILTER_READ, .threads = true, .network = true}};
    unsigned count = 0;

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (access(files[i], R_OK) == 0)
            profile.paths[count++] = (struct landlock_path){files[i], LANDLOCK_READ};
    confine(&profile);
}

int main(void)
{
    static struct fetchd fetchd;
    struct networks listed;

    child_init(&fetchd.child, "fetchd");
    fetchd.child.reload = on_reload;
    fetchd.child.drain = end;
    fetchd.child.serve = on_serve;
    fetchd.child.retire = on_retire;
    fetchd.child.context = &fetchd;
    warm_up();
    confine_to_network();
    destination_init();
    read_networks(&fetchd, &listed);
    fetchd.server = server_new(fetchd.child.base, &listed);
    child_ready();
    child_run(&fetchd.child);
    server_free(fetchd.server);
    curl_global_cleanup();
    child_fini(&fetchd.child);
    return 0;
}
