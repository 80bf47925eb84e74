#include "admin/webhooks.h"

#include <event2/event.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>
#include <utlist.h>

#include "admin/backlog.h"
#include "admin/bucket.h"
#include "admin/fetcher.h"
#include "admin/field.h"
#include "db/outbox.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/signature.h"
#include "lib/xalloc.h"

/* Webhooks that are told something at once, of the REQUESTS that fetchd takes; and of one customer,
 * whose receivers may be slow. */
#define AT_ONCE      32
#define CUSTOMER_MAX 4

/* In one turn: webhooks that are looked at, and events in a row that one of them does not want. */
#define LOOKED_MAX 500
#define PASSED_MAX 200

#define UNSENDABLE "the request cannot be made"

#define REST_MS 20 /* between parts of one look */

/* Seconds. */
#define LOOK_EVERY  1
#define ANSWER_TIME 15
#define PAUSE_FIRST 10
#define PAUSE_MOST  3600
#define PRUNE_EVERY 3600

/* Tests of one webhook. */
#define TEST_RATE  0.1
#define TEST_BURST 5

/* One webhook that is being told. */
struct telling {
    struct telling *prev;
    struct telling *next;
    struct webhooks *webhooks;
    struct db_webhook webhook;
    uint64_t cursor; /* of the event */
    bool answered;   /* and the answer is still to be written down */
    unsigned status; /* 0: none came */
    char failure[DB_WEBHOOK_FAILURE_MAX + 1];
};

/* One that is being tested. */
struct testing {
    struct testing *prev;
    struct testing *next;
    struct webhooks *webhooks;
    void (*done)(void *context, const struct webhooks_tested *tested);
    void *context;
};

struct webhooks {
    struct db *db;
    struct fetcher *fetcher;
    struct event *tick;
    struct telling *tellings;
    struct testing *testings;
    struct buckets *tests; /* by the webhook's id */
    struct backlog backlog;
    unsigned count;
    uint64_t newest; /* event, at the last look */
    uint64_t after;  /* the webhook at which the next look goes on */
    uint64_t retry;  /* when one that has failed is due; UINT64_MAX: none is */
    uint64_t prune;  /* when what is old is removed the next time */
};

static uint64_t now(void)
{
    return clock_wall() / 1000000;
}

/* --- what is sent */

static char *make_body(const struct db_outbox *event)
{
    bool audited = event->actor[0] != '\0';
    json_t *body =
        json_pack("{sI ss so so so}", "cursor", (json_int_t)event->cursor, "type", event->type,
                  "time", field_format_time(event->time), "customer",
                  event->customer_name[0] != '\0' ? json_string(event->customer_name) : json_null(),
                  "object", json_string(event->object));
    if (audited)
        json_object_update_new(body, json_pack("{ss ss ss}", "actor", event->actor, "remote",
                                               event->remote, "request", event->request));
    json_t *detail = json_loads(event->detail, 0, NULL);
    json_object_set_new(body, audited ? "changes" : "detail",
                        detail != NULL ? detail : json_array());
    char *text = json_dumps(body, JSON_COMPACT);
    if (text != NULL && strlen(text) > FETCH_BODY_MAX) {
        free(text);
        json_object_del(body, "changes");
        text = json_dumps(body, JSON_COMPACT);
    }
    json_decref(body);
    return text;
}

static int sign(struct webhooks *webhooks, uint64_t id, const char *body,
                char signature_r[SIGNATURE_VALUE_SIZE])
{
    uint8_t secrets[SIGNATURE_SECRETS_MAX][DB_WEBHOOK_SECRET_SIZE];
    unsigned count;

    if (db_webhook_secrets(webhooks->db, id, secrets, &count) != DB_OK)
        return -1;
    signature_make(signature_r, secrets, count, now(), body, strlen(body));
    sodium_memzero(secrets, sizeof(secrets));
    return 0;
}

