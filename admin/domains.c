#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "admin/domains.h"
#include "admin/object.h"
#include "admin/page.h"
#include "admin/problem.h"
#include "db/domain.h"
#include "lib/search.h"

const struct parameter customer_parameters[] = {CUSTOMER_PARAMETER, {0}};
const struct parameter domain_parameters[] = {
    CUSTOMER_PARAMETER, MATCH_PARAMETER("part of the name, also as people write it"), {0}};

const struct field domain_new_fields[] = {
    {.name = "domain",
     .type = FIELD_TEXT,
     .required = true,
     .least = 3,
     .most = 1000,
     .about = "as people write it, also in their own script"},
    {.name = "customer",
     .type = FIELD_NUMBER,
     .least = 1,
     .most = INT64_MAX,
     .about = "whose it is, by its id; an operator says it, a customer's key need not"},
    {0}};

const struct field domain_fields[] = {
    {.name = "catch_all",
     .type = FIELD_TEXT,
     .nullable = true,
     .least = 3,
     .most = 1000,
     .about = "the address that takes the mail for all that there are not, while the plan permits "
              "it; null: none"},
    {0}};

static json_t *domain_object(const struct db_domain *domain)
{
    return json_pack(
        "{ss sI ss si so so}", "domain", domain->name, "customer", (json_int_t)domain->customer,
        "customer_name", domain->customer_name, "addresses", (int)domain->addresses, "catch_all",
        field_format_text(domain->catch_all), "created", field_format_time(domain->created));
}

enum db_result domain_show(struct db *db, struct request *request, struct json_t **object_r)
{
    struct db_domain domain;
    enum db_result result = db_domain_find(db, request->domain, &domain);

    if (result == DB_OK)
        *object_r = domain_object(&domain);
    return result;
}

void domain_check(struct admin *admin, struct request *request)
{
    const char *name = field_text(request->json, "domain", NULL);
    const char *error;
    (void)admin;

    request->customer = (uint64_t)field_number(request->json, "customer", 0);
    if (name != NULL && address_parse_domain(request->domain, name, strlen(name), &error) < 0)
        problem_member(request, "/domain", "domain", "%s", error);
    if (request->key.customer == 0 && !field_given(request->json, "customer"))
        problem_member(request, "/customer", "missing", "say whose domain it is");
    if (request->key.customer != 0 && request->customer == 0)
        request->customer = request->key.customer;
}

/* Another customer is none to a customer's key, whether there is one or not. */
enum db_result domain_add(struct db *db, struct request *request)
{
    enum db_result result = DB_NONE;

    if (object_reaches(&request->key, request->customer, request->domain, 0))
        result = db_domain_add(db, request->customer, request->domain);
    if (result == DB_NONE) {
        problem_member(request, "/customer", "no-customer", "there is no such customer");
        (void)problem_wrong(request);
    }
    if (result == DB_OK)
        request_set_location(request, "/api/v1/domains/", request->domain);
    return result;
}

void domain_check_change(struct admin *admin, struct request *request)
{
    const char *text = field_text(request->json, "catch_all", NULL);
    const char *error;
    (void)admin;

    if (text != NULL && address_parse(&request->address, text, strlen(text), &error) < 0)
        problem_member(request, "/catch_all", "address", "%s", error);
}

static enum db_result set_catch_all(struct db *db, struct request *request, bool none)
{
    const struct address *address = none ? NULL : &request->address;
    enum db_result result = DB_NONE;

    if (none ||
        object_reaches(&request->key, request->customer, address->domain, request->key.mailbox))
        result = db_domain_set_catch_all(db, request->customer, request->domain, address);
    if (result == DB_NONE && !none) {
        problem_member(request, "/catch_all", "no-address",
                       "it is an address of the same customer");
        (void)problem_wrong(request);
    }
    return result;
}

enum db_result domain_change(struct db *db, struct request *request)
{
    struct db_domain now;
    bool none = field_text(request->json, "catch_all", NULL) == NULL;
    enum db_result result = db_domain_find(db, request->domain, &now);

    if (result == DB_OK && now.customer != request->customer)
        result = DB_NONE;
    if (result != DB_OK || !field_given(request->json, "catch_all") ||
        strcmp(now.catch_all, none ? "" : request->address.text) == 0)
        return result;
    return set_catch_all(db, request, none);
}

enum db_result domain_remove(struct db *db, struct request *request)
{
    return db_domain_remove(db, request->customer, request->domain, request->keep);
}

/* --- the list */

int list_customer(struct request *request, uint64_t *customer_r)
{
    char *text = page_parameter(request, "customer");
    size_t digits = text == NULL ? 0 : strspn(text, "0123456789");

    if (request->answer.status != 0)
        return -1;
    *customer_r = request->key.customer;
    if (text == NULL)
        return 0;
    uint64_t given = digits < 19 && text[digits] == '\0' ? strtoull(text, NULL, 10) : 0;
    free(text);
    if (given == 0) {
        problem_set(request, PROBLEM_QUERY, "\"customer\" is a customer's id");
        return -1;
    }
    if (*customer_r != 0 && *customer_r != given) {
        problem_set(request, PROBLEM_NOT_FOUND, "there is no such customer");
        return -1;
    }
    *customer_r = given;
    return 0;
}

struct row {
    uint64_t customer;
    struct search match;
    struct db_domain domain;
};

static enum db_result next(struct page *page, void *context)
{
    struct db *db = page->request->admin->db;
    struct row *row = context;

    return row->customer != 0 ? db_domain_next(db, row->customer, &row->domain)
                              : db_operator_domain_next(db, &row->domain);
}

static json_t *item(const struct page *page, void *context)
{
    const struct row *row = context;

    return object_reaches(&page->request->key, row->domain.customer, row->domain.name, 0) &&
                   search_fits_address(&row->match, row->domain.name)
               ? domain_object(&row->domain)
               : NULL;
}

static void name(const void *row, char name_r[PAGE_NAME_MAX + 1])
{
    snprintf(name_r, PAGE_NAME_MAX + 1, "%s", ((const struct row *)row)->domain.name);
}

void domains_list(struct admin *admin, struct request *request)
{
    static const struct listing listing = {next, item, name};
    struct row row = {0};
    struct page page;
    (void)admin;

    if (list_customer(request, &row.customer) < 0 || page_match(request, &row.match) < 0 ||
        page_begin(&page, request) < 0)
        return;
    page_after(&page, row.domain.name, sizeof(row.domain.name));
    page_fill(&page, &listing, &row);
}
