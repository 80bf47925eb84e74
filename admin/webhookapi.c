#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "admin/admin.h"
#include "admin/change.h"
#include "admin/domains.h"
#include "admin/page.h"
#include "admin/problem.h"
#include "admin/webhookapi.h"
#include "db/outbox.h"
#include "lib/clock.h"
#include "lib/jsontexts.h"
#include "lib/log.h"
#include "lib/signature.h"

/* Seconds for which a secret that was replaced may be used. */
#define OVERLAP_MOST 604800

#define EVENTS_MAX 50

#define URL                                                                                        \
    .name = "url", .type = FIELD_TEXT, .least = DB_WEBHOOK_URL_LEAST, .most = DB_WEBHOOK_URL_MAX,  \
    .about = "where to; https, unless the operator has listed the network that it leads to"
#define EVENTS                                                                                     \
    {                                                                                              \
        .name = "events", .type = FIELD_TEXTS, .least = 1, .most = EVENTS_MAX,                     \
        .words = db_eventtypes,                                                                    \
        .about = "types of what it is told of, like address.add, customer.* or *"                  \
    }
#define ENABLED                                                                                    \
    {                                                                                              \
        .name = "enabled", .type = FIELD_BOOL,                                                     \
        .about = "whether it is told anything; switched on it is told what it has missed in the "  \
                 "last 7 days"                                                                     \
    }

/* clang-format off */
const struct field webhook_new_fields[] = {
    {URL, .required = true}, EVENTS,
    {.name = "customer", .type = FIELD_NUMBER, .least = 1, .most = INT64_MAX,
     .about = "who is told of what is its own, by its id; not given by an operator: of everything; a "
              "customer's key need not say it"},
    {0}};
const struct field webhook_fields[] = {{URL}, EVENTS, ENABLED, {0}};
const struct field webhook_secret_fields[] = {
    {.name = "overlap_seconds", .type = FIELD_NUMBER, .most = OVERLAP_MOST,
     .about = "for how long the secret of before is used as well; a day where it is not given"},
    {0}};
const struct field webhook_replay_fields[] = {
    {.name = "cursor", .type = FIELD_NUMBER, .least = 1, .most = INT64_MAX,
     .about = "of the first event to be told again; one that lies ahead: only of what comes"},
    {.name = "time", .type = FIELD_TIME, .about = "or from when on"},
    {0}};
/* clang-format on */

/* --- as JSON */

static json_t *customer_object(uint64_t customer)
{
    return customer != 0 ? json_integer((json_int_t)customer) : json_null();
}

static json_t *webhook_object(const struct db_webhook *webhook)
{
    bool renewed = webhook->old_until > (uint64_t)time(NULL);

    return json_pack(
        "{sI so so ss so sb so so sI so si so so so si so}", "id", (json_int_t)webhook->id,
        "customer", customer_object(webhook->customer), "customer_name",
        field_format_text(webhook->customer_name), "url", webhook->url, "events",
        jsontexts_split(webhook->events, ','), "enabled", (int)(webhook->disabled == 0), "disabled",
        field_format_time(webhook->disabled), "created", field_format_time(webhook->created),
        "cursor", (json_int_t)webhook->cursor, "failing", field_format_time(webhook->failing),
        "failures", (int)webhook->failures, "failure",
        field_format_text(webhook->failing != 0 ? webhook->failure : ""), "next_try",
        field_format_time(webhook->disabled == 0 ? webhook->next : 0), "answered",
        field_format_time(webhook->answered), "status", (int)webhook->status, "old_secret_until",
        field_format_time(renewed ? webhook->old_until : 0));
}

/* As it is now, if it is still that customer's. */
static enum db_result find(struct db *db, const struct request *request,
                           struct db_webhook *webhook_r)
{
    enum db_result result = db_operator_webhook_find(db, request->webhook, webhook_r);

    return result == DB_OK && webhook_r->customer != request->customer ? DB_NONE : result;
}

enum db_result webhook_show(struct db *db, struct request *request, struct json_t **object_r)
{
    struct db_webhook webhook;
    enum db_result result = find(db, request, &webhook);

    if (result == DB_OK)
        *object_r = webhook_object(&webhook);
    return result;
}

/* --- what a body says */