/* Returns 0, or -1 where it cannot be sent. */
static int ask(struct webhooks *webhooks, const struct db_webhook *webhook,
               const struct db_outbox *event, struct fetcher_caller caller)
{
    char headers[256 + SIGNATURE_VALUE_SIZE];
    char signature[SIGNATURE_VALUE_SIZE];
    char *body = make_body(event);
    int result = -1;

    if (body == NULL || sign(webhooks, webhook->id, body, signature) < 0)
        goto out;
    snprintf(headers, sizeof(headers),
             "Content-Type: application/json\nBellhop-Signature: %s\nBellhop-Event: %s\n"
             "Bellhop-Cursor: %" PRIu64 "\n",
             signature, event->type, event->cursor);
    const struct fetcher_request request = {.method = FETCH_POST,
                                            .url = webhook->url,
                                            .headers = headers,
                                            .body = body,
                                            .body_length = strlen(body),
                                            .seconds = ANSWER_TIME,
                                            .answer_max = FETCH_BODY_MAX};
    result = fetcher_ask(webhooks->fetcher, &request, caller);
out:
    free(body);
    return result;
}

/* Why an answer is none that tells the webhook has it; empty: it is one. */
static void read_answer(const struct fetcher_answer *answer, unsigned *status_r,
                        char failure_r[DB_WEBHOOK_FAILURE_MAX + 1])
{
    *status_r = answer->result == FETCH_DONE ? answer->status : 0;
    failure_r[0] = '\0';
    if (answer->result != FETCH_DONE)
        snprintf(failure_r, DB_WEBHOOK_FAILURE_MAX + 1, "%.*s", (int)answer->length, answer->text);
    else if (*status_r < 200 || *status_r > 299)
        snprintf(failure_r, DB_WEBHOOK_FAILURE_MAX + 1, "it answered with the status %u",
                 *status_r);
}

/* --- one webhook */

static struct telling *find(const struct webhooks *webhooks, uint64_t id)
{
    struct telling *telling;

    DL_FOREACH (webhooks->tellings, telling) {
        if (telling->webhook.id == id)
            return telling;
    }
    return NULL;
}

static void end(struct telling *telling)
{
    struct webhooks *webhooks = telling->webhooks;

    DL_DELETE(webhooks->tellings, telling);
    webhooks->count--;
    free(telling);
}

static void on_answer(void *context, const struct fetcher_answer *answer);

static void begin(struct webhooks *webhooks, const struct db_webhook *webhook,
                  const struct db_outbox *event)
{
    struct telling *telling = xcalloc(1, sizeof(*telling));

    telling->webhooks = webhooks;
    telling->webhook = *webhook;
    telling->cursor = event->cursor;
    DL_APPEND(webhooks->tellings, telling);
    webhooks->count++;
    if (ask(webhooks, webhook, event, (struct fetcher_caller){on_answer, telling}) < 0) {
        telling->answered = true;
        snprintf(telling->failure, sizeof(telling->failure), UNSENDABLE);
    }
}

/* Begins to tell it the next event that it wants, if there is one, and passes over what it does
 * not. */
static void tell(struct webhooks *webhooks, const struct db_webhook *webhook)
{
    struct db_outbox event = {0};
    uint64_t cursor = webhook->cursor;
    enum db_result result = DB_OK;
    unsigned passed;

    for (passed = 0; passed < PASSED_MAX; passed++) {
        result = db_outbox_next(webhooks->db, webhook, cursor, &event);
        if (result != DB_OK || db_eventtype_wants(webhook->events, event.type))
            break;
        cursor = event.cursor;
    }
    if (result == DB_OK && passed < PASSED_MAX)
        begin(webhooks, webhook, &event);
    else if (passed > 0) /* if this fails they are only passed over again */
        db_webhook_told(webhooks->db, webhook, cursor, 0);
    if (passed == PASSED_MAX)
        webhooks->newest = 0;
    db_outbox_free(&event);
}

/* Whether one more of the customer's may be told. The operator's own are up to the operator. */
static bool has_place(const struct webhooks *webhooks, uint64_t customer)
{
    const struct telling *telling;
    unsigned count = 0;

    DL_FOREACH (webhooks->tellings, telling) {
        count += telling->webhook.customer == customer;
    }
    return customer == 0 || count < CUSTOMER_MAX;
}

static bool is_due(struct webhooks *webhooks, const struct db_webhook *webhook, uint64_t newest)
{
    if (webhook->disabled != 0 || webhook->cursor >= newest || find(webhooks, webhook->id) != NULL)
        return false;
    if (webhook->next <= now())
        return true;
    if (webhook->next < webhooks->retry)
        webhooks->retry = webhook->next;
    return false;
}

