#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "admin/page.h"
#include "admin/problem.h"
#include "admin/trustednetworks.h"
#include "db/trusted.h"

/* clang-format off */
const struct field trusted_network_new_fields[] = {
    {.name = "network", .type = FIELD_TEXT, .required = true, .least = 1, .most = NETWORKS_TEXT_SIZE,
     .about = "192.0.2.1, 192.0.2.0/24 or 2001:db8::/48"},
    {0}};
/* clang-format on */

static json_t *network_object(const struct db_trusted *trusted)
{
    return json_pack("{ss so}", "network", trusted->network, "created",
                     field_format_time(trusted->created));
}

void trusted_network_check(struct admin *admin, struct request *request)
{
    char network[NETWORKS_TEXT_SIZE];
    const char *error;
    (void)admin;

    if (request->errors == NULL &&
        db_trusted_parse(network, field_text(request->json, "network", ""), &error) < 0)
        problem_member(request, "/network", "network", "it %s", error);
}

/* The row as it was written. */
static enum db_result find(struct db *db, uint64_t customer, const char *network,
                           struct db_trusted *trusted_r)
{
    enum db_result result;

    *trusted_r = (struct db_trusted){0};
    while ((result = db_trusted_next(db, customer, trusted_r)) == DB_OK &&
           strcmp(trusted_r->network, network) != 0)
        ;
    return result;
}

enum db_result trusted_network_add(struct db *db, struct request *request)
{
    char network[NETWORKS_TEXT_SIZE];
    struct db_trusted trusted;
    const char *error;

    if (db_trusted_parse(network, field_text(request->json, "network", ""), &error) < 0)
        return DB_BROKEN;
    enum db_result result = db_trusted_add(db, request->customer, network);
    if (result == DB_OK)
        result = find(db, request->customer, network, &trusted);
    if (result == DB_OK)
        request_set(request, 201, network_object(&trusted));
    return result;
}

enum db_result trusted_network_remove(struct db *db, struct request *request)
{
    char *name = route_parameter(request->route, request->path, "name");
    char network[NETWORKS_TEXT_SIZE];
    enum db_result result = DB_NONE;
    const char *error;

    if (name != NULL && db_trusted_parse(network, name, &error) == 0)
        result = db_trusted_remove(db, request->customer, network);
    free(name);
    return result;
}

/* --- the list */

static enum db_result next(struct page *page, void *row)
{
    const struct request *request = page->request;

    return db_trusted_next(request->admin->db, request->customer, row);
}

static json_t *item(const struct page *page, void *row)
{
    (void)page;
    return network_object(row);
}

static void name(const void *row, char name_r[PAGE_NAME_MAX + 1])
{
    snprintf(name_r, PAGE_NAME_MAX + 1, "%s", ((const struct db_trusted *)row)->network);
}

void trusted_networks_list(struct admin *admin, struct request *request)
{
    static const struct listing listing = {next, item, name};
    struct db_trusted trusted = {0};
    struct page page;
    (void)admin;

    if (page_begin(&page, request) < 0)
        return;
    page_after(&page, trusted.network, sizeof(trusted.network));
    page_fill(&page, &listing, &trusted);
}