/* The types with commas between them. */
static void take_events(struct request *request, char events_r[DB_WEBHOOK_EVENTS_MAX + 1])
{
    const json_t *list = json_object_get(request->json, "events");
    char error[DB_EVENTTYPE_ERROR_SIZE];
    size_t length = 0;
    char pointer[32];
    json_t *value;
    size_t i;

    events_r[0] = '\0';
    json_array_foreach(list, i, value)
    {
        const char *type = json_string_value(value);
        if (type == NULL) /* noted already */
            return;
        size_t room = DB_WEBHOOK_EVENTS_MAX + 1 - length;
        int more = snprintf(events_r + length, room, "%s%s", length > 0 ? "," : "", type);
        snprintf(pointer, sizeof(pointer), "/events/%zu", i);
        if (strchr(type, ',') != NULL) {
            problem_member(request, pointer, "choice", "each is one type, without a comma");
            return;
        }
        if (db_eventtype_check(type, error) < 0) {
            problem_member(request, pointer, "choice", "%s", error);
            return;
        }
        if (more < 0 || (size_t)more >= room) {
            problem_member(request, "/events", "too-long", "they have %d characters at most",
                           DB_WEBHOOK_EVENTS_MAX);
            return;
        }
        length += (size_t)more;
    }
}

static void check_url(struct request *request)
{
    const char *url = field_text(request->json, "url", NULL);
    const char *error;

    if (url != NULL && db_webhook_url_check(url, &error) < 0)
        problem_member(request, "/url", "url", "%s", error);
}

void webhook_check(struct admin *admin, struct request *request)
{
    char events[DB_WEBHOOK_EVENTS_MAX + 1];
    (void)admin;

    check_url(request);
    take_events(request, events);
}

void webhook_check_new(struct admin *admin, struct request *request)
{
    uint64_t own = request->key.customer;

    webhook_check(admin, request);
    request->customer = (uint64_t)field_number(request->json, "customer", (int64_t)own);
    if (own != 0 && request->customer != own)
        problem_member(request, "/customer", "no-customer", "there is no such customer");
}

void webhook_replay_check(struct admin *admin, struct request *request)
{
    (void)admin;
    if (request->errors == NULL &&
        field_given(request->json, "cursor") == field_given(request->json, "time"))
        problem_member(request, "/cursor", "either", "give a cursor or a time");
}

/* --- changes */

/* With the secret, which is shown once. */
static enum db_result answer_secret(struct db *db, struct request *request,
                                    const uint8_t secret[DB_WEBHOOK_SECRET_SIZE])
{
    char text[SIGNATURE_TEXT_SIZE];
    struct json_t *object = NULL;

    enum db_result result = webhook_show(db, request, &object);
    if (result != DB_OK)
        return result;
    signature_secret(text, secret);
    json_object_set_new(object, "secret", json_string(text));
    sodium_memzero(text, sizeof(text));
    request_set(request, 201, object);
    return DB_OK;
}

static enum db_result explain_taken(struct request *request, enum db_result result)
{
    if (result == DB_TAKEN)
        problem_set(request, PROBLEM_EXISTS,
                    "there is a webhook with this URL already; change that one");
    return result;
}

enum db_result webhook_add(struct db *db, struct request *request)
{
    char events[DB_WEBHOOK_EVENTS_MAX + 1];
    uint8_t secret[DB_WEBHOOK_SECRET_SIZE];
    char id[24];

    take_events(request, events);
    randombytes_buf(secret, sizeof(secret));
    enum db_result result =
        db_webhook_add(db, request->customer, field_text(request->json, "url", ""),
                       events[0] != '\0' ? events : "*", secret, &request->webhook);
    if (result == DB_OK) {
        snprintf(id, sizeof(id), "%" PRIu64, request->webhook);
        request_set_location(request, "/api/v1/webhooks/", id);
        result = answer_secret(db, request, secret);
    }
    if (result == DB_NONE) {
        problem_member(request, "/customer", "no-customer", "there is no such customer");
        (void)problem_wrong(request);
    }
    sodium_memzero(secret, sizeof(secret));
    return explain_taken(request, result);
}

enum db_result webhook_change(struct db *db, struct request *request)
{
    char events[DB_WEBHOOK_EVENTS_MAX + 1];
    bool enabled = field_bool(request->json, "enabled", false);

    take_events(request, events);
    enum db_result result = db_webhook_set(
        db, request->customer, request->webhook, field_text(request->json, "url", NULL),
        events[0] != '\0' ? events : NULL, field_given(request->json, "enabled") ? &enabled : NULL);
    return explain_taken(request, result);
}

enum db_result webhook_remove(struct db *db, struct request *request)
{
    return db_webhook_remove(db, request->customer, request->webhook);
}

enum db_result webhook_renew(struct db *db, struct request *request)
{
    uint64_t overlap = (uint64_t)field_number(request->json, "overlap_seconds", DB_WEBHOOK_OVERLAP);
    uint8_t secret[DB_WEBHOOK_SECRET_SIZE];

