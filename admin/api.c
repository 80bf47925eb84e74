#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include <sodium.h>

#include "admin/admin.h"
#include "admin/api.h"
#include "admin/authask.h"
#include "admin/body.h"
#include "admin/bucket.h"
#include "admin/change.h"
#include "admin/field.h"
#include "admin/object.h"
#include "admin/page.h"
#include "admin/people.h"
#include "admin/problem.h"
#include "admin/request.h"
#include "admin/route.h"
#include "db/idempotency.h"
#include "db/secret.h"
#include "db/transaction.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/networks.h"
#include "lib/xalloc.h"

/* Wrong keys from one address: beyond that they are not looked at any more, nor logged. */
#define WRONG_RATE  0.2
#define WRONG_BURST 10

/* How exact the last use of a key is, in seconds. */
#define USED_EVERY 300

/* Of the id of a request that has brought none. */
#define REQUEST_ID_OCTETS 12

/* Of what a client names a request by. */
#define IDEMPOTENCY_HEADER "Idempotency-Key"

struct api {
    uint8_t secret[DB_SECRET_SIZE]; /* of API keys */
    struct buckets *wrong;          /* by address */
    struct buckets *rates;          /* by key, as below, and by token */
    struct buckets *uses;
    uint8_t drawn[64][REQUEST_ID_OCTETS]; /* for ids: the kernel is asked for many at once */
    unsigned drawn_left;
};

struct api *api_new(struct admin *admin)
{
    struct api *api = xcalloc(1, sizeof(*api));

    if (db_secret_find(admin->db, DB_SECRET_API_KEY, api->secret) != DB_OK)
        log_fatal("the account database has lost the secret of the API keys; restore it from a "
                  "backup");
    api->wrong = buckets_new();
    api->rates = buckets_new();
    api->uses = buckets_new();
    return api;
}

void api_free(struct api *api)
{
    sodium_memzero(api->secret, sizeof(api->secret));
    buckets_free(api->wrong);
    buckets_free(api->rates);
    buckets_free(api->uses);
    free(api);
}

/* --- who asks */

static bool is_clean_id(const char *id)
{
    static const char clean[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._";
    size_t length = strspn(id, clean);

    return length > 0 && length <= REQUEST_ID_MAX && id[length] == '\0';
}

static void set_remote(struct request *request, const struct sockaddr *remote)
{
    static const uint8_t mapped[12] = {[10] = 0xff, 0xff};

    if (remote->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)remote;
        memcpy(request->remote.s6_addr, mapped, sizeof(mapped));
        memcpy(request->remote.s6_addr + sizeof(mapped), &in->sin_addr, sizeof(in->sin_addr));
        inet_ntop(AF_INET, &in->sin_addr, request->remote_text, sizeof(request->remote_text));
    } else if (remote->sa_family == AF_INET6) {
        request->remote = ((const struct sockaddr_in6 *)(const void *)remote)->sin6_addr;
        inet_ntop(AF_INET6, &request->remote, request->remote_text, sizeof(request->remote_text));
    }
}

void api_identify(struct request *request, const struct sockaddr *remote)
{
    const char *given = request_header(request, "X-Request-Id");
    struct api *api = request->admin->api;

    if (remote != NULL)
        set_remote(request, remote);
    if (given != NULL && is_clean_id(given)) {
        snprintf(request->id, sizeof(request->id), "%s", given);
        return;
    }
    if (api->drawn_left == 0) {
        randombytes_buf(api->drawn, sizeof(api->drawn));
        api->drawn_left = sizeof(api->drawn) / sizeof(api->drawn[0]);
    }
    sodium_bin2hex(request->id, sizeof(request->id), api->drawn[--api->drawn_left],
                   REQUEST_ID_OCTETS);
}

static unsigned seconds_of(uint64_t milliseconds)
{
    return (unsigned)((milliseconds + 999) / 1000);
}

/* A /64 of IPv6 is one, as for logins. */
static size_t network_length(const struct in6_addr *remote)
{
    return IN6_IS_ADDR_V4MAPPED(remote) ? sizeof(*remote) : 8;
}

struct wrong_key {
    struct api *api;
    struct in6_addr remote;
};

/* From now on nothing wrong that comes from there is looked at for a while, here either. */
static void on_key_told(void *context, struct authask_answer *answer)
{
    const struct auth_checked *checked = &answer->checked;
    struct wrong_key *wrong = context;

    if (checked->answer == AUTH_ANSWER_DELAYED)
        bucket_drain(wrong->api->wrong, &wrong->remote, network_length(&wrong->remote), WRONG_RATE,
                     WRONG_BURST, (uint64_t)checked->seconds * 1000, clock_milliseconds());
    free(wrong);
}

