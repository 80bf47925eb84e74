#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "admin/admin.h"
#include "admin/change.h"
#include "admin/object.h"
#include "admin/problem.h"
#include "admin/route.h"
#include "admin/upload.h"
#include "db/adminuser.h"
#include "db/apppassword.h"
#include "db/audit.h"
#include "db/idempotency.h"
#include "db/issuer.h"
#include "db/job.h"
#include "db/limit.h"
#include "db/trusted.h"
#include "db/webhook.h"
#include "lib/log.h"
#include "lib/xalloc.h"

/* Seconds after which one that was told that we are busy may come again. */
#define BUSY_RETRY 1

/* --- what results mean */

/* Of what a plan allows, also which plan, whose, and how much. */
void change_note_limit(struct request *request, const struct db_limit *limit)
{
    json_decref(request->limit);
    request->limit = json_pack("{ss}", "kind", db_limit_kind_name(limit->kind));
    if (limit->kind <= DB_LIMIT_MAILBOX_OCTETS)
        json_object_update_new(
            request->limit, json_pack("{ss ss}", "plan", limit->plan, "customer", limit->customer));
    if (limit->kind <= DB_LIMIT_DOMAINS)
        json_object_update_new(request->limit, json_pack("{si si}", "allowed", (int)limit->allowed,
                                                         "used", (int)limit->used));
}

static void limit_problem(struct request *request, const struct db *db)
{
    struct db_limit limit;

    db_limit_get(db, &limit);
    change_note_limit(request, &limit);
    switch (limit.kind) {
    case DB_LIMIT_ADDRESSES:
    case DB_LIMIT_DOMAINS:
        problem_set(request, PROBLEM_LIMIT, "the plan \"%s\" allows %u %s, and %u are there",
                    limit.plan, limit.allowed,
                    limit.kind == DB_LIMIT_ADDRESSES ? "addresses" : "domains", limit.used);
        break;
    case DB_LIMIT_MAILBOX_OCTETS:
        problem_set(request, PROBLEM_LIMIT, "the plan \"%s\" allows no mailbox that large",
                    limit.plan);
        break;
    case DB_LIMIT_TRUSTED_NETWORKS:
        problem_set(request, PROBLEM_LIMIT, "there are %d trusted networks at most",
                    DB_TRUSTED_MAX);
        break;
    case DB_LIMIT_APP_PASSWORDS:
        problem_set(request, PROBLEM_LIMIT, "a mailbox has %d app passwords at most",
                    DB_APP_PASSWORDS_MAX);
        break;
    case DB_LIMIT_TOKEN_ISSUERS:
        problem_set(request, PROBLEM_LIMIT, "a customer has %d token issuers at most",
                    DB_ISSUERS_MAX);
        break;
    case DB_LIMIT_JOBS:
        problem_set(request, PROBLEM_LIMIT, "there are %d jobs at most that have not ended",
                    DB_JOBS_MAX);
        break;
    case DB_LIMIT_WEBHOOKS:
        problem_set(request, PROBLEM_LIMIT, "there are %d webhooks at most", DB_WEBHOOKS_MAX);
        break;
    case DB_LIMIT_API_KEYS:
        problem_set(request, PROBLEM_LIMIT, "there are %d API keys at most", DB_API_KEYS_MAX);
        break;
    case DB_LIMIT_ADMIN_USERS:
        problem_set(request, PROBLEM_LIMIT, "there are %d admin users at most", DB_ADMIN_USERS_MAX);
        break;
    default: problem_set(request, PROBLEM_LIMIT, "no more are allowed");
    }
}

static void busy(struct request *request, const char *detail)
{
    problem_set(request, PROBLEM_BUSY, "%s", detail);
    request->answer.retry_after = BUSY_RETRY;
}

void change_problem(struct request *request, const struct db *db, enum db_result result)
{
    switch (result) {
    case DB_NONE: problem_set(request, PROBLEM_NOT_FOUND, "there is no such thing any more"); break;
    case DB_TAKEN: problem_set(request, PROBLEM_EXISTS, "there is one of this name already"); break;
    case DB_LIMIT: limit_problem(request, db); break;
    case DB_BUSY: busy(request, "another program is changing the accounts; try again"); break;
    default:
        log_error("request=%s: the account database failed, as the line above says", request->id);
        problem_set(request, PROBLEM_FAILED, "the accounts cannot be read or written now");
    }
}