static void tell_if_due(struct webhooks *webhooks, const struct db_webhook *webhook)
{
    if (!is_due(webhooks, webhook, UINT64_MAX) || !has_place(webhooks, webhook->customer))
        return;
    if (webhooks->count < AT_ONCE)
        tell(webhooks, webhook);
    else
        webhooks->newest = 0;
}

/*
 * A place of the customer's is free: the customer's webhooks from the one behind this on, which is
 * the last, so that who has much to be told keeps none of the others waiting.
 */
static void pass_on(struct webhooks *webhooks, const struct db_webhook *last)
{
    struct db_webhook webhook = {.id = last->id};

    while (db_webhook_next(webhooks->db, last->customer, &webhook) == DB_OK)
        tell_if_due(webhooks, &webhook);
    webhook = (struct db_webhook){0};
    while (db_webhook_next(webhooks->db, last->customer, &webhook) == DB_OK &&
           webhook.id <= last->id)
        tell_if_due(webhooks, &webhook);
}

/* Goes on with one that has been told something, and with others if they wait for its place. */
static void go_on(struct webhooks *webhooks, const struct db_webhook *last, bool others)
{
    struct db_webhook webhook;

    if (others)
        pass_on(webhooks, last);
    else if (db_operator_webhook_find(webhooks->db, last->id, &webhook) == DB_OK)
        tell(webhooks, &webhook);
}

/* --- what comes of it */

static uint64_t next_try(const struct db_webhook *webhook)
{
    unsigned doublings = webhook->failures < 9 ? webhook->failures : 9;
    uint64_t pause = (uint64_t)PAUSE_FIRST << doublings;

    return now() + (pause < PAUSE_MOST ? pause : PAUSE_MOST);
}

static enum db_result note_failure(const struct telling *telling)
{
    struct db *db = telling->webhooks->db;
    const struct db_webhook *webhook = &telling->webhook;

    if (webhook->failing == 0 || webhook->failing + DB_WEBHOOK_PATIENCE > now())
        return db_webhook_failed(db, webhook, now(), next_try(webhook), telling->failure,
                                 telling->status);
    log_warning("webhook=%" PRIu64 " has failed for 3 days and is told nothing more: %s",
                webhook->id, telling->failure);
    return db_webhook_give_up(db, webhook, now());
}

/* Writes down what came of it; while another writer holds the database, at the next look. */
static void note(struct telling *telling)
{
    struct webhooks *webhooks = telling->webhooks;
    enum db_result result =
        telling->failure[0] != '\0'
            ? note_failure(telling)
            : db_webhook_told(webhooks->db, &telling->webhook, telling->cursor, telling->status);

    if (result == DB_BUSY || result == DB_BROKEN)
        return;
    metric_add(telling->failure[0] != '\0' ? METRIC_WEBHOOKS_FAILED : METRIC_WEBHOOKS_TOLD, 1);
    const struct db_webhook last = telling->webhook;
    bool told = result == DB_OK && telling->failure[0] == '\0';
    bool others = !has_place(webhooks, last.customer);
    end(telling);
    /* At once, unless other customers' wait for their turn. */
    if (told && webhooks->after == 0)
        go_on(webhooks, &last, others);
    else
        webhooks->newest = 0;
}

static void on_answer(void *context, const struct fetcher_answer *answer)
{
    struct telling *telling = context;
    struct webhooks *webhooks = telling->webhooks;

    if (answer->result == FETCH_BUSY) { /* not the webhook's failure */
        webhooks->newest = 0;
        end(telling);
        return;
    }
    read_answer(answer, &telling->status, telling->failure);
    telling->answered = true;
    note(telling);
}

/* --- a test */

static void end_test(struct testing *testing, const struct webhooks_tested *tested)
{
    DL_DELETE(testing->webhooks->testings, testing);
    testing->done(testing->context, tested);
    free(testing);
}

static void on_test_answer(void *context, const struct fetcher_answer *answer)
{
    struct webhooks_tested tested;

    read_answer(answer, &tested.status, tested.failure);
    end_test(context, &tested);
}

