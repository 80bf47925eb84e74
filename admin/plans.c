#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "admin/page.h"
#include "admin/plans.h"
#include "admin/problem.h"
#include "db/plan.h"
#include "lib/xalloc.h"

static const char *const protections[] = {"none", "mark", "refuse", NULL};

/* check_sizes() knows what does not go together. */
#define PLAN_FIELDS                                                                                \
    {.name = "addresses",                                                                          \
     .type = FIELD_NUMBER,                                                                         \
     .least = 1,                                                                                   \
     .most = DB_PLAN_ADDRESSES_MAX,                                                                \
     .preset = "1",                                                                                \
     .about = "how many addresses, mailboxes and aliases together"},                               \
        {.name = "domains",                                                                        \
         .type = FIELD_NUMBER,                                                                     \
         .least = 1,                                                                               \
         .most = DB_PLAN_DOMAINS_MAX,                                                              \
         .preset = "1",                                                                            \
         .about = "how many domains"},                                                             \
        {.name = "quota_bytes",                                                                    \
         .type = FIELD_NUMBER,                                                                     \
         .least = 65536,                                                                           \
         .most = INT64_C(1) << 50,                                                                 \
         .preset = "1073741824",                                                                   \
         .about = "what one mailbox holds"},                                                       \
        {.name = "quota_messages",                                                                 \
         .type = FIELD_NUMBER,                                                                     \
         .least = 1,                                                                               \
         .most = 10000000,                                                                         \
         .preset = "10000",                                                                        \
         .about = "how many messages one mailbox holds"},                                          \
        {.name = "message_bytes",                                                                  \
         .type = FIELD_NUMBER,                                                                     \
         .least = 65536,                                                                           \
         .most = INT64_C(1) << 50,                                                                 \
         .preset = "52428800",                                                                     \
         .about = "the largest message; where it is not given, no more than quota_bytes"},         \
        {.name = "retention_days",                                                                 \
         .type = FIELD_NUMBER,                                                                     \
         .least = 0,                                                                               \
         .most = 36500,                                                                            \
         .preset = "0",                                                                            \
         .about = "after how many days messages are removed; 0: never"},                           \
        {.name = "poll_seconds",                                                                   \
         .type = FIELD_NUMBER,                                                                     \
         .least = 0,                                                                               \
         .most = 86400,                                                                            \
         .preset = "0",                                                                            \
         .about = "the shortest time between two logins; 0: none"},                                \
        {.name = "protection",                                                                     \
         .type = FIELD_TEXT,                                                                       \
         .preset = "\"none\"",                                                                     \
         .words = protections,                                                                     \
         .about = "what happens to spam"},                                                         \
        {.name = "sending",                                                                        \
         .type = FIELD_BOOL,                                                                       \
         .preset = "true",                                                                         \
         .about = "whether mail may be sent"},                                                     \
        {.name = "catch_all",                                                                      \
         .type = FIELD_BOOL,                                                                       \
         .preset = "false",                                                                        \
         .about = "whether the catch-all of a domain counts"},                                     \
    {                                                                                              \
        0                                                                                          \
    }

/* clang-format off */
const struct field plan_fields[] = {PLAN_FIELDS};
const struct field plan_new_fields[] = {
    {.name = "name", .type = FIELD_TEXT, .required = true, .least = 1, .most = DB_PLAN_NAME_MAX,
     .about = "a-z, 0-9 and -, a letter first"},
    PLAN_FIELDS};
/* clang-format on */

static json_t *plan_object(const struct db_plan *plan)
{
    return json_pack(
        "{ss si si sI sI sI si si ss sb sb}", "name", plan->name, "addresses", (int)plan->addresses,
        "domains", (int)plan->domains, "quota_bytes", (json_int_t)plan->mailbox_octets,
        "quota_messages", (json_int_t)plan->mailbox_messages, "message_bytes",
        (json_int_t)plan->message_octets, "retention_days", (int)plan->retention_days,
        "poll_seconds", (int)plan->poll_seconds, "protection", db_protection_name(plan->protection),
        "sending", (int)plan->sending, "catch_all", (int)plan->catch_all);
}

enum db_result plan_show(struct db *db, struct request *request, struct json_t **object_r)
{
    enum db_result result = db_plan_find(db, request->name, &request->plan);

    if (result == DB_OK)
        *object_r = plan_object(&request->plan);
    return result;
}