int change_submit(struct request *request,
                  enum db_result (*run)(struct writing *writing, struct db *db),
                  void (*done)(struct writing *writing))
{
    request->writing.run = run;
    request->writing.done = done;
    request->away = true;
    if (writer_submit(request->admin->writer, &request->writing) == 0)
        return 0;
    request->away = false;
    busy(request, "too many changes wait; try again");
    return -1;
}

/* --- once and no more (db/idempotency.h) */

static void digest_request(uint8_t digest_r[32], const struct request *request)
{
    crypto_generichash_state state;

    if (request->upload != NULL) {
        upload_digest(request, digest_r);
        return;
    }
    crypto_generichash_init(&state, NULL, 0, 32);
    crypto_generichash_update(&state, (const unsigned char *)request->path,
                              strlen(request->path) + 1);
    crypto_generichash_update(&state, (const unsigned char *)request->body, request->body_length);
    crypto_generichash_final(&state, digest_r, 32);
}

/* Who steals the file has not the API key, and so not what it was answered. */
static void seal_key(uint8_t key_r[crypto_secretbox_KEYBYTES], const struct request *request)
{
    crypto_generichash(key_r, crypto_secretbox_KEYBYTES,
                       (const unsigned char *)request->idempotency_key,
                       strlen(request->idempotency_key), (const unsigned char *)request->token,
                       strlen(request->token));
}

#define SEALED_MORE (crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES)

static enum db_result keep_answer(struct db *db, const struct request *request)
{
    const struct answer *answer = &request->answer;
    struct db_idempotency kept = {.api_key = request->key.id, .key = request->idempotency_key};
    uint8_t key[crypto_secretbox_KEYBYTES];
    json_t *object = json_pack("{si ss* ss ss*}", "status", (int)answer->status, "location",
                               answer->location, "etag", answer->etag, "body", answer->text);
    char *text = json_dumps(object, JSON_COMPACT);

    json_decref(object);
    if (text == NULL)
        log_panic("out of memory, or no JSON");
    size_t length = strlen(text);
    kept.length = length + SEALED_MORE;
    uint8_t *sealed = kept.answer = xmalloc(kept.length);
    randombytes_buf(sealed, crypto_secretbox_NONCEBYTES);
    seal_key(key, request);
    crypto_secretbox_easy(sealed + crypto_secretbox_NONCEBYTES, (const unsigned char *)text, length,
                          sealed, key);
    digest_request(kept.request, request);
    enum db_result result = db_idempotency_add(db, &kept, (uint64_t)time(NULL));
    sodium_memzero(key, sizeof(key));
    sodium_memzero(text, length);
    free(text);
    free(sealed);
    return result;
}

static json_t *unseal(const struct request *request, const struct db_idempotency *kept)
{
    uint8_t key[crypto_secretbox_KEYBYTES];
    json_t *object = NULL;

    if (kept->length < SEALED_MORE)
        return NULL;
    size_t length = kept->length - SEALED_MORE;
    char *text = xmalloc(length + 1);
    const uint8_t *sealed = kept->answer;
    seal_key(key, request);
    if (crypto_secretbox_open_easy((unsigned char *)text, sealed + crypto_secretbox_NONCEBYTES,
                                   kept->length - crypto_secretbox_NONCEBYTES, sealed, key) == 0)
        object = json_loadb(text, length, 0, NULL);
    sodium_memzero(key, sizeof(key));
    sodium_memzero(text, length);
    free(text);
    return object;
}

/* The first one's answer again. */
static void replay(struct request *request, const struct db_idempotency *kept)
{
    struct answer *answer = &request->answer;
    uint8_t digest[sizeof(kept->request)];

    digest_request(digest, request);
    if (memcmp(digest, kept->request, sizeof(digest)) != 0) {
        problem_set(request, PROBLEM_KEY_REUSED,
                    "this idempotency key was sent with another path, type or body; take a new "
                    "one");
        return;
    }
    json_t *object = unseal(request, kept);
    if (object == NULL) {
        problem_set(request, PROBLEM_FAILED, "the answer that was kept is damaged");
        return;
    }
    const char *location = json_string_value(json_object_get(object, "location"));
    const char *body = json_string_value(json_object_get(object, "body"));
    const char *etag = json_string_value(json_object_get(object, "etag"));
    request_set(request, (unsigned)json_integer_value(json_object_get(object, "status")), NULL);
    answer->type = request->route->type != NULL ? request->route->type : "application/json";
    answer->text = body == NULL ? NULL : xstrdup(body);
    answer->location = location == NULL ? NULL : xstrdup(location);
    snprintf(answer->etag, sizeof(answer->etag), "%s", etag == NULL ? "" : etag);
    answer->replayed = true;
    json_decref(object);
}

