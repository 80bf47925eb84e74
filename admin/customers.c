#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "admin/customers.h"
#include "admin/page.h"
#include "admin/problem.h"
#include "admin/suspension.h"
#include "db/customer.h"
#include "lib/language.h"
#include "lib/search.h"
#include "lib/xalloc.h"

static const char *const languages[] = {LANGUAGE_CODES, NULL};

#define NAME(needed)                                                                               \
    {                                                                                              \
        .name = "name", .type = FIELD_TEXT, .required = (needed), .least = 1,                      \
        .most = DB_CUSTOMER_NAME_MAX, .about = "one line; no two customers have the same"          \
    }
#define PLAN(needed)                                                                               \
    {                                                                                              \
        .name = "plan", .type = FIELD_TEXT, .required = (needed), .least = 1,                      \
        .most = DB_PLAN_NAME_MAX, .about = "the name of its plan"                                  \
    }
#define LANGUAGE                                                                                   \
    {                                                                                              \
        .name = "language", .type = FIELD_TEXT, .words = languages,                                \
        .about = "in which its people are written to"                                              \
    }

static const char *const rules[] = {"refuse", "keep", "suspend", NULL};

const struct field customer_new_fields[] = {NAME(true), PLAN(true), LANGUAGE, {0}};
const struct field customer_fields[] = {
    NAME(false),
    PLAN(false),
    LANGUAGE,
    {.name = "over_plan",
     .type = FIELD_TEXT,
     .words = rules,
     .about =
         "what a plan means that allows less than there is: refuse the change, keep all and "
         "add nothing, or suspend the newest addresses; where another plan is given without it, "
         "refuse"},
    {.name = "suspended", .type = FIELD_BOOL, .about = "whether nobody of it may log in"},
    SUSPENSION_MAIL,
    {0}};

static json_t *customer_object(const struct db_customer *customer)
{
    return json_pack("{sI ss ss ss ss sb ss? si si so}", "id", (json_int_t)customer->id, "name",
                     customer->name, "plan", customer->plan, "language",
                     language_code(customer->language), "over_plan",
                     db_overplan_name(customer->over_plan), "suspended", (int)customer->suspended,
                     "suspended_mail", db_suspended_mail_name(customer->suspended_mail), "domains",
                     (int)customer->domains, "addresses", (int)customer->addresses, "created",
                     field_format_time(customer->created));
}

enum db_result customer_show(struct db *db, struct request *request, struct json_t **object_r)
{
    enum db_result result = db_customer_get(db, request->customer, &request->owner);

    if (result == DB_OK)
        *object_r = customer_object(&request->owner);
    return result;
}

void customer_check(struct admin *admin, struct request *request)
{
    const char *name = field_text(request->json, "name", NULL);
    const char *error;

    request->owner.language = (enum language)admin->child.conf.language;
    if (name != NULL && db_customer_name_check(name, &error) < 0)
        problem_member(request, "/name", "text", "%s", error);
}

static enum db_result no_plan(struct request *request, enum db_result result)
{
    if (result == DB_NONE) {
        problem_member(request, "/plan", "no-plan", "there is no such plan");
        (void)problem_wrong(request);
    }
    return result;
}

enum db_result customer_add(struct db *db, struct request *request)
{
    const json_t *body = request->json;
    enum language language = request->owner.language;
    char id[24];

    enum db_result result =
        no_plan(request, db_customer_add(db, field_text(body, "name", ""),
                                         field_text(body, "plan", ""), &request->customer));
    (void)language_parse(field_text(body, "language", language_code(language)), &language);
    if (result == DB_OK)
        result = db_customer_set_language(db, request->customer, language);
    snprintf(id, sizeof(id), "%" PRIu64, request->customer);
    request_set_location(request, "/api/v1/customers/", id);
    return result;
}

