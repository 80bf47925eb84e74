#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "admin/admin.h"
#include "admin/change.h"
#include "admin/object.h"
#include "admin/problem.h"
#include "admin/removals.h"
#include "admin/route.h"
#include "db/domain.h"
#include "db/webhook.h"
#include "lib/log.h"

static bool is_operator(const struct db_api_key *key)
{
    return db_role_is_operator(key->role);
}

bool object_reaches(const struct db_api_key *key, uint64_t customer, const char *domain,
                    uint64_t mailbox)
{
    if (is_operator(key))
        return true;
    return key->customer == customer &&
           (key->domain[0] == '\0' || strcmp(key->domain, domain) == 0) &&
           (key->mailbox == 0 || key->mailbox == mailbox);
}

/* A number as we write it, or 0. */
static uint64_t id_of(const char *text)
{
    size_t length = strspn(text, "0123456789");

    return length == 0 || length > 18 || text[length] != '\0' || text[0] == '0'
               ? 0
               : strtoull(text, NULL, 10);
}

static enum db_result find_plan(struct db *db, struct request *request)
{
    const struct db_api_key *key = &request->key;
    enum db_result result = db_plan_find(db, request->name, &request->plan);

    if (result != DB_OK || is_operator(key))
        return result;
    result = db_customer_get(db, key->customer, &request->owner);
    return result == DB_OK && (key->mailbox != 0 || strcmp(request->owner.plan, request->name) != 0)
               ? DB_NONE
               : result;
}

/* An owner has a mailbox, and its customer is none of his business. */
static enum db_result find_customer(struct db *db, struct request *request)
{
    const struct db_api_key *key = &request->key;

    request->customer = id_of(request->name);
    if (!is_operator(key) && (key->customer != request->customer || key->mailbox != 0))
        return DB_NONE;
    return db_customer_get(db, request->customer, &request->owner);
}

static enum db_result find_domain(struct db *db, struct request *request)
{
    struct db_domain domain;
    const char *error;

    if (address_parse_domain(request->domain, request->name, strlen(request->name), &error) < 0)
        return DB_NONE;
    enum db_result result = db_domain_find(db, request->domain, &domain);
    if (result == DB_OK)
        request->customer = domain.customer;
    return result == DB_OK && !object_reaches(&request->key, domain.customer, domain.name, 0)
               ? DB_NONE
               : result;
}

static enum db_result find_address(struct db *db, struct request *request)
{
    const char *error;

    if (address_parse(&request->address, request->name, strlen(request->name), &error) < 0)
        return DB_NONE;
    enum db_result result = db_mailaddress_find(db, &request->address, &request->found);
    if (result != DB_OK)
        return result;
    request->customer = request->found.customer;
    return object_reaches(&request->key, request->customer, request->address.domain,
                          request->found.mailbox)
               ? DB_OK
               : DB_NONE;
}

static enum db_result find_mailbox(struct db *db, struct request *request)
{
    enum db_result result = find_address(db, request);

    return result == DB_OK && request->found.mailbox == 0 ? DB_NONE : result;
}

/* A key of one domain sees those that reach no further: an owner's too, of a mailbox in it. */
bool object_reaches_key(const struct db_api_key *key, const struct db_api_key *target)
{
    const char *at = strrchr(target->address, '@');

    return object_reaches(key, target->customer, at != NULL ? at + 1 : target->domain, 0);
}

static enum db_result find_key(struct db *db, struct request *request)
{
    const struct db_api_key *key = &request->key;
    struct db_api_key *target = &request->target;
    uint64_t id = id_of(request->name);
    enum db_result result;

    if (id == 0 || key->mailbox != 0)
        return DB_NONE;
    if (is_operator(key)) {
        target->id = id - 1;
        result = db_operator_api_key_next(db, target);
    } else {
        result = db_api_key_get(db, key->customer, id, target);
    }
    request->customer = target->customer;
    return result == DB_OK && (target->id != id || !object_reaches_key(key, target)) ? DB_NONE
                                                                                     : result;
}

/* An owner has no people. */
static enum db_result find_user(struct db *db, struct request *request)
{
    const struct db_api_key *key = &request->key;
    struct db_admin_user *user = &request->user;
    uint64_t id = id_of(request->name);
    enum db_result result;

    if (id == 0 || key->mailbox != 0)
        return DB_NONE;
    if (is_operator(key)) {
        user->id = id - 1;
        result = db_operator_admin_user_next(db, user);
    } else {
        result = db_admin_user_get(db, key->customer, id, user);
    }
    request->customer = user->customer;
    return result == DB_OK && user->id != id ? DB_NONE : result;
}

/* An owner has nothing that can be removed without him. */
static enum db_result find_removal(struct db *db, struct request *request)
{
    const struct db_api_key *key = &request->key;
    uint64_t id = id_of(request->name);