/* Who guesses keys is somebody who guesses passwords, too: authd counts both. */
static void tell_authd(const struct request *request, const char *token)
{
    struct wrong_key *wrong = xmalloc(sizeof(*wrong));

    *wrong = (struct wrong_key){request->admin->api, request->remote};
    if (authask_key(request->admin->authask, request->remote_text, token,
                    (struct authask_caller){on_key_told, wrong}) < 0)
        free(wrong);
}

void api_refuse_unknown(struct request *request, enum problem problem, const char *detail)
{
    struct api *api = request->admin->api;

    uint64_t wait = bucket_take(api->wrong, &request->remote, network_length(&request->remote),
                                WRONG_RATE, WRONG_BURST, clock_milliseconds());
    if (wait == 0) {
        log_warning("request=%s from=%s: refused: %s", request->id, request->remote_text,
                    problem_code(problem));
        problem_set(request, problem, "%s", detail);
        return;
    }
    problem_set(request, PROBLEM_RATE, "too many wrong keys or tokens come from your address");
    request->answer.retry_after = seconds_of(wait);
}

static void refuse_key(struct request *request, const char *token, enum problem problem,
                       const char *detail)
{
    api_refuse_unknown(request, problem, detail);
    if (request->answer.status == problem_status(problem))
        tell_authd(request, token);
}

/* One more than a key has, so that what is longer than that is none. */
#define BEARER_SIZE (APIKEY_TEXT_SIZE + 1)

/*
 * Whether there is "Bearer TOKEN" (RFC 6750), and the token. Spaces may stand behind a field's
 * value (RFC 9110 section 5.5).
 */
static bool take_bearer(const struct request *request, char token_r[BEARER_SIZE])
{
    static const char scheme[] = "Bearer ";
    const char *value = request_header(request, "Authorization");

    if (value == NULL || strncasecmp(value, scheme, sizeof(scheme) - 1) != 0)
        return false;
    value += sizeof(scheme) - 1;
    value += strspn(value, " ");
    size_t length = strlen(value);
    while (length > 0 && (value[length - 1] == ' ' || value[length - 1] == '\t'))
        length--;
    snprintf(token_r, BEARER_SIZE, "%.*s", (int)length, value);
    return true;
}

static enum db_result find_key(struct request *request, const char *token)
{
    uint8_t digest[APIKEY_DIGEST_SIZE];

    if (apikey_digest(digest, request->admin->api->secret, token, strlen(token)) < 0)
        return DB_NONE;
    return db_api_key_find(request->admin->db, digest, &request->key);
}

static bool is_from_network(const struct request *request)
{
    struct networks networks;

    return request->key.networks[0] == '\0' ||
           (networks_parse(&networks, request->key.networks) == 0 &&
            networks_hold_mapped(&networks, &request->remote));
}

bool api_is_too_often(struct request *request, const void *name, size_t length, double rate,
                      double burst)
{
    uint64_t wait =
        bucket_take(request->admin->api->rates, name, length, rate, burst, clock_milliseconds());

    if (wait == 0)
        return false;
    problem_set(request, PROBLEM_RATE, "this comes too often; try again later");
    request->answer.retry_after = seconds_of(wait);
    return true;
}

static bool is_too_fast(struct request *request)
{
    const struct db_api_key *key = &request->key;

    if (key->rate == 0 ||
        !api_is_too_often(request, &key->id, sizeof(key->id), key->rate, key->rate))
        return false;
    unsigned wait = request->answer.retry_after;
    problem_set(request, PROBLEM_RATE, "this key may make %u requests a second", key->rate);
    request->answer.retry_after = wait;
    return true;
}

static void note_use(const struct request *request)
{
    const struct db_api_key *key = &request->key;

    if (key->used + USED_EVERY <= (uint64_t)time(NULL) &&
        bucket_take(request->admin->api->uses, &key->id, sizeof(key->id), 1.0 / USED_EVERY, 1,
                    clock_milliseconds()) == 0)
        change_key_used(request->admin->writer, key, request->remote_text);
}

static void authenticate_key(struct request *request, const char *token)
{
    enum db_result result = find_key(request, token);
    if (result == DB_NONE)
        refuse_key(request, token, PROBLEM_WRONG_KEY, "this key opens nothing");
    else if (result != DB_OK)
        change_problem(request, NULL, result);
    else if (request->key.expires != 0 && request->key.expires <= (uint64_t)time(NULL))
        refuse_key(request, token, PROBLEM_EXPIRED_KEY, "this key has expired");
    else if (!is_from_network(request))
        problem_set(request, PROBLEM_NETWORK, "this key is not for use from your address");
    else if (request->key.suspended)
        problem_set(request, PROBLEM_SUSPENDED, "who has this key is suspended");
    else if (!is_too_fast(request)) {
        snprintf(request->token, sizeof(request->token), "%s", token);
        note_use(request);
    }
}