/* Sets what the body names. */
static void merge(const json_t *body, struct db_plan *plan)
{
    plan->addresses = (unsigned)field_number(body, "addresses", plan->addresses);
    plan->domains = (unsigned)field_number(body, "domains", plan->domains);
    plan->mailbox_octets =
        (uint64_t)field_number(body, "quota_bytes", (int64_t)plan->mailbox_octets);
    plan->mailbox_messages =
        (uint64_t)field_number(body, "quota_messages", (int64_t)plan->mailbox_messages);
    plan->message_octets =
        (uint64_t)field_number(body, "message_bytes", (int64_t)plan->message_octets);
    plan->retention_days = (unsigned)field_number(body, "retention_days", plan->retention_days);
    plan->poll_seconds = (unsigned)field_number(body, "poll_seconds", plan->poll_seconds);
    (void)db_protection_parse(field_text(body, "protection", db_protection_name(plan->protection)),
                              &plan->protection);
    plan->sending = field_bool(body, "sending", plan->sending);
    plan->catch_all = field_bool(body, "catch_all", plan->catch_all);
}

/* What each member may be is in the table; this is what does not go together. */
static void check_sizes(struct request *request, const struct db_plan *plan)
{
    if (plan->mailbox_octets < plan->message_octets)
        problem_member(request,
                       field_given(request->json, "message_bytes") ? "/message_bytes"
                                                                   : "/quota_bytes",
                       "range", "a mailbox must hold at least one message of the largest size");
}

static void make_plan(const json_t *body, struct db_plan *plan_r)
{
    db_plan_default(plan_r);
    merge(body, plan_r);
    if (!field_given(body, "message_bytes") && plan_r->message_octets > plan_r->mailbox_octets)
        plan_r->message_octets = plan_r->mailbox_octets;
    snprintf(plan_r->name, sizeof(plan_r->name), "%s", field_text(body, "name", ""));
}

void plan_check(struct admin *admin, struct request *request)
{
    struct db_plan plan;
    const char *error;
    (void)admin;

    make_plan(request->json, &plan);
    check_sizes(request, &plan);
    db_plan_default(&plan);
    snprintf(plan.name, sizeof(plan.name), "%s", field_text(request->json, "name", ""));
    if (db_plan_check(&plan, &error) < 0)
        problem_member(request, "/name", "name", "%s", error);
}

enum db_result plan_add(struct db *db, struct request *request)
{
    struct db_plan plan;

    make_plan(request->json, &plan);
    enum db_result result = db_plan_add(db, &plan);
    free(request->name);
    request->name = xstrdup(plan.name);
    request_set_location(request, "/api/v1/plans/", plan.name);
    return result;
}

enum db_result plan_change(struct db *db, struct request *request)
{
    struct db_plan plan;
    enum db_result result = db_plan_find(db, request->name, &plan);

    if (result != DB_OK)
        return result;
    merge(request->json, &plan);
    check_sizes(request, &plan);
    return problem_wrong(request) == 0 ? db_plan_set(db, &plan) : DB_NONE;
}

enum db_result plan_remove(struct db *db, struct request *request)
{
    enum db_result result = db_plan_remove(db, request->name);

    if (result == DB_TAKEN)
        problem_set(request, PROBLEM_IN_USE,
                    "customers are on this plan, perhaps removed ones; give them another one, or "
                    "purge them");
    return result;
}

/* --- the list */

/* A customer sees the one that it is on. */
static enum db_result next(struct page *page, void *row)
{
    const struct request *request = page->request;
    struct db *db = request->admin->db;
    struct db_plan *plan = row;
    struct db_customer own;

    if (request->key.customer == 0)
        return db_plan_next(db, plan);
    enum db_result result = db_customer_get(db, request->key.customer, &own);
    if (result != DB_OK || strcmp(own.plan, plan->name) <= 0)
        return result == DB_OK ? DB_NONE : result;
    return db_plan_find(db, own.plan, plan);
}

static json_t *item(const struct page *page, void *row)
{
    (void)page;
    return plan_object(row);
}

static void name(const void *row, char name_r[PAGE_NAME_MAX + 1])
{
    snprintf(name_r, PAGE_NAME_MAX + 1, "%s", ((const struct db_plan *)row)->name);
}

void plans_list(struct admin *admin, struct request *request)
{
    static const struct listing listing = {next, item, name};
    struct db_plan plan = {0};
    struct page page;
    (void)admin;

    if (page_begin(&page, request) < 0)
        return;
    page_after(&page, plan.name, sizeof(plan.name));
    page_fill(&page, &listing, &plan);
}
