/*
 * The program admin: the HTTP service of an instance. It also purges what was removed, has stored
 * drop the mail of mailboxes that are gone and what is older than a plan allows, and end sessions
 * whose logins are good no more, because it is the one that both reads the account database and may
 * tell stored so; it writes what authd wants to have written, and it tells webhooks what happens.
 */
#include <event2/event.h>
#include <jansson.h>

#include <sodium.h>

#include "admin/admin.h"
#include "admin/api.h"
#include "admin/http.h"
#include "admin/routes.h"
#include "admin/store.h"
#include "db/db.h"
#include "db/secret.h"
#include "lib/confine.h"
#include "lib/log.h"

#define DATABASE_PATH "accounts.db"

/* From one try to find stored to the next, in milliseconds. */
#define LOOK_PAUSE_MS 100

static void end(void *context)
{
    struct admin *admin = context;

    event_base_loopexit(admin->child.base, NULL);
}

static void stop_sweeping(struct admin *admin)
{
    if (!admin->serving)
        return;
    admin->serving = false;
    dropper_stop(&admin->dropper);
    logouts_stop(&admin->logouts);
    retention_stop(&admin->retention);
    eventpruner_stop(&admin->eventpruner);
    fetcher_free(admin->fetcher);
    issuers_free(admin->issuers);
    purger_stop(&admin->purger);
    crossings_stop(&admin->crossings);
    webhooks_free(admin->webhooks);
    bulk_stop(admin->bulk);
    jobevents_stop(admin->jobevents);
}

/*
 * Whoever waits for stored or authd is told that it does not answer; hashes that have begun, and
 * changes that wait for them, are made first.
 */
static void close_all(struct admin *admin)
{
    stop_sweeping(admin);
    store_free(admin->store);
    if (admin->authlink != NULL)
        authlink_settle(admin->authlink);
    event_free(admin->look);
    authask_free(admin->authask);
    hasher_free(admin->hasher);
    counter_free(admin->counter);
    bulk_join(admin->bulk);
    writer_free(admin->writer);
    admin->writer = NULL;
    bulk_free(admin->bulk);
    http_free(admin->http);
    jobevents_free(admin->jobevents);
    api_free(admin->api);
    admin->http = NULL;
    db_close(admin->db);
}

static void drain(void *context)
{
    struct admin *admin = context;

    if (admin->http != NULL)
        close_all(admin);
    end(admin);
}

/* An authd that has retired as well still has clients. */
static void on_http_retired(void *context)
{
    struct admin *admin = context;

    close_all(admin);
    if (admin->authlink != NULL)
        authlink_drain(admin->authlink, end, admin);
    else
        end(admin);
}

static void serve(void *context)
{
    struct admin *admin = context;

    if (admin->serving || admin->retired)
        return;
    admin->serving = true;
    http_open(admin->http);
    admin->authlink = authlink_new(admin->child.base, admin->notes);
    dropper_init(&admin->dropper, admin->child.base, admin->db, admin->writer, admin->store);
    logouts_init(&admin->logouts, admin->child.base, admin->db, admin->notes, admin->store);
    retention_init(&admin->retention, admin->child.base, admin->db, admin->store);
    eventpruner_init(&admin->eventpruner, admin->child.base, admin->notes);
    admin->fetcher = fetcher_new(admin->child.base);
    admin->issuers = issuers_new(admin->child.base, admin->notes, admin->fetcher);
    purger_init(&admin->purger, admin->child.base, admin->db, admin->writer);
    crossings_init(&admin->crossings, admin->child.base, admin->writer);
    admin->webhooks = webhooks_new(admin->child.base, admin->outbox, admin->fetcher);
    bulk_serve(admin->bulk);
}

static void reload(void *context)
{
    struct admin *admin = context;

    if (admin->http != NULL)
        http_reload(admin->http);
}

static void retire(void *context)
{
    struct admin *admin = context;

    admin->retired = true;
    stop_sweeping(admin);
    http_retire(admin->http, on_http_retired, admin);
}

/* Any answer will do, for it comes behind that to the question which version stored is of. */
static void on_stored(void *context, enum store_result result)
{
    const struct timeval pause = {.tv_usec = LOOK_PAUSE_MS * 1000};
    struct admin *admin = context;

    if (result != STORE_BUSY)
        child_ready();
    else if (admin->http != NULL)
        event_add(admin->look, &pause);
}

static void on_look(evutil_socket_t fd, short what, void *context)
{
    struct admin *admin = context;
    (void)fd;
    (void)what;

    store_ping(admin->store, (struct store_caller){on_stored, admin});
}

static const struct confine_profile profile = {
    .calls = {.files = CALLFILTER_WRITE, .connects = true, .pairs = true, .threads = true},
    .paths = {CONFINE_DATABASE(LANDLOCK_READ | LANDLOCK_WRITE)},
};

static struct db *open_database(enum db_mode mode)
{
    char error[512];

    struct db *db = db_open(DATABASE_PATH, mode, error, sizeof(error));
    if (db == NULL)
        log_fatal("%s", error);
    return db;
}

static void start_hashers(struct admin *admin)
{
    const struct conf *conf = &admin->child.conf;
    struct password_cost cost = {.operations = conf->hash_operations, .memory = conf->hash_memory};

    if (db_secret_find(admin->db, DB_SECRET_SCRAM_SALT, cost.salt_secret) != DB_OK)
        log_fatal("the account database has lost the secret that salts are made with; restore it "
                  "from a backup");
    admin->hasher = hasher_new(admin->child.base, child_per_core(conf->hash_threads), &cost);
    admin->bulk =
        bulk_new(admin->child.base, admin->db, open_database(DB_READ), admin->writer, &cost);
    sodium_memzero(&cost, sizeof(cost));
}

int main(void)
{
    static struct admin admin;

    child_init(&admin.child, "admin");
    admin.child.reload = reload;
    admin.child.drain = drain;
    admin.child.serve = serve;
    admin.child.retire = retire;
    admin.child.context = &admin;
    admin.http =
        http_new(admin.child.base, routes, routes_count, &admin); /* OpenSSL looks around */
    confine(&profile);
    admin.db = open_database(DB_WRITE);
    admin.notes = open_database(DB_NOTES);
    admin.outbox = open_database(DB_NOTES);
    admin.store = store_new(admin.child.base);
    json_object_seed(0);
    admin.writer = writer_new(admin.child.base, open_database(DB_WRITE));
    start_hashers(&admin);
    admin.counter = counter_new(admin.child.base, open_database(DB_READ));
    admin.authask = authask_new(admin.child.base);
    admin.jobevents = jobevents_new(&admin);
    admin.api = api_new(&admin);
    admin.look = evtimer_new(admin.child.base, on_look, &admin);
    if (admin.look == NULL)
        log_fatal("cannot make a timer: out of memory");
    event_active(admin.look, EV_TIMEOUT, 0);
    child_run(&admin.child);
    authlink_free(admin.authlink);
    db_close(admin.notes);
    db_close(admin.outbox);
    return 0;
}