/* A rule without another plan is one for the present one, and no rule leaves that as it is. */
static enum db_result set_plan(struct db *db, struct request *request,
                               const struct db_customer *now)
{
    const char *plan = field_text(request->json, "plan", now->plan);
    enum db_overplan rule = strcmp(plan, now->plan) != 0 ? DB_OVERPLAN_REFUSE : now->over_plan;

    (void)db_overplan_parse(field_text(request->json, "over_plan", db_overplan_name(rule)), &rule);
    if (strcmp(plan, now->plan) == 0 && rule == now->over_plan)
        return DB_OK;
    return no_plan(request, db_customer_set_plan(db, now->id, plan, rule));
}

static enum db_result set_suspended(struct db *db, struct request *request,
                                    const struct db_customer *now)
{
    struct suspension state = {now->suspended, now->suspended_mail};

    switch (suspension_take(request, &state)) {
    case SUSPENSION_SAME: return DB_OK;
    case SUSPENSION_CHANGED:
        return db_customer_set_suspended(db, now->id, state.suspended, state.mail);
    default: return DB_NONE;
    }
}

/* What is as it should be already is left alone, so the audit tells of changes only. */
enum db_result customer_change(struct db *db, struct request *request)
{
    struct db_customer *now = &request->owner;
    const json_t *body = request->json;
    enum db_result result = db_customer_get(db, request->customer, now);

    if (result != DB_OK)
        return result;
    enum language language = now->language;
    const char *name = field_text(body, "name", now->name);
    (void)language_parse(field_text(body, "language", language_code(language)), &language);
    result = set_plan(db, request, now);
    if (result == DB_OK && language != now->language)
        result = db_customer_set_language(db, now->id, language);
    if (result == DB_OK)
        result = set_suspended(db, request, now);
    if (result == DB_OK && strcmp(name, now->name) != 0)
        result = db_customer_set_name(db, now->id, name);
    return result;
}

enum db_result customer_remove(struct db *db, struct request *request)
{
    return db_customer_remove(db, request->customer, request->keep);
}

/* --- the list */

const struct parameter customers_parameters[] = {
    {.name = "name", .about = "the one with exactly this name"},
    {.name = "plan", .about = "those on the plan of this name"},
    {.name = "suspended",
     .type = FIELD_BOOL,
     .about = "whether those that are suspended, or those that are not"},
    MATCH_PARAMETER("part of the name"),
    {0}};

struct row {
    char *name; /* NULL: all */
    char *plan; /* the same */
    enum page_choice suspended;
    struct search match;
    struct db_customer customer;
};

/* Of an operator, all or the one of that name; of a customer, itself. */
static enum db_result next(struct page *page, void *context)
{
    const struct request *request = page->request;
    struct db *db = request->admin->db;
    struct row *row = context;
    struct db_customer *customer = &row->customer;

    if (request->key.customer == 0 && row->name == NULL)
        return db_customer_next(db, customer);
    if (customer->name[0] != '\0')
        return DB_NONE;
    return request->key.customer != 0 ? db_customer_get(db, request->key.customer, customer)
                                      : db_customer_find(db, row->name, customer);
}

static json_t *item(const struct page *page, void *context)
{
    const struct row *row = context;
    const struct db_customer *customer = &row->customer;
    (void)page;

    if ((row->name != NULL && strcmp(row->name, customer->name) != 0) ||
        (row->plan != NULL && strcmp(row->plan, customer->plan) != 0) ||
        !page_fits(row->suspended, customer->suspended) ||
        !search_fits(&row->match, customer->name))
        return NULL;
    return customer_object(customer);
}

static void name(const void *row, char name_r[PAGE_NAME_MAX + 1])
{
    snprintf(name_r, PAGE_NAME_MAX + 1, "%s", ((const struct row *)row)->customer.name);
}

void customers_list(struct admin *admin, struct request *request)
{
    static const struct listing listing = {next, item, name};
    struct row row = {.name = page_parameter(request, "name"),
                      .plan = page_parameter(request, "plan"),
                      .suspended = page_choice(request, "suspended")};
    struct page page;
    (void)admin;

    if (page_match(request, &row.match) == 0 && page_begin(&page, request) == 0) {
        page_after(&page, row.customer.name, sizeof(row.customer.name));
        page_fill(&page, &listing, &row);
    }
    free(row.name);
    free(row.plan);
}