static enum db_result find_kept(struct db *db, const struct request *request,
                                struct db_idempotency *kept_r)
{
    *kept_r = (struct db_idempotency){.api_key = request->key.id, .key = request->idempotency_key};
    return db_idempotency_find(db, kept_r, (uint64_t)time(NULL));
}

bool change_is_known(struct request *request)
{
    struct db_idempotency kept;

    if (request->idempotency_key == NULL || find_kept(request->admin->db, request, &kept) != DB_OK)
        return false;
    free(kept.answer);
    return true;
}

void change_replay(struct request *request)
{
    struct db_idempotency kept;
    enum db_result result = find_kept(request->admin->db, request, &kept);

    if (result != DB_OK) {
        change_problem(request, NULL, result);
        return;
    }
    replay(request, &kept);
    free(kept.answer);
}

/* --- in the writer's thread */

/* DB_OK: it is as the client has seen it, or the client does not mind. */
static enum db_result check_match(struct db *db, struct request *request)
{
    struct json_t *object = NULL;
    char etag[REQUEST_ETAG_SIZE];

    if (request->if_match == NULL || request->route->show == NULL ||
        strcmp(request->method, "POST") == 0)
        return DB_OK;
    enum db_result result = request->route->show(db, request, &object);
    if (result != DB_OK)
        return result;
    object_etag(etag, object);
    json_decref(object);
    if (object_matches(request->if_match, etag))
        return DB_OK;
    if (strchr(request->if_match, '"') == NULL)
        problem_set(request, PROBLEM_CHANGED,
                    "If-Match is none that ETag gave out; send it with its quotes");
    else
        problem_set(request, PROBLEM_CHANGED,
                    "it is not what If-Match says any more; get it again");
    return DB_NONE;
}

/* What goes with the method, where the handler has set nothing. */
static enum db_result answer_with_object(struct db *db, struct request *request)
{
    bool post = strcmp(request->method, "POST") == 0;
    struct json_t *object = NULL;

    if (request->route->show == NULL || strcmp(request->method, "DELETE") == 0) {
        request_set(request, 204, NULL);
        return DB_OK;
    }
    enum db_result result = request->route->show(db, request, &object);
    if (result == DB_OK)
        object_answer(request, post ? 201 : 200, object);
    return result;
}

static enum db_result apply(struct db *db, struct request *request)
{
    enum db_result result = check_match(db, request);

    if (result == DB_OK)
        result = request->route->apply(db, request);
    if (result == DB_OK && request->answer.status == 0)
        result = answer_with_object(db, request);
    if (result == DB_BUSY || result == DB_BROKEN)
        return result;
    if (result != DB_OK && !request->answer.problem)
        change_problem(request, db, result);
    bool refused = request->answer.problem && !request->answer.noted;
    return refused || request->undo ? DB_NONE : DB_OK;
}

void change_actor(struct db *db, const struct request *request)
{
    char actor[DB_AUDIT_ACTOR_MAX + 1];

    if (request->by_session)
        snprintf(actor, sizeof(actor), "%s %s", request->key.mailbox != 0 ? "owner" : "admin-user",
                 request->login);
    else if (request->route->scope == SCOPE_OPEN)
        snprintf(actor, sizeof(actor), "invitation");
    else
        snprintf(actor, sizeof(actor), "api-key %s", request->key.name);
    db_audit_actor(db, actor);
    db_audit_source(db, request->remote_text, request->id);
}

/* What was found before is found again by each function of db/, by its customer. */
static enum db_result run(struct writing *writing, struct db *db)
{
    struct request *request = request_of(writing);
    struct db_idempotency kept;

