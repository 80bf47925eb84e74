/*
 * stored: the mail store, sole owner of the mail files and their index. Started by the supervisor
 * it serves its three sockets; by hand, or by `bellhop store`, it does one thing and ends:
 *
 *   stored verify | rebuild | stats [--json]     in the instance's directory
 *   stored dump | load SEGMENT-SIZE              there too, for `bellhop backup` and `restore`
 *   stored export MAILBOX                        for `bellhop mailbox export`
 */
#include <event2/event.h>
#include <inttypes.h>
#include <malloc.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/child.h"
#include "lib/confine.h"
#include "lib/fault.h"
#include "lib/log.h"
#include "lib/owner.h"
#include "stored/commit.h"
#include "stored/dump.h"
#include "stored/export.h"
#include "stored/index.h"
#include "stored/load.h"
#include "stored/mailbox.h"
#include "stored/opening.h"
#include "stored/reclaim.h"
#include "stored/recovery.h"
#include "stored/report.h"
#include "stored/segments.h"
#include "stored/server.h"
#include "stored/store.h"

/* Freed memory that is kept for the next messages: to give it back and fault it in anew costs more
 * than to read them. */
#define MEMORY_KEPT (16 * 1024 * 1024)

/* Buffers below this size are a part of that; setting the one turns off that malloc learns this. */
#define MEMORY_SHARED (1024 * 1024)

struct stored {
    struct child child;
    struct store store;
    struct server *server;
    struct reclaim *reclaim;
};

static void on_drained(void *context)
{
    struct stored *stored = context;

    fault_point("stop.drained");
    /* Not loopbreak: the last answers leave at the end of this turn. */
    event_base_loopexit(stored->child.base, NULL);
}

/* The fronts are gone or going: what they handed over becomes durable, then all ends. */
static void drain(void *context)
{
    struct stored *stored = context;

    server_stop(stored->server);
    reclaim_stop(stored->reclaim);
    commits_drain(stored->store.commits, on_drained, stored);
}

static void durable(void *context)
{
    struct stored *stored = context;

    server_flush(stored->server);
}

static void committed(void *context)
{
    struct stored *stored = context;

    server_commits_done(stored->server);
}

static void start(struct stored *stored)
{
    struct store *store = &stored->store;

    if (child_read(child_descriptor("key", 0), store->key, sizeof(store->key)) !=
        sizeof(store->key))
        log_fatal("the capability key was not passed on");
    store->base = stored->child.base;
    store->segment_size = stored->child.conf.segment_size;
    store->reclaim_rate = stored->child.conf.reclaim_rate;
    (void)recovery_lock();
    recovery_run(store);
    store->scans = index_open(INDEX_PATH, INDEX_SCAN);
    if (store->scans == NULL)
        log_retry("the index cannot be opened a second time");
    store->mailboxes = mailboxes_new(store->index);
    store->segments = segments_new(store->seed);
    store->commits = commits_new(store);
    store->openings = openings_new(store);
    stored->server = server_new(store);
    stored->reclaim = reclaim_new(store);
    store->durable = durable;
    store->committed = committed;
    store->committed_context = stored;
}

static void stop(struct stored *stored)
{
    struct store *store = &stored->store;

    server_free(stored->server);
    openings_free(store->openings);
    reclaim_free(stored->reclaim);
    commits_free(store->commits);
    fault_point("stop.trimmed");
    segments_free(store->segments);
    mailboxes_free(store->mailboxes);
    /* First, for the last to close writes everything into the main file. */
    index_close(store->scans);
    index_close(store->index);
    fault_point("stop.closed");
    sodium_memzero(store->key, sizeof(store->key));
}

static const struct confine_profile profile = {
    .calls = {.files = CALLFILTER_WRITE, .threads = true, .memory = true},
    .paths = {{"store", LANDLOCK_OWN}, {"/dev/urandom", LANDLOCK_READ}},
};

static int serve(void)
{
    static struct stored stored;

    mallopt(M_TRIM_THRESHOLD, MEMORY_KEPT);
    mallopt(M_MMAP_THRESHOLD, MEMORY_SHARED);
    child_init(&stored.child, "stored");
    stored.child.drain = drain;
    stored.child.context = &stored;
    confine(&profile);
    start(&stored);
    log_info("the store is ready: %" PRIu64 " is the next segment", stored.store.next_segment);
    child_run(&stored.child);
    stop(&stored);
    child_fini(&stored.child);
    return 0;
}

static int rebuild(bool json)
{
    struct store store = {0};

    if (sodium_init() < 0)
        log_fatal("libsodium does not start");
    (void)recovery_lock();
    recovery_rebuild(&store);
    return report_stats(json);
}

static const struct {
    const char *name;
    int (*run)(bool json);
} modes[] = {
    {"verify", report_verify},
    {"rebuild", rebuild},
    {"stats", report_stats},
};

int main(int argc, char **argv)
{
    bool json = argc == 3 && strcmp(argv[2], "--json") == 0;

    if (argc == 1)
        return serve();
    log_open("stored");
    owner_become();
    if (argc == 3 && strcmp(argv[1], "export") == 0)
        return export_run(argv[2]);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        if (strcmp(argv[1], modes[i].name) == 0 && (argc == 2 || json))
            return modes[i].run(json);
    if (argc == 2 && strcmp(argv[1], "dump") == 0)
        return dump_run();
    if (argc == 3 && strcmp(argv[1], "load") == 0)
        return load_run(strtoull(argv[2], NULL, 10));
    fprintf(stderr, "usage: stored [verify | rebuild | stats [--json]]\n"
                    "       stored dump | load SEGMENT-SIZE | export MAILBOX\n");
    return 2;
}
