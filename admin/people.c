#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <sodium.h>

#include "admin/admin.h"
#include "admin/authask.h"
#include "admin/change.h"
#include "admin/field.h"
#include "admin/pagecookie.h"
#include "admin/people.h"
#include "admin/problem.h"
#include "admin/request.h"
#include "admin/secondfactor.h"
#include "db/audit.h"
#include "db/event.h"
#include "db/pagesession.h"
#include "lib/xalloc.h"

/* Seconds without a request after which a session is over, and for which one lives at most. */
#define IDLE_TIME 3600
#define LIFE_TIME (12 * 3600)

/* How exact its last use is, in seconds. */
#define SEEN_EVERY 60

#define CSRF_HEADER "X-CSRF-Token"

_Static_assert(PAGECOOKIE_TOKEN_SIZE <= sizeof(((struct request *)NULL)->token), "a token fits");
_Static_assert(PAGECOOKIE_TOKEN_SIZE <= sizeof(((struct people_client *)NULL)->old), "it fits");
_Static_assert(PAGECOOKIE_DIGEST_SIZE == DB_DIGEST_SIZE, "digests are of one size");

static bool is_secure(const struct request *request)
{
    const char *proto = request_header(request, "X-Forwarded-Proto");

    return request->secure || (proto != NULL && strcasecmp(proto, "https") == 0);
}

/* --- who a cookie is */

static int find_cookie(const struct request *request, char token_r[PAGECOOKIE_TOKEN_SIZE])
{
    return pagecookie_find(token_r, request_header(request, "Cookie"), is_secure(request));
}

bool people_has_cookie(const struct request *request)
{
    char token[PAGECOOKIE_TOKEN_SIZE];
    bool found = find_cookie(request, token) == 0;

    sodium_memzero(token, sizeof(token));
    return found;
}

bool people_is_ours(struct request *request)
{
    const struct pagecookie_origin origin = {.site = request_header(request, "Sec-Fetch-Site"),
                                             .origin = request_header(request, "Origin"),
                                             .host = request_header(request, "Host"),
                                             .secure = is_secure(request)};

    if (pagecookie_is_ours(&origin, request->admin->child.conf.page_url))
        return true;
    problem_set(request, PROBLEM_CSRF, "another site asks in place of who is logged in here");
    return false;
}

static bool may_change(struct request *request)
{
    if (strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0)
        return true;
    if (!people_is_ours(request))
        return false;
    if (pagecookie_csrf_fits(request->token, request_header(request, CSRF_HEADER)))
        return true;
    problem_set(request, PROBLEM_CSRF,
                "with a session, send the csrf_token of the login in " CSRF_HEADER);
    return false;
}

struct seen {
    struct writing writing;
    uint8_t digest[DB_DIGEST_SIZE];
    uint64_t now;
    uint64_t expires;
};

static enum db_result run_seen(struct writing *writing, struct db *db)
{
    const struct seen *seen = (struct seen *)writing;

    return db_page_session_seen(db, seen->digest, seen->now, seen->expires);
}

static void done_seen(struct writing *writing)
{
    free((struct seen *)writing);
}

static uint64_t expiry(uint64_t created, uint64_t now)
{
    return now + IDLE_TIME < created + LIFE_TIME ? now + IDLE_TIME : created + LIFE_TIME;
}

/* Nobody waits for it. */
static void note_seen(const struct request *request, uint64_t now)
{
    const struct db_page_session *session = &request->session;

    if (session->seen + SEEN_EVERY > now)
        return;
    struct seen *seen = xcalloc(1, sizeof(*seen));
    seen->writing.run = run_seen;
    seen->writing.done = done_seen;
    memcpy(seen->digest, session->digest, sizeof(seen->digest));
    seen->now = now;
    seen->expires = expiry(session->created, now);
    if (writer_submit(request->admin->writer, &seen->writing) != 0)
        free(seen);
}

static void fill_in_key(struct request *request, const struct db_person_found *found)
{
    struct db_api_key *key = &request->key;
    const struct db_page_session *session = &request->session;

    request->by_session = true;
    snprintf(key->name, sizeof(key->name), "%.*s", DB_API_KEY_NAME_MAX, found->login);
    snprintf(request->login, sizeof(request->login), "%s", found->login);
    snprintf(key->customer_name, sizeof(key->customer_name), "%s", found->customer_name);
    if (session->person.mailbox != 0)
        snprintf(key->address, sizeof(key->address), "%s", found->login);
    key->role = found->role;
    key->customer = session->person.customer;
    key->mailbox = session->person.mailbox;
    key->suspended = found->suspended;
    key->created = session->created;
    key->expires = session->created + LIFE_TIME;
    key->used = session->seen;
    snprintf(key->used_address, sizeof(key->used_address), "%s", session->remote);
}