/* 401, 403 and 429. A key comes before a cookie, which a browser adds by itself. */
static void authenticate(struct request *request)
{
    char token[BEARER_SIZE];

    if (take_bearer(request, token)) {
        authenticate_key(request, token);
        sodium_memzero(token, sizeof(token));
    } else if (people_has_cookie(request)) {
        people_authenticate(request);
    } else {
        problem_set(request, PROBLEM_NO_KEY,
                    "send \"Authorization: Bearer KEY\", or the cookie of a login");
    }
}

/* --- what is asked */

/* Whether a media type of a list, of so many octets, is `type` or stands for it. */
static bool stands_for(const char *range, size_t length, const char *type)
{
    size_t kind = strcspn(type, "/") + 1;

    return (length == strcspn(type, ";") && strncasecmp(range, type, length) == 0) ||
           (length == kind + 1 && range[kind] == '*' && strncasecmp(range, type, kind) == 0) ||
           (length == 3 && memcmp(range, "*/*", length) == 0);
}

/* Whether a list of media types takes this one; a parameter such as q does not matter. */
static bool takes(const char *accept, const char *type)
{
    while (*accept != '\0') {
        accept += strspn(accept, " \t,");
        size_t length = strcspn(accept, " \t,;");
        if (stands_for(accept, length, type) ||
            stands_for(accept, length, "application/problem+json"))
            return true;
        accept += strcspn(accept, ",");
    }
    return false;
}

static bool is_json(const char *type, bool merge)
{
    static const char plain[] = "application/json";
    static const char patch[] = "application/merge-patch+json";
    size_t length = type == NULL ? 0 : strcspn(type, " \t;");

    return (length == sizeof(plain) - 1 && strncasecmp(type, plain, length) == 0) ||
           (merge && length == sizeof(patch) - 1 && strncasecmp(type, patch, length) == 0);
}

/* Which of the media types that the upload may have. */
static void take_type(struct request *request)
{
    const char *given = request_header(request, "Content-Type");
    const char *type = given != NULL ? given : "";
    size_t length = strcspn(type, " \t;");

    for (unsigned i = 0; request->route->upload->types[i] != NULL; i++)
        if (strlen(request->route->upload->types[i]) == length &&
            strncasecmp(request->route->upload->types[i], type, length) == 0) {
            request->type = i;
            return;
        }
    char names[100] = "";
    for (unsigned i = 0; request->route->upload->types[i] != NULL; i++) {
        size_t used = strlen(names);
        snprintf(names + used, sizeof(names) - used, "%s%s", i > 0 ? " or " : "",
                 request->route->upload->types[i]);
    }
    problem_set(request, PROBLEM_TYPE, "the body is %s; say in Content-Type which", names);
}

/* RFC 9110 section 13.1.1: what has none fits none. */
static bool asks_for_no_etag(const struct request *request)
{
    return request->if_match != NULL && request->route->show == NULL &&
           strcmp(request->method, "POST") != 0;
}

static void check_headers(struct request *request, bool body)
{
    const char *accept = request_header(request, "Accept");
    const char *type = request->route->type != NULL ? request->route->type : "application/json";
    const char *coding = request_header(request, "Content-Encoding");
    bool merge = strcmp(request->method, "PATCH") == 0;

    if (accept != NULL && !takes(accept, type))
        problem_set(request, PROBLEM_NOT_ACCEPTABLE, "the answer is %s", type);
    else if (asks_for_no_etag(request))
        problem_set(request, PROBLEM_CHANGED, "what is here has no ETag; send no If-Match");
    else if (coding != NULL && strcasecmp(coding, "identity") != 0)
        problem_set(request, PROBLEM_TYPE, "send the body as it is, without Content-Encoding");
    else if (request->route->fields != NULL && body &&
             !is_json(request_header(request, "Content-Type"), merge))
        problem_set(request, PROBLEM_TYPE, "the body is application/json%s",
                    merge ? " or application/merge-patch+json" : "");
    else if (request->route->upload != NULL)
        take_type(request);
}

