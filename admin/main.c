/*
 * The program admin: the HTTP service of an instance. It also has stored drop the mail of removed
 * mailboxes and what is older than a plan allows, because it is the one that both reads the account
 * database and may tell stored so, and it writes what authd wants to have written.
 */
#include <event2/event.h>

#include "admin/admin.h"
#include "admin/exposition.h"
#include "admin/health.h"
#include "admin/http.h"
#include "admin/route.h"
#include "admin/store.h"
#include "db/db.h"
#include "lib/confine.h"
#include "lib/log.h"

#define DATABASE_PATH "accounts.db"

static const struct route routes[] = {
    {"GET", "/healthz", health_get},
    {"GET", "/metrics", exposition_get},
};

#define ROUTES (sizeof(routes) / sizeof(routes[0]))

static void end(void *context)
{
    struct admin *admin = context;

    event_base_loopexit(admin->child.base, NULL);
}

/*
 * Nothing here takes long: whoever waits for stored is told that it does not answer. What authd
 * wants to have written may come until it has ended.
 */
static void drain(void *context)
{
    struct admin *admin = context;

    if (admin->http == NULL)
        return;
    dropper_stop(&admin->dropper);
    retention_stop(&admin->retention);
    store_free(admin->store);
    http_free(admin->http);
    admin->http = NULL;
    db_close(admin->db);
    authlink_drain(admin->authlink, end, admin);
}

static const struct confine_profile profile = {
    .calls = {.files = CALLFILTER_WRITE, .connects = true},
    .paths = {CONFINE_DATABASE(LANDLOCK_READ | LANDLOCK_WRITE)},
};

int main(void)
{
    static struct admin admin;
    char error[512];

    child_init(&admin.child, "admin");
    admin.child.drain = drain;
    admin.child.context = &admin;
    confine(&profile);
    admin.db = db_open(DATABASE_PATH, DB_WRITE, error, sizeof(error));
    if (admin.db == NULL)
        log_fatal("%s", error);
    admin.store = store_new(admin.child.base);
    admin.http = http_new(admin.child.base, routes, ROUTES, &admin);
    dropper_init(&admin.dropper, admin.child.base, admin.db, admin.store);
    retention_init(&admin.retention, admin.child.base, admin.db, admin.store);
    admin.authlink = authlink_new(admin.child.base);
    child_run(&admin.child);
    authlink_free(admin.authlink);
    return 0;
}
