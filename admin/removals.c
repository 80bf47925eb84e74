#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "admin/domains.h"
#include "admin/object.h"
#include "admin/page.h"
#include "admin/problem.h"
#include "admin/removals.h"

static const char *const kinds[] = {"customer", "domain", "address", NULL};
const struct parameter removal_parameters[] = {
    CUSTOMER_PARAMETER, {.name = "kind", .words = kinds, .about = "those of this kind"}, {0}};

static json_t *removal_object(const struct db_removal *removal)
{
    return json_pack("{sI ss ss sI ss so so}", "id", (json_int_t)removal->id, "kind",
                     db_removal_kind_name(removal->kind), "name", removal->name, "customer",
                     (json_int_t)removal->customer, "customer_name", removal->customer_name,
                     "removed", field_format_time(removal->time), "purge",
                     field_format_time(removal->purge));
}

enum db_result removal_find(struct db *db, uint64_t customer, uint64_t id,
                            struct db_removal *removal_r)
{
    *removal_r = (struct db_removal){.id = id - 1};
    enum db_result result = customer == 0 ? db_operator_removal_next(db, removal_r)
                                          : db_removal_next(db, customer, removal_r);

    return result == DB_OK && removal_r->id != id ? DB_NONE : result;
}

bool removal_reached(const struct db_api_key *key, const struct db_removal *removal)
{
    const char *at = removal->kind == DB_REMOVAL_ADDRESS ? strrchr(removal->name, '@') : NULL;

    return object_reaches(key, removal->customer, at != NULL ? at + 1 : removal->name, 0);
}

/* As it is now: it may have been restored or purged since the route's scope found it. */
static enum db_result find_again(struct db *db, struct request *request)
{
    struct db_removal *removal = &request->removal;

    return removal_find(db, removal->customer, removal->id, removal);
}

enum db_result removal_show(struct db *db, struct request *request, struct json_t **object_r)
{
    enum db_result result = find_again(db, request);

    if (result == DB_OK)
        *object_r = removal_object(&request->removal);
    return result;
}

enum db_result removal_restore(struct db *db, struct request *request)
{
    enum db_result result = find_again(db, request);

    if (result != DB_OK)
        return result;
    result = db_removal_restore(db, &request->removal);
    if (result == DB_TAKEN)
        problem_set(request, PROBLEM_EXISTS,
                    "the name has been taken since; rename or remove what has it");
    else if (result == DB_NONE)
        problem_set(request, PROBLEM_REMOVED,
                    "it is being purged, or what it belonged to was removed as well; restore that "
                    "first");
    return result;
}

enum db_result removal_purge(struct db *db, struct request *request)
{
    enum db_result result = find_again(db, request);

    return result == DB_OK ? db_removal_purge(db, &request->removal) : result;
}

/* --- at once */

const struct parameter removing_parameters[] = {
    {.name = "now",
     .type = FIELD_BOOL,
     .about = "whether it is gone for good at once, which only an operator says; else it can be "
              "restored"},
    {0}};

void removing_check(struct admin *admin, struct request *request)
{
    bool at_once = page_flag(request, "now");
    (void)admin;

    if (at_once && request->key.role != DB_ROLE_OPERATOR)
        problem_set(request, PROBLEM_ROLE,
                    "only an operator purges at once; without now=true it can be restored for a "
                    "time");
    else if (at_once)
        request->keep = 0;
}

/* --- the list */

struct row {
    uint64_t customer;
    char *kind; /* NULL: all */
    struct db_removal removal;
};

static enum db_result next(struct page *page, void *context)
{
    struct db *db = page->request->admin->db;
    struct row *row = context;

    return row->customer != 0 ? db_removal_next(db, row->customer, &row->removal)
                              : db_operator_removal_next(db, &row->removal);
}

static json_t *item(const struct page *page, void *context)
{
    const struct row *row = context;

    if (row->kind != NULL && strcmp(row->kind, db_removal_kind_name(row->removal.kind)) != 0)
        return NULL;
    return removal_reached(&page->request->key, &row->removal) ? removal_object(&row->removal)
                                                               : NULL;
}

static void name(const void *row, char name_r[PAGE_NAME_MAX + 1])
{
    snprintf(name_r, PAGE_NAME_MAX + 1, "%" PRIu64, ((const struct row *)row)->removal.id);
}

static void list(struct request *request, struct row *row)
{
    static const struct listing listing = {next, item, name};
    struct page page;

    if (request->answer.status != 0 || page_begin(&page, request) < 0)
        return;
    row->removal.id = page_after_number(&page);
    page_fill(&page, &listing, row);
}

void removals_list(struct admin *admin, struct request *request)
{
    struct row row = {0};
    (void)admin;

    if (list_customer(request, &row.customer) < 0)
        return;
    row.kind = page_parameter(request, "kind");
    list(request, &row);
    free(row.kind);
}
