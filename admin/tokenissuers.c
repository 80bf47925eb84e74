#include <stdio.h>
#include <stdlib.h>

#include "admin/admin.h"
#include "admin/page.h"
#include "admin/problem.h"
#include "admin/tokenissuers.h"
#include "db/issuer.h"

/* clang-format off */
const struct field token_issuer_new_fields[] = {
    {.name = "issuer", .type = FIELD_TEXT, .required = true, .least = 1, .most = DB_ISSUER_MAX,
     .about = "the URL of https that is the \"iss\" of its tokens"},
    {.name = "audience", .type = FIELD_TEXT, .required = true, .least = 1,
     .most = DB_ISSUER_AUDIENCE_MAX,
     .about = "what must be in their \"aud\": tokens for other services open nothing"},
    {.name = "claim", .type = FIELD_TEXT, .least = 1, .most = DB_ISSUER_CLAIM_MAX,
     .preset = "\"email\"",
     .about = "the claim that has the mailbox's address"},
    {0}};
/* clang-format on */

static json_t *issuer_object(const struct db_issuer *issuer)
{
    return json_pack("{ss ss ss so so so}", "issuer", issuer->issuer, "audience", issuer->audience,
                     "claim", issuer->claim, "created", field_format_time(issuer->created),
                     "fetched", field_format_time(issuer->fetched), "failure",
                     field_format_text(issuer->failure));
}

static void read_body(struct db_issuer *issuer_r, const json_t *body)
{
    *issuer_r = (struct db_issuer){0};
    snprintf(issuer_r->issuer, sizeof(issuer_r->issuer), "%s", field_text(body, "issuer", ""));
    snprintf(issuer_r->audience, sizeof(issuer_r->audience), "%s",
             field_text(body, "audience", ""));
    snprintf(issuer_r->claim, sizeof(issuer_r->claim), "%s", field_text(body, "claim", "email"));
}

void token_issuer_check(struct admin *admin, struct request *request)
{
    struct db_issuer issuer;
    const char *error;
    (void)admin;

    if (request->errors != NULL)
        return;
    read_body(&issuer, request->json);
    if (db_issuer_check(&issuer, &error) < 0)
        problem_member(request, "/issuer", "issuer", "%s", error);
}

enum db_result token_issuer_add(struct db *db, struct request *request)
{
    struct db_issuer issuer;

    read_body(&issuer, request->json);
    enum db_result result = db_issuer_add(db, request->customer, &issuer);
    if (result == DB_OK)
        result = db_issuer_find(db, request->customer, issuer.issuer, &issuer);
    if (result == DB_OK)
        request_set(request, 201, issuer_object(&issuer));
    return result;
}

enum db_result token_issuer_remove(struct db *db, struct request *request)
{
    char *name = route_parameter(request->route, request->path, "name");
    enum db_result result = DB_NONE;

    if (name != NULL)
        result = db_issuer_remove(db, request->customer, name);
    free(name);
    return result;
}

/* --- the list */

static enum db_result next(struct page *page, void *row)
{
    const struct request *request = page->request;

    return db_issuer_next(request->admin->db, request->customer, row);
}

static json_t *item(const struct page *page, void *row)
{
    (void)page;
    return issuer_object(row);
}

static void name(const void *row, char name_r[PAGE_NAME_MAX + 1])
{
    snprintf(name_r, PAGE_NAME_MAX + 1, "%s", ((const struct db_issuer *)row)->issuer);
}

void token_issuers_list(struct admin *admin, struct request *request)
{
    static const struct listing listing = {next, item, name};
    struct db_issuer issuer = {0};
    struct page page;
    (void)admin;

    if (page_begin(&page, request) < 0)
        return;
    page_after(&page, issuer.issuer, sizeof(issuer.issuer));
    page_fill(&page, &listing, &issuer);
}