/* What names the request, so that it is done once; only a POST needs it. */
static void take_idempotency(struct request *request)
{
    const char *key = request_header(request, IDEMPOTENCY_HEADER);

    request->if_match = request_header(request, "If-Match");
    if (key == NULL || strcmp(request->method, "POST") != 0)
        return;
    if (request->by_session) {
        problem_set(request, PROBLEM_MALFORMED,
                    "an idempotency key goes with an API key; send none with a session");
        return;
    }
    if (request->route->type != NULL && (request->route->flags & ROUTE_KEPT) == 0) {
        problem_set(request, PROBLEM_MALFORMED,
                    "an answer that is no JSON is not kept; send no " IDEMPOTENCY_HEADER);
        return;
    }
    request->idempotency_key = key;
    size_t length = strlen(key);
    bool good = length > 0 && length <= DB_IDEMPOTENCY_KEY_MAX;
    for (size_t i = 0; i < length && good; i++)
        good = key[i] > ' ' && key[i] < 0x7f;
    if (!good)
        problem_set(request, PROBLEM_MALFORMED,
                    "an idempotency key is 1 to %d characters of ASCII without spaces",
                    DB_IDEMPOTENCY_KEY_MAX);
}

static bool is_refused(const struct request *request)
{
    return request->answer.status != 0;
}

/*
 * A POST that comes again is answered before it is checked: since the first one, what its path
 * names may be gone, and a time in it may have passed.
 */
static void find_object(struct request *request)
{
    const struct route *route = request->route;

    object_find(request);
    if ((is_refused(request) && request->answer.status != problem_status(PROBLEM_NOT_FOUND)) ||
        route->upload != NULL || (route->roles & 1U << request->key.role) == 0 ||
        !change_is_known(request))
        return;
    request_clear(request);
    request->again = true;
}

static void begin(struct request *request, bool body)
{
    authenticate(request);
    if (!is_refused(request))
        take_idempotency(request);
    if (!is_refused(request))
        find_object(request);
    if (!is_refused(request))
        page_check_query(request);
    if (!is_refused(request))
        check_headers(request, body);
    if (is_refused(request) || request->route->upload == NULL)
        return;
    if (body)
        request->route->upload->begin(request->admin, request);
    else
        problem_set(request, PROBLEM_MALFORMED, "the body is missing");
}

/* Whether nothing but the object is asked for. */
static bool is_shown(const struct request *request, bool body)
{
    const struct route *route = request->route;

    return !is_refused(request) && !body && route->show != NULL && route->handle == NULL &&
           route->apply == NULL;
}

/* Of one object, with its ETag; or that the client has it already. */
static void show(struct request *request)
{
    const char *wanted = request_header(request, "If-None-Match");
    struct json_t *object = NULL;
    char etag[REQUEST_ETAG_SIZE];

    enum db_result result = request->route->show(request->admin->db, request, &object);
    if (result != DB_OK) {
        change_problem(request, request->admin->db, result);
        return;
    }
    object_answer(request, 200, json_incref(object));
    memcpy(etag, request->answer.etag, sizeof(etag));
    if (wanted != NULL && object_matches(wanted, etag))
        request_set(request, 304, NULL);
    else if (request_query(request, "fields") != NULL)
        page_show(request, json_incref(object));
    json_decref(object);
    if (!request->answer.problem)
        memcpy(request->answer.etag, etag, sizeof(etag));
}

void api_begin(struct request *request, bool body)
{
    if (body && request->route->fields == NULL && request->route->upload == NULL)
        problem_set(request, PROBLEM_TOO_LARGE, "this request takes no body");
    else if (request->route->scope == SCOPE_OPEN && body)
        check_headers(request, body);
    else if (request->route->scope != SCOPE_OPEN) {
        db_read_begin(request->admin->db);
        begin(request, body);
        request->found_now = true;
        if (is_shown(request, body))
            show(request);
        request->found_now = false;
        db_read_end(request->admin->db);
    }
}

/* --- its body */

static void read_body(struct request *request)
{
    char error[BODY_ERROR_SIZE];

    request->json =
        body_parse(request->body != NULL ? request->body : "", request->body_length, error);
    if (request->json == NULL)
        problem_set(request, PROBLEM_MALFORMED, "%s", error);
}

/* --- the answer */

static void read_and_answer(struct request *request)
{
    struct db *db = request->admin->db;

    db_read_begin(db);
    if (request->route->handle != NULL)
        request->route->handle(request->admin, request);
    else
        show(request);
    db_read_end(db);
}

void api_run(struct request *request)
{
    const struct route *route = request->route;

    if (route->scope == SCOPE_OPEN && route->fields == NULL) {
        route->handle(request->admin, request);
        return;
    }
    if (request->again) {
        change_replay(request);
        return;
    }
    if (route->fields != NULL) {
        read_body(request);
        if (is_refused(request))
            return;
        field_check(request, route->fields, request->json, strcmp(request->method, "PATCH") == 0);
    }
    if (route->apply == NULL) {
        read_and_answer(request);
        return;
    }
    request->keep = request->admin->child.conf.removed_days * 86400;
    if (route->handle != NULL)
        route->handle(request->admin, request);
    if (!is_refused(request) && !request->away && problem_wrong(request) == 0)
        change_begin_request(request);
}