    if (id == 0 || key->mailbox != 0)
        return DB_NONE;
    enum db_result result = removal_find(db, key->customer, id, &request->removal);
    request->customer = request->removal.customer;
    return result == DB_OK && !removal_reached(key, &request->removal) ? DB_NONE : result;
}

static enum db_result find_webhook(struct db *db, struct request *request)
{
    const struct db_api_key *key = &request->key;
    struct db_webhook webhook;

    request->webhook = id_of(request->name);
    if (request->webhook == 0 || key->mailbox != 0)
        return DB_NONE;
    enum db_result result = db_operator_webhook_find(db, request->webhook, &webhook);
    if (result != DB_OK)
        return result;
    request->customer = webhook.customer;
    return is_operator(key) || key->customer == webhook.customer ? DB_OK : DB_NONE;
}

/* A key of one domain sees none: a job may reach beyond that. */
static enum db_result find_job(struct db *db, struct request *request)
{
    const struct db_api_key *key = &request->key;
    uint64_t id = id_of(request->name);
    enum db_result result = DB_NONE;

    if (id != 0 && key->mailbox == 0 && key->domain[0] == '\0')
        result = is_operator(key) ? db_operator_job_find(db, id, &request->job)
                                  : db_job_get(db, key->customer, id, &request->job);
    request->customer = request->job.customer;
    return result;
}

static const struct {
    const char *parameter;
    const char *thing;
    enum db_result (*find)(struct db *db, struct request *request);
} scopes[] = {
    [SCOPE_PLAN] = {"plan", "plan", find_plan},
    [SCOPE_CUSTOMER] = {"customer", "customer", find_customer},
    [SCOPE_DOMAIN] = {"domain", "domain", find_domain},
    [SCOPE_ADDRESS] = {"address", "address", find_address},
    [SCOPE_MAILBOX] = {"address", "mailbox", find_mailbox},
    [SCOPE_KEY] = {"key", "API key", find_key},
    [SCOPE_USER] = {"user", "admin user", find_user},
    [SCOPE_REMOVAL] = {"removal", "removal", find_removal},
    [SCOPE_JOB] = {"job", "job", find_job},
    [SCOPE_WEBHOOK] = {"webhook", "webhook", find_webhook},
};

static enum db_result find(struct request *request)
{
    enum route_scope scope = request->route->scope;

    request->name = route_parameter(request->route, request->path, scopes[scope].parameter);
    return request->name == NULL ? DB_NONE : scopes[scope].find(request->admin->db, request);
}

void object_find(struct request *request)
{
    const struct route *route = request->route;
    enum db_result result = DB_OK;

    if (route->scope != SCOPE_ANY)
        result = find(request);
    if (result == DB_NONE)
        problem_set(request, PROBLEM_NOT_FOUND, "there is no such %s", scopes[route->scope].thing);
    else if (result != DB_OK)
        change_problem(request, request->admin->db, result);
    else if ((route->roles & 1U << request->key.role) == 0)
        problem_set(request, PROBLEM_ROLE, "the role %s may not do this",
                    db_role_name(request->key.role));
    else if ((route->flags & ROUTE_WHOLE) != 0 && request->key.domain[0] != '\0')
        problem_set(request, PROBLEM_ROLE, "a key of one domain may not do this");
    else if ((route->flags & ROUTE_SESSION) != 0 && !request->by_session)
        problem_set(request, PROBLEM_SESSION_ONLY,
                    "this is for people who are logged in, not for keys");
}

/* The same members in the same order come to the same text. */
static void etag_of(char etag_r[REQUEST_ETAG_SIZE], const char *text)
{
    uint8_t digest[16];

    _Static_assert(REQUEST_ETAG_SIZE >= 2 * sizeof(digest) + 3, "an ETag fits");
    crypto_generichash(digest, sizeof(digest), (const unsigned char *)text, strlen(text), NULL, 0);
    etag_r[0] = '"';
    sodium_bin2hex(etag_r + 1, REQUEST_ETAG_SIZE - 1, digest, sizeof(digest));
    memcpy(etag_r + 1 + 2 * sizeof(digest), "\"", 2);
}

void object_etag(char etag_r[REQUEST_ETAG_SIZE], const struct json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);

    if (text == NULL)
        log_panic("out of memory, or no JSON");
    etag_of(etag_r, text);
    free(text);
}

void object_answer(struct request *request, unsigned status, struct json_t *object)
{
    request_set(request, status, object);
    etag_of(request->answer.etag, request->answer.text);
}

/* Ours hold no comma; a weak one, W/"...", is none of ours. */
bool object_matches(const char *list, const char *etag)
{
    size_t size = strlen(etag);

    while (*list != '\0') {
        list += strspn(list, " \t,");
        size_t length = strcspn(list, " \t,");
        if ((length == 1 && *list == '*') || (length == size && memcmp(list, etag, size) == 0))
            return true;
        list += length;
    }
    return false;
}