    request_clear(request);
    change_actor(db, request);
    if (request->idempotency_key == NULL)
        return apply(db, request);
    enum db_result result = find_kept(db, request, &kept);
    if (result == DB_OK) {
        replay(request, &kept);
        free(kept.answer);
        return DB_NONE;
    }
    if (result == DB_NONE)
        result = apply(db, request);
    return result == DB_OK ? keep_answer(db, request) : result;
}

/* --- in the event loop's */

/* Where nobody is asked who he is, the path may hold a token. */
static void log_change(const struct request *request)
{
    char who[sizeof("login=") + ADDRESS_MAX];
    bool open = request->route->scope == SCOPE_OPEN;

    if (request->by_session)
        snprintf(who, sizeof(who), "login=%s", request->login);
    else
        snprintf(who, sizeof(who), "key=%" PRIu64, request->key.id);
    log_info("request=%s from=%s %s: %s %s: %u", request->id, request->remote_text, who,
             request->method, open ? request->route->path : request->path, request->answer.status);
}

static void done(struct writing *writing)
{
    struct request *request = request_of(writing);

    request->away = false;
    if (writing->result == DB_BUSY || writing->result == DB_BROKEN)
        change_problem(request, NULL, writing->result);
    if (writing->result == DB_OK && request->route->applied != NULL)
        request->route->applied(request->admin, request);
    log_change(request);
    request_send(request);
}

static void submit(struct request *request)
{
    if (change_submit(request, run, done) < 0)
        request_send(request);
}

static void on_hashed(struct hashing *hashing)
{
    struct request *request = hashing->context;

    request->away = false;
    if (!hashing->failed) {
        submit(request);
        return;
    }
    busy(request, "there is not enough free memory to hash a password; try again");
    request_send(request);
}

void change_go_on(struct request *request)
{
    request->away = false;
    submit(request);
}

void change_begin_request(struct request *request)
{
    struct hashing *hashing = request->hashing;

    if (request->preparing) {
        request->away = true;
        return;
    }
    if (hashing == NULL) {
        submit(request);
        return;
    }
    hashing->done = on_hashed;
    hashing->context = request;
    request->away = true;
    if (hasher_submit(request->admin->hasher, hashing) == 0)
        return;
    request->away = false;
    busy(request, "too many passwords wait to be hashed; try again");
}

/* --- what another program has done */

/* Of two at once the second gets the first one's answer. */
static enum db_result run_keep(struct writing *writing, struct db *db)
{
    struct request *request = request_of(writing);
    struct db_idempotency kept;

    enum db_result result = find_kept(db, request, &kept);
    if (result == DB_NONE)
        return keep_answer(db, request);
    if (result == DB_OK) {
        replay(request, &kept);
        free(kept.answer);
        return DB_NONE;
    }
    return result;
}

/* It is done, so that is what is answered, although a retry would do it again. */
static void done_keep(struct writing *writing)
{
    struct request *request = request_of(writing);

    if (writing->result == DB_BUSY || writing->result == DB_BROKEN)
        log_warning("request=%s: its answer is not kept for a retry", request->id);
    request->away = false;
    request_send(request);
}

void change_keep_and_send(struct request *request)
{
    if (request->idempotency_key == NULL || request->answer.problem) {
        request_send(request);
        return;
    }
    request->writing.run = run_keep;
    request->writing.done = done_keep;
    if (writer_submit(request->admin->writer, &request->writing) == 0)
        return;
    log_warning("request=%s: too many changes wait to keep its answer for a retry", request->id);
    request_send(request);
}

/* --- the last use of a key */

struct use {
    struct writing writing;
    uint64_t customer;
    uint64_t key;
    char remote[INET6_ADDRSTRLEN];
};

static enum db_result run_use(struct writing *writing, struct db *db)
{
    const struct use *use = (struct use *)writing;

    return db_api_key_used(db, use->customer, use->key, (uint64_t)time(NULL), use->remote);
}

static void done_use(struct writing *writing)
{
    free((struct use *)writing);
}

void change_key_used(struct writer *writer, const struct db_api_key *key, const char *remote)
{
    struct use *use = xcalloc(1, sizeof(*use));

    use->writing.run = run_use;
    use->writing.done = done_use;
    use->customer = key->customer;
    use->key = key->id;
    snprintf(use->remote, sizeof(use->remote), "%s", remote);
    if (writer_submit(writer, &use->writing) != 0)
        free(use);
}