static enum db_result find_person(struct request *request, uint64_t now)
{
    struct db *db = request->admin->db;
    struct db_person_found found;
    uint8_t digest[DB_DIGEST_SIZE];

    if (find_cookie(request, request->token) < 0 || pagecookie_digest(digest, request->token) < 0)
        return DB_NONE;
    enum db_result result = db_page_session_find(db, digest, now, &request->session);
    if (result == DB_OK)
        result = db_person_find(db, &request->session.person, &found);
    if (result == DB_OK)
        fill_in_key(request, &found);
    return result;
}

void people_authenticate(struct request *request)
{
    uint64_t now = (uint64_t)time(NULL);

    request->secure = is_secure(request);
    enum db_result result = find_person(request, now);
    if (result == DB_NONE)
        problem_set(request, PROBLEM_NO_SESSION, "the session is over; log in again");
    else if (result != DB_OK)
        change_problem(request, NULL, result);
    else if (request->key.suspended)
        problem_set(request, PROBLEM_SUSPENDED, "you are suspended");
    else if (may_change(request))
        note_seen(request, now);
}

/* --- passwords */

struct asking {
    struct request *request;
    void (*found)(struct request *request, const struct auth_checked *checked);
};

static void refuse(struct request *request, const struct auth_checked *checked)
{
    switch (checked->answer) {
    case AUTH_ANSWER_WRONG:
        if (request->by_session)
            problem_set(request, PROBLEM_WRONG_PASSWORD, "this is not your password");
        else
            problem_set(request, PROBLEM_WRONG_LOGIN, "login or password is wrong");
        break;
    case AUTH_ANSWER_DISABLED:
        problem_set(request, PROBLEM_SUSPENDED, "this account is suspended");
        break;
    case AUTH_ANSWER_DELAYED:
        problem_set(request, PROBLEM_RATE, "too many wrong passwords; try again in %u seconds",
                    (unsigned)checked->seconds);
        request->answer.retry_after = checked->seconds;
        break;
    default:
        problem_set(request, PROBLEM_BUSY, "passwords cannot be checked now; try again");
        request->answer.retry_after = 1;
    }
}

static void on_checked(void *context, struct authask_answer *answer)
{
    const struct auth_checked *checked = &answer->checked;
    struct asking *asking = context;
    struct request *request = asking->request;
    void (*found)(struct request * request, const struct auth_checked *checked) = asking->found;

    free(asking);
    request->away = false;
    if (checked->answer != AUTH_ANSWER_GOOD) {
        refuse(request, checked);
        request_send(request);
        return;
    }
    if (found != NULL)
        found(request, checked);
    change_begin_request(request);
    if (!request->away)
        request_send(request);
}

void people_ask(struct request *request, const char *login, const char *password,
                void (*found)(struct request *request, const struct auth_checked *checked))
{
    struct asking *asking = xmalloc(sizeof(*asking));

    *asking = (struct asking){request, found};
    request->away = true;
    authask_password(request->admin->authask, request->remote_text, login, password,
                     (struct authask_caller){on_checked, asking});
}

/* --- second factors */

static enum db_result note_event(struct db *db, const struct request *request,
                                 const struct db_person *person, const char *login,
                                 enum db_event_kind kind, const char *reason)
{
    struct db_event event = {
        .kind = kind, .customer = person->customer, .mailbox = person->mailbox};
    bool code = field_given(request->json, "code");

    snprintf(event.address, sizeof(event.address), "%s", login);
    snprintf(event.remote, sizeof(event.remote), "%s", request->remote_text);
    snprintf(event.protocol, sizeof(event.protocol), "pages");
    snprintf(event.mechanism, sizeof(event.mechanism), "%s", code ? "password+code" : "password");
    snprintf(event.credential, sizeof(event.credential), "%s",
             kind == DB_EVENT_LOGIN ? "password" : "second factor");
    snprintf(event.reason, sizeof(event.reason), "%s", reason);
    return db_event_add(db, &event);
}

/* It is refused, and what is noted of that stays. */
static enum db_result refuse_code(struct db *db, struct request *request,
                                  const struct db_person *person, const char *login, uint64_t wait)
{
    enum db_result result = note_event(db, request, person, login, DB_EVENT_REFUSED, "wrong code");

    if (result == DB_OK && wait > 0)
        result = note_event(db, request, person, login, DB_EVENT_BLOCKED, "too many wrong codes");
    problem_set(request, PROBLEM_WRONG_CODE, "this code is wrong, or was used before");
    request->answer.noted = true;
    return result;
}

