#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "admin/admin.h"
#include "admin/apikeys.h"
#include "admin/domains.h"
#include "admin/object.h"
#include "admin/page.h"
#include "admin/problem.h"
#include "db/apikey.h"
#include "lib/jsontexts.h"
#include "lib/networks.h"
#include "lib/xalloc.h"

static const char *const roles[] = {"operator",      "operator-read", "admin", "helpdesk",
                                    "customer-read", "owner",         NULL};

/* clang-format off */
#define NAME(needed)                                                                               \
    {.name = "name", .type = FIELD_TEXT, .required = (needed), .least = 1,                         \
     .most = DB_API_KEY_NAME_MAX, .about = "no two of a customer have the same"}
#define ROLE_WORD(needed)                                                                          \
    {.name = "role", .type = FIELD_TEXT, .required = (needed), .words = roles,                     \
     .about = "what it may do; a change leaves it an operator's, a customer's or an owner's"}
#define NETWORKS_RATE_AND_EXPIRY                                                                   \
    {.name = "networks", .type = FIELD_TEXTS, .most = NETWORKS_MAX,                                \
     .about = "from where it is taken; none: from everywhere"},                                    \
    {.name = "rate", .type = FIELD_NUMBER, .most = DB_API_KEY_RATE_MAX,                            \
     .about = "requests a second; 0: as many as come"},                                            \
    {.name = "expires", .type = FIELD_TIME, .nullable = true, .ahead = true,        \
     .about = "null: never"}

const struct field api_key_fields[] = {NAME(false), ROLE_WORD(false), NETWORKS_RATE_AND_EXPIRY, {0}};
const struct field api_key_new_fields[] = {
    NAME(true), ROLE_WORD(true),
    {.name = "customer", .type = FIELD_NUMBER, .least = 1, .most = INT64_MAX,
     .about = "whose things it reaches, by its id; a customer's key need not say it"},
    {.name = "domain", .type = FIELD_TEXT, .least = 3, .most = 1000, .about = "the only one that it reaches"},
    {.name = "address", .type = FIELD_TEXT, .least = 3, .most = 1000,
     .about = "whose key an owner's is"},
    NETWORKS_RATE_AND_EXPIRY,
    {0}};
/* clang-format on */

static json_t *key_object(const struct db_api_key *key)
{
    return json_pack("{sI ss ss so so so so so si so so so so}", "id", (json_int_t)key->id, "name",
                     key->name, "role", db_role_name(key->role), "customer",
                     key->customer != 0 ? json_integer((json_int_t)key->customer) : json_null(),
                     "customer_name", field_format_text(key->customer_name), "domain",
                     field_format_text(key->domain), "address", field_format_text(key->address),
                     "networks", jsontexts_split(key->networks, ' '), "rate", (int)key->rate,
                     "expires", field_format_time(key->expires), "created",
                     field_format_time(key->created), "used", field_format_time(key->used),
                     "used_address", field_format_text(key->used_address));
}

enum db_result api_key_show(struct db *db, struct request *request, struct json_t **object_r)
{
    struct db_api_key key = {0};
    enum db_result result = db_api_key_get(db, request->target.customer, request->target.id, &key);

    if (result == DB_OK)
        *object_r = key_object(&key);
    return result;
}

void self_show(struct admin *admin, struct request *request)
{
    json_t *object = key_object(&request->key);
    char csrf[PAGECOOKIE_TOKEN_SIZE];
    (void)admin;

    if (request->by_session) {
        json_object_set_new(object, "id", json_null());
        pagecookie_csrf(csrf, request->token);
        json_object_set_new(object, "csrf_token", json_string(csrf));
        sodium_memzero(csrf, sizeof(csrf));
    }
    page_show(request, object);
}

/* --- what a body says */

static void take_networks(struct request *request, struct db_api_key *key)
{
    const json_t *list = json_object_get(request->json, "networks");
    struct networks networks;
    size_t length = 0;
    const json_t *value;
    char pointer[32];
    size_t i;

    json_array_foreach(list, i, value)
    {
        const char *text = json_is_string(value) ? json_string_value(value) : "";
        size_t room = sizeof(key->networks) - length;
        snprintf(pointer, sizeof(pointer), "/networks/%zu", i);
        if (networks_parse(&networks, text) < 0 || networks.count != 1) {
            problem_member(request, pointer, "network", "it is no %s", NETWORKS_ONE);
            return;
        }
        int more = snprintf(key->networks + length, room, "%s%s", length > 0 ? " " : "", text);
        if (more < 0 || (size_t)more >= room) {
            problem_member(request, "/networks", "too-long", "they have %d characters at most",
                           DB_API_KEY_NETWORKS_MAX);
            return;
        }
        length += (size_t)more;
    }
}

