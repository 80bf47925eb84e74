#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "admin/health.h"
#include "admin/request.h"
#include "admin/store.h"
#include "db/drop.h"
#include "lib/xalloc.h"

struct health {
    struct request *request;
    const char *database;
};

static const char *check_database(struct db *db)
{
    uint64_t mailbox;

    switch (db_drop_next(db, 0, &mailbox)) {
    case DB_OK:
    case DB_NONE: return "ok";
    case DB_BUSY: return "accounts.db is locked by another program for too long";
    default: return "accounts.db cannot be read; see the lines of admin in the log";
    }
}

static void on_pong(void *context, enum store_result result)
{
    struct health *health = context;
    const char *store =
        result == STORE_OK ? "ok" : "stored gives no answer; see its lines in the log";
    bool ok = result == STORE_OK && strcmp(health->database, "ok") == 0;

    request_answer_json(health->request, ok ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
                        json_pack("{s:s,s:s,s:s}", "status", ok ? "ok" : "failing", "database",
                                  health->database, "store", store));
    free(health);
}

void health_get(struct admin *admin, struct request *request)
{
    struct health *health = xcalloc(1, sizeof(*health));

    health->request = request;
    health->database = check_database(admin->db);
    store_ping(admin->store, (struct store_caller){on_pong, health});
}