static enum db_result delay_code(struct db *db, struct request *request,
                                 const struct db_person *person, const char *login, uint64_t wait)
{
    enum db_result result =
        note_event(db, request, person, login, DB_EVENT_DELAYED, "too many wrong codes");

    problem_set(request, PROBLEM_RATE, "too many wrong codes; try again in %u seconds",
                (unsigned)wait);
    request->answer.retry_after = (unsigned)wait;
    request->answer.noted = true;
    return result;
}

enum db_result people_check_code(struct db *db, struct request *request,
                                 const struct db_person *person, const char *login,
                                 const char *code)
{
    uint64_t wait = 0;

    switch (second_factor_check(db, person, code, (uint64_t)time(NULL), &wait)) {
    case SECOND_FACTOR_GOOD: return DB_OK;
    case SECOND_FACTOR_WRONG: return refuse_code(db, request, person, login, wait);
    case SECOND_FACTOR_WAIT: return delay_code(db, request, person, login, wait);
    case SECOND_FACTOR_BUSY: return DB_BUSY;
    case SECOND_FACTOR_BROKEN: return DB_BROKEN;
    default: problem_set(request, PROBLEM_NO_CODE, "there is no second factor"); return DB_OK;
    }
}

/* --- sessions */

/* What a client calls itself, in one line of ASCII. */
static void copy_agent(char *agent_r, size_t size, const char *agent)
{
    size_t i = 0;

    for (; agent != NULL && i < size - 1 && agent[i] != '\0'; i++)
        agent_r[i] = agent[i] >= ' ' && agent[i] <= '~' ? agent[i] : '?';
    agent_r[i] = '\0';
}

void *people_client_new(struct request *request, size_t size)
{
    struct people_client *client = request->own = xcalloc(1, size);

    request->own_size = size;
    request->secure = is_secure(request);
    copy_agent(client->agent, sizeof(client->agent), request_header(request, "User-Agent"));
    if (find_cookie(request, client->old) < 0)
        client->old[0] = '\0';
    return client;
}

/* Whoever knows a session's cookie may end it. */
static enum db_result end_old(struct db *db, const char *token, uint64_t now)
{
    struct db_page_session old;
    uint8_t digest[DB_DIGEST_SIZE];

    if (token[0] == '\0' || pagecookie_digest(digest, token) < 0)
        return DB_OK;
    enum db_result result = db_page_session_find(db, digest, now, &old);
    if (result == DB_OK)
        result = db_page_session_end(db, &old.person, digest);
    return result == DB_NONE ? DB_OK : result;
}

static json_t *login_object(const struct db_person *person, const struct db_person_found *found,
                            uint64_t created, const char *token)
{
    char csrf[PAGECOOKIE_TOKEN_SIZE];

    pagecookie_csrf(csrf, token);
    json_t *object =
        json_pack("{ss ss ss so so sb ss so}", "login", found->login, "name", found->name, "role",
                  db_role_name(found->role), "customer",
                  person->customer != 0 ? json_integer((json_int_t)person->customer) : json_null(),
                  "address", person->mailbox != 0 ? json_string(found->login) : json_null(),
                  "second_factor", (int)found->second_factor, "csrf_token", csrf, "expires",
                  field_format_time(created + LIFE_TIME));
    sodium_memzero(csrf, sizeof(csrf));
    return object;
}

enum db_result people_begin(struct db *db, struct request *request,
                            const struct db_person_found *found, unsigned status)
{
    const struct people_client *client = request->own;
    uint64_t now = (uint64_t)time(NULL);
    struct db_page_session session = {
        .person = client->person, .created = now, .expires = expiry(now, now)};
    char token[PAGECOOKIE_TOKEN_SIZE];

    enum db_result result = db_page_session_prune(db, now);
    if (result == DB_OK)
        result = end_old(db, client->old, now);
    pagecookie_draw(token);
    (void)pagecookie_digest(session.digest, token);
    snprintf(session.remote, sizeof(session.remote), "%s", request->remote_text);
    snprintf(session.agent, sizeof(session.agent), "%s", client->agent);
    if (result == DB_OK)
        result = db_page_session_add(db, &session);
    if (result == DB_OK)
        result = note_event(db, request, &client->person, found->login, DB_EVENT_LOGIN, "");
    if (result == DB_OK) {
        request_set(request, status, login_object(&client->person, found, now, token));
        pagecookie_header(request->answer.cookie, token, request->secure);
    }
    sodium_memzero(token, sizeof(token));
    return result;
}
