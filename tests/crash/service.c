#include <event2/event.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/metrics.h"
#include "stored/commit.h"
#include "stored/index.h"
#include "stored/mailbox.h"
#include "stored/opening.h"
#include "stored/reclaim.h"
#include "stored/recovery.h"
#include "stored/segments.h"
#include "stored/server.h"
#include "tests/crash/service.h"

static const char *const names[] = {"conf", "metrics", "deliver", "front", "control"};

#define NAMES (sizeof(names) / sizeof(names[0]))

enum { CONF_FD = 3, METRICS_FD, FIRST_LISTENER };

static void must(bool good, const char *what)
{
    if (good)
        return;
    perror(what);
    _exit(3);
}

static void place(int fd, int number)
{
    must(fd >= 0 && (fd == number || dup2(fd, number) == number), "a descriptor");
    if (fd != number)
        close(fd);
}

static void listen_at(int number)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    /* Without a path the kernel gives it a name that no file has. */
    must(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0 &&
             listen(fd, 16) == 0,
         "a socket");
    place(fd, number);
}

void service_prepare(struct service *service)
{
    char list[64] = "", pid[16], count[16];

    for (size_t i = 0, end = 0; i < NAMES; i++)
        end += (size_t)snprintf(list + end, sizeof(list) - end, "%s%s", i > 0 ? ":" : "", names[i]);
    place(memfd_create("conf", 0), CONF_FD);
    place(memfd_create("metrics", 0), METRICS_FD);
    must(ftruncate(METRICS_FD, (off_t)metrics_size()) == 0, "the counters");
    for (int number = FIRST_LISTENER; number < 3 + (int)NAMES; number++)
        listen_at(number);
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    snprintf(count, sizeof(count), "%zu", NAMES);
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", count, 1);
    setenv("LISTEN_FDNAMES", list, 1);
    setenv("BELLHOP_SLOT", "0", 1);
    child_init(&service->child, "stored");
}

int service_connect(enum service_socket which)
{
    struct sockaddr_un address;
    socklen_t length = sizeof(address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    must(getsockname(FIRST_LISTENER + (int)which, (struct sockaddr *)&address, &length) == 0 &&
             connect(fd, (struct sockaddr *)&address, length) == 0 &&
             fcntl(fd, F_SETFL, O_NONBLOCK) == 0,
         "a connection");
    return fd;
}

static struct sqlite3 *opened;

static int note_opened(sqlite3 *db, char **error_r, const sqlite3_api_routines *routines)
{
    (void)error_r;
    (void)routines;
    opened = db;
    return SQLITE_OK;
}

void service_recover(struct service *service)
{
    struct store *store = &service->store;

    sqlite3_auto_extension((void (*)(void))note_opened);
    store->base = service->child.base;
    recovery_run(store);
    service->index = opened;
    store->segments = segments_new(store->seed);
}

static void on_group(void *context)
{
    struct service *service = context;

    server_commits_done(service->server);
}

void service_serve(struct service *service)
{
    struct store *store = &service->store;

    store->scans = index_open(INDEX_PATH, INDEX_SCAN);
    must(store->scans != NULL, "the index, a second time");
    store->mailboxes = mailboxes_new(store->index);
    store->commits = commits_new(store);
    store->openings = openings_new(store);
    service->server = server_new(store);
    service->reclaim = reclaim_new(store);
    store->committed = on_group;
    store->committed_context = service;
}

void service_drain(struct service *service)
{
    reclaim_stop(service->reclaim);
}

void service_stop(struct service *service)
{
    struct store *store = &service->store;

    server_free(service->server);
    openings_free(store->openings);
    reclaim_free(service->reclaim);
    commits_free(store->commits);
    segments_free(store->segments);
    mailboxes_free(store->mailboxes);
    index_close(store->scans);
    index_close(store->index);
    child_fini(&service->child);
}