uint64_t webhooks_test(struct webhooks *webhooks, const struct db_webhook *webhook,
                       void (*done)(void *context, const struct webhooks_tested *tested),
                       void *context)
{
    static const struct fetcher_answer unsendable = {
        .result = FETCH_FAILED, .text = UNSENDABLE, .length = sizeof(UNSENDABLE) - 1};
    struct db_outbox event = {.time = now(), .customer = webhook->customer, .type = "webhook.test"};
    char detail[] = "{}";
    uint64_t wait = bucket_take(webhooks->tests, &webhook->id, sizeof(webhook->id), TEST_RATE,
                                TEST_BURST, clock_milliseconds());

    if (wait > 0)
        return wait;
    struct testing *testing = xcalloc(1, sizeof(*testing));
    *testing = (struct testing){.webhooks = webhooks, .done = done, .context = context};
    DL_APPEND(webhooks->testings, testing);
    snprintf(event.customer_name, sizeof(event.customer_name), "%s", webhook->customer_name);
    snprintf(event.object, sizeof(event.object), "%.*s", DB_AUDIT_OBJECT_MAX, webhook->url);
    event.detail = detail;
    if (ask(webhooks, webhook, &event, (struct fetcher_caller){on_test_answer, testing}) < 0)
        on_test_answer(testing, &unsendable);
    return 0;
}

/* --- the look around */

static void note_all(struct webhooks *webhooks)
{
    struct telling *telling;
    struct telling *next;

    DL_FOREACH_SAFE(webhooks->tellings, telling, next)
    {
        if (telling->answered)
            note(telling);
    }
}

/* From where the last look ended, to the last webhook at most. */
static void look(struct webhooks *webhooks, uint64_t newest)
{
    struct db_webhook webhook = {.id = webhooks->after};

    for (unsigned looked = 0; looked < LOOKED_MAX && webhooks->count < AT_ONCE; looked++) {
        if (db_operator_webhook_next(webhooks->db, &webhook) != DB_OK) {
            webhooks->after = 0;
            return;
        }
        webhooks->after = webhook.id;
        if (is_due(webhooks, &webhook, newest) && has_place(webhooks, webhook.customer))
            tell(webhooks, &webhook);
    }
}

/* Looks around where something has happened since the last look, or is due. */
static void look_around(struct webhooks *webhooks)
{
    uint64_t newest;

    if (db_outbox_newest(webhooks->db, &newest) != DB_OK)
        return;
    if (webhooks->after == 0) {
        if (newest == webhooks->newest && now() < webhooks->retry)
            return;
        webhooks->newest = newest;
        webhooks->retry = UINT64_MAX;
    }
    look(webhooks, newest);
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    static const struct timeval pause = {.tv_sec = LOOK_EVERY};
    static const struct timeval rest = {.tv_usec = REST_MS * 1000};
    struct webhooks *webhooks = context;
    (void)fd;
    (void)what;

    note_all(webhooks);
    if (now() >= webhooks->prune && db_outbox_prune(webhooks->db, now()) == DB_NONE)
        webhooks->prune = now() + PRUNE_EVERY;
    look_around(webhooks);
    backlog_look(&webhooks->backlog, webhooks->db, now());
    event_add(webhooks->tick, webhooks->after != 0 && webhooks->count < AT_ONCE ? &rest : &pause);
}

struct webhooks *webhooks_new(struct event_base *base, struct db *db, struct fetcher *fetcher)
{
    struct webhooks *webhooks = xcalloc(1, sizeof(*webhooks));

    webhooks->db = db;
    webhooks->fetcher = fetcher;
    webhooks->retry = UINT64_MAX;
    webhooks->tests = buckets_new();
    webhooks->tick = evtimer_new(base, on_tick, webhooks);
    if (webhooks->tick == NULL)
        log_fatal("cannot make a timer: out of memory");
    on_tick(-1, 0, webhooks);
    return webhooks;
}

void webhooks_free(struct webhooks *webhooks)
{
    static const struct webhooks_tested stopping = {.failure = "the service is being stopped"};

    if (webhooks == NULL)
        return;
    while (webhooks->tellings != NULL)
        end(webhooks->tellings);
    while (webhooks->testings != NULL)
        end_test(webhooks->testings, &stopping);
    buckets_free(webhooks->tests);
    backlog_end();
    event_free(webhooks->tick);
    free(webhooks);
}