static void take_place(struct request *request, struct db_api_key *key)
{
    const char *domain = field_text(request->json, "domain", NULL);
    const char *address = field_text(request->json, "address", NULL);
    const char *error;

    if (domain != NULL && address_parse_domain(key->domain, domain, strlen(domain), &error) < 0)
        problem_member(request, "/domain", "domain", "%s", error);
    if (address != NULL && address_parse(&request->address, address, strlen(address), &error) < 0)
        problem_member(request, "/address", "address", "%s", error);
    if (domain != NULL && address != NULL)
        problem_member(request, "/domain", "both", "give a domain or an address");
    if ((key->role == DB_ROLE_OWNER) != (address != NULL))
        problem_member(request, "/address", "role",
                       "an owner's key has the owner's address, and no other key has one");
    if (domain == NULL)
        snprintf(key->domain, sizeof(key->domain), "%s",
                 address == NULL ? request->key.domain : "");
}

/* Nobody makes a key that reaches further than his own, or may do more. */
static void take_customer(struct request *request, struct db_api_key *key)
{
    const struct db_api_key *own = &request->key;

    key->customer = (uint64_t)field_number(request->json, "customer", (int64_t)own->customer);
    if (own->customer != 0 && key->customer != own->customer)
        problem_member(request, "/customer", "no-customer", "there is no such customer");
    if (own->domain[0] != '\0' && key->domain[0] != '\0' && strcmp(own->domain, key->domain) != 0)
        problem_member(request, "/domain", "no-domain", "there is no such domain");
    if (own->customer != 0 && db_role_is_operator(key->role))
        problem_member(request, "/role", "role", "a customer's key is no operator's");
    else if (db_role_is_operator(key->role) != (key->customer == 0) && key->role != DB_ROLE_OWNER)
        problem_member(request, "/customer", "role",
                       "an operator's key has no customer, and each other one has");
    if (key->customer == 0 && key->domain[0] != '\0')
        problem_member(request, "/domain", "role", "say whose domain it is");
}

/* 0: never. The end of a login is none of a key: a person has no bounds (docs/SECURITY.md). */
static uint64_t own_end(const struct request *request)
{
    return request->by_session ? 0 : request->key.expires;
}

/*
 * Nor one that outlives it, is taken from elsewhere or is asked with more often: else whoever finds
 * a key that has such bounds would take them away.
 */
static void check_bounds(struct request *request, const struct db_api_key *key)
{
    const struct db_api_key *own = &request->key;
    uint64_t end = own_end(request);
    struct networks outer;
    struct networks inner;

    if (own->rate != 0 && (key->rate == 0 || key->rate > own->rate))
        problem_member(request, "/rate", "reach", "it is 1 to %u, as your own key's is", own->rate);
    if (end != 0 && (key->expires == 0 || key->expires > end))
        problem_member(request, "/expires", "reach", "it is not later than your own key's");
    if (own->networks[0] != '\0' && networks_parse(&outer, own->networks) == 0 &&
        networks_parse(&inner, key->networks) == 0 &&
        (inner.count == 0 || !networks_hold_all(&outer, &inner)))
        problem_member(request, "/networks", "reach", "they lie within those of your own key");
}

void api_key_check(struct admin *admin, struct request *request)
{
    const json_t *body = request->json;
    struct db_api_key *key = &request->target;
    const char *name = field_text(body, "name", "");
    const char *error;
    (void)admin;

    if (db_role_parse(field_text(body, "role", ""), &key->role) < 0)
        return;
    if (db_api_key_name_check(name, &error) < 0)
        problem_member(request, "/name", "text", "%s", error);
    snprintf(key->name, sizeof(key->name), "%s", name);
    key->rate = (unsigned)field_number(body, "rate", request->key.rate);
    key->expires = field_given(body, "expires") ? field_time(body, "expires", 0) : own_end(request);
    if (field_given(body, "networks"))
        take_networks(request, key);
    else
        snprintf(key->networks, sizeof(key->networks), "%s", request->key.networks);
    check_bounds(request, key);
    take_place(request, key);
    take_customer(request, key);
}

