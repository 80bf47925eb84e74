#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "admin/authlink.h"
#include "admin/health.h"
#include "admin/request.h"
#include "admin/store.h"
#include "db/drop.h"
#include "lib/metrics.h"
#include "lib/xalloc.h"

static const char fine[] = "ok";

enum part { PART_DATABASE, PART_STORE, PART_AUTH, PART_POP3, PART_LMTP, PART__MAX };

static const char *const part_names[PART__MAX] = {"database", "store", "auth", "pop3", "lmtp"};

struct health {
    struct request *request;
    unsigned waiting; /* for how many answers */
    const char *parts[PART__MAX];
};

void health_live(struct admin *admin, struct request *request)
{
    (void)admin;
    request_answer_json(request, MHD_HTTP_OK, json_pack("{s:s}", "status", fine));
}

static const char *check_database(struct db *db)
{
    uint64_t mailbox;

    switch (db_drop_next(db, 0, &mailbox)) {
    case DB_OK:
    case DB_NONE: return fine;
    case DB_BUSY: return "accounts.db is locked by another program for too long";
    default: return "accounts.db cannot be read; see the lines of admin in the log";
    }
}

/* A program that crashed counts until the supervisor has noticed, and again when it is back. */
static const char *check_processes(enum metric processes, const char *what)
{
    return metric_sum(processes) > 0 ? fine : what;
}

static void answer(struct health *health)
{
    json_t *body = json_object();
    bool ok = true;

    for (unsigned i = 0; i < PART__MAX; i++)
        ok = ok && strcmp(health->parts[i], fine) == 0;
    json_object_set_new(body, "status", json_string(ok ? fine : "failing"));
    for (unsigned i = 0; i < PART__MAX; i++)
        json_object_set_new(body, part_names[i], json_string(health->parts[i]));
    request_answer_json(health->request, ok ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, body);
    free(health);
}

static void answer_when_all_is_known(struct health *health)
{
    if (--health->waiting == 0)
        answer(health);
}

static void on_store(void *context, enum store_result result)
{
    struct health *health = context;

    health->parts[PART_STORE] =
        result == STORE_OK ? fine : "stored gives no answer; see its lines in the log";
    answer_when_all_is_known(health);
}

static void on_auth(void *context, bool answered)
{
    struct health *health = context;

    health->parts[PART_AUTH] = answered ? fine : "authd gives no answer; see its lines in the log";
    answer_when_all_is_known(health);
}

void health_ready(struct admin *admin, struct request *request)
{
    struct health *health = xcalloc(1, sizeof(*health));

    health->request = request;
    health->waiting = 2;
    health->parts[PART_DATABASE] = check_database(admin->db);
    health->parts[PART_POP3] =
        check_processes(METRIC_POP3_PROCESSES, "no pop3d runs; see its lines in the log");
    health->parts[PART_LMTP] =
        check_processes(METRIC_LMTP_PROCESSES, "no lmtpd runs; see its lines in the log");
    store_ping(admin->store, (struct store_caller){on_store, health});
    authlink_ping(admin->authlink, (struct authlink_caller){on_auth, health});
}