    randombytes_buf(secret, sizeof(secret));
    enum db_result result = db_webhook_renew(db, request->customer, request->webhook, secret,
                                             (uint64_t)time(NULL) + overlap);
    if (result == DB_OK)
        result = answer_secret(db, request, secret);
    sodium_memzero(secret, sizeof(secret));
    return result;
}

enum db_result webhook_replay(struct db *db, struct request *request)
{
    uint64_t time = field_time(request->json, "time", 0);
    uint64_t cursor = (uint64_t)field_number(request->json, "cursor", (int64_t)(time * 1000000));

    return db_webhook_replay(db, request->customer, request->webhook, cursor > 0 ? cursor - 1 : 0);
}

/* --- lists */

static enum db_result next(struct page *page, void *row)
{
    struct db *db = page->request->admin->db;
    uint64_t customer = page->request->customer;

    return customer != 0 ? db_webhook_next(db, customer, row) : db_operator_webhook_next(db, row);
}

static json_t *item(const struct page *page, void *row)
{
    (void)page;
    return webhook_object(row);
}

static void name(const void *row, char name_r[PAGE_NAME_MAX + 1])
{
    snprintf(name_r, PAGE_NAME_MAX + 1, "%" PRIu64, ((const struct db_webhook *)row)->id);
}

void webhooks_list(struct admin *admin, struct request *request)
{
    static const struct listing listing = {next, item, name};
    struct db_webhook webhook = {0};
    struct page page;
    (void)admin;

    if (list_customer(request, &request->customer) < 0 || page_begin(&page, request) < 0)
        return;
    webhook.id = page_after_number(&page);
    page_fill(&page, &listing, &webhook);
}

struct deliveries {
    struct db_webhook webhook;
    struct db_outbox event;
    uint64_t after;
};

static enum db_result delivery_next(struct page *page, void *context)
{
    struct deliveries *row = context;
    enum db_result result =
        db_outbox_next(page->request->admin->db, &row->webhook, row->after, &row->event);

    if (result == DB_OK)
        row->after = row->event.cursor;
    return result;
}

static json_t *delivery_item(const struct page *page, void *context)
{
    const struct deliveries *row = context;
    const struct db_outbox *event = &row->event;
    (void)page;

    if (!db_eventtype_wants(row->webhook.events, event->type))
        return NULL;
    return json_pack("{sI ss so so ss}", "cursor", (json_int_t)event->cursor, "type", event->type,
                     "time", field_format_time(event->time), "customer",
                     customer_object(event->customer), "object", event->object);
}

static void delivery_name(const void *row, char name_r[PAGE_NAME_MAX + 1])
{
    snprintf(name_r, PAGE_NAME_MAX + 1, "%" PRIu64, ((const struct deliveries *)row)->after);
}

void webhook_deliveries_list(struct admin *admin, struct request *request)
{
    static const struct listing listing = {delivery_next, delivery_item, delivery_name};
    struct deliveries row = {0};
    struct page page;

    enum db_result result = find(admin->db, request, &row.webhook);
    if (result != DB_OK) {
        change_problem(request, admin->db, result);
        return;
    }
    if (page_begin(&page, request) < 0)
        return;
    row.after = page_after_number(&page);
    if (row.after < row.webhook.cursor)
        row.after = row.webhook.cursor;
    page_fill(&page, &listing, &row);
    db_outbox_free(&row.event);
}

/* --- a test */

static void on_tested(void *context, const struct webhooks_tested *tested)
{
    struct request *request = context;

    log_info("request=%s from=%s key=%" PRIu64 ": webhook=%" PRIu64 " tested: %s", request->id,
             request->remote_text, request->key.id, request->webhook,
             tested->failure[0] != '\0' ? tested->failure : "it has it");
    request_set(request, 200,
                json_pack("{sb si so}", "delivered", (int)(tested->failure[0] == '\0'), "status",
                          (int)tested->status, "failure", field_format_text(tested->failure)));
    change_keep_and_send(request);
}

void webhook_test(struct admin *admin, struct request *request)
{
    struct db_webhook webhook;

    if (!admin->serving) {
        problem_set(request, PROBLEM_BUSY, "this service is being replaced; try again");
        request->answer.retry_after = 1;
        return;
    }
    enum db_result result = find(admin->db, request, &webhook);
    if (result != DB_OK) {
        change_problem(request, admin->db, result);
        return;
    }
    uint64_t wait = webhooks_test(admin->webhooks, &webhook, on_tested, request);
    if (wait > 0) {
        problem_set(request, PROBLEM_RATE, "this webhook was tested just now");
        request->answer.retry_after = (unsigned)(wait + 999) / 1000;
    }
}