/* Sets in `key` what the body names, and notes what is wrong with it. */
static void merge(struct request *request, struct db_api_key *key)
{
    const json_t *body = request->json;
    const char *name = field_text(body, "name", key->name);
    enum db_role role = key->role;
    const char *error;

    if (db_api_key_name_check(name, &error) < 0)
        problem_member(request, "/name", "text", "%s", error);
    if (name != key->name)
        snprintf(key->name, sizeof(key->name), "%s", name);
    (void)db_role_parse(field_text(body, "role", db_role_name(role)), &role);
    if (db_role_is_operator(role) != db_role_is_operator(key->role) ||
        (role == DB_ROLE_OWNER) != (key->role == DB_ROLE_OWNER))
        problem_member(request, "/role", "role",
                       "a key stays an operator's, a customer's or an owner's");
    bool raised = role < key->role;
    key->role = role;
    key->rate = (unsigned)field_number(body, "rate", key->rate);
    if (field_given(body, "expires"))
        key->expires = field_time(body, "expires", 0);
    if (field_given(body, "networks")) {
        key->networks[0] = '\0';
        take_networks(request, key);
    }
    if (raised || field_given(body, "rate") || field_given(body, "expires") ||
        field_given(body, "networks"))
        check_bounds(request, key);
}

void api_key_check_change(struct admin *admin, struct request *request)
{
    struct db_api_key key = request->target;
    (void)admin;

    merge(request, &key);
}

/* --- changes */

enum db_result api_key_change(struct db *db, struct request *request)
{
    struct db_api_key key = {0};
    enum db_result result = db_api_key_get(db, request->target.customer, request->target.id, &key);

    if (result != DB_OK)
        return result;
    merge(request, &key);
    return problem_wrong(request) == 0 ? db_api_key_set(db, &key) : DB_NONE;
}

static enum db_result find_owner(struct db *db, struct request *request)
{
    struct db_api_key *key = &request->target;

    if (key->role != DB_ROLE_OWNER)
        return DB_OK;
    enum db_result result = db_mailaddress_find(db, &request->address, &request->found);
    if (result == DB_OK &&
        (request->found.mailbox == 0 ||
         !object_reaches(&request->key, request->found.customer, request->address.domain, 0)))
        result = DB_NONE;
    key->customer = request->found.customer;
    key->mailbox = request->found.mailbox;
    if (result == DB_NONE) {
        problem_member(request, "/address", "no-mailbox", "there is no such mailbox");
        (void)problem_wrong(request);
    }
    return result;
}

static enum db_result draw(struct db *db, struct request *request, char text_r[APIKEY_TEXT_SIZE])
{
    struct db_api_key *key = &request->target;
    enum db_result result = db_api_key_draw(db, key, text_r, &key->id);

    if (result == DB_NONE) {
        problem_member(request, key->domain[0] != '\0' ? "/domain" : "/customer", "none",
                       "there is no such customer, or it has no such domain");
        (void)problem_wrong(request);
    }
    return result;
}

/* It is shown once. */
enum db_result api_key_add(struct db *db, struct request *request)
{
    char text[APIKEY_TEXT_SIZE];
    struct json_t *object = NULL;
    char id[24];

    enum db_result result = find_owner(db, request);
    if (result == DB_OK)
        result = draw(db, request, text);
    if (result == DB_OK)
        result = api_key_show(db, request, &object);
    if (result == DB_OK) {
        json_object_set_new(object, "key", json_string(text));
        snprintf(id, sizeof(id), "%" PRIu64, request->target.id);
        request_set_location(request, "/api/v1/api-keys/", id);
        request_set(request, 201, object);
    }
    sodium_memzero(text, sizeof(text));
    return result;
}

enum db_result api_key_remove(struct db *db, struct request *request)
{
    return db_api_key_remove(db, request->target.customer, request->target.id);
}

/* --- the list */

struct row {
    uint64_t customer;
    struct db_api_key key;
};

static enum db_result next(struct page *page, void *context)
{
    struct db *db = page->request->admin->db;
    struct row *row = context;

    return row->customer != 0 ? db_api_key_next(db, row->customer, &row->key)
                              : db_operator_api_key_next(db, &row->key);
}

static json_t *item(const struct page *page, void *context)
{
    const struct row *row = context;

    return object_reaches_key(&page->request->key, &row->key) ? key_object(&row->key) : NULL;
}

static void name(const void *row, char name_r[PAGE_NAME_MAX + 1])
{
    snprintf(name_r, PAGE_NAME_MAX + 1, "%" PRIu64, ((const struct row *)row)->key.id);
}

void api_keys_list(struct admin *admin, struct request *request)
{
    static const struct listing listing = {next, item, name};
    struct row row = {0};
    struct page page;
    (void)admin;

    if (list_customer(request, &row.customer) < 0 || page_begin(&page, request) < 0)
        return;
    row.key.id = page_after_number(&page);
    page_fill(&page, &listing, &row);
}
