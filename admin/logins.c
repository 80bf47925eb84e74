#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "admin/admin.h"
#include "admin/change.h"
#include "admin/logins.h"
#include "admin/page.h"
#include "admin/pagecookie.h"
#include "admin/people.h"
#include "admin/problem.h"
#include "admin/request.h"
#include "admin/secondfactor.h"
#include "db/adminuser.h"
#include "db/audit.h"
#include "db/pagesession.h"
#include "db/secondfactor.h"
#include "lib/authmsg.h"
#include "lib/passwordrule.h"

#define TEXT(name_, most_, about_)                                                                 \
    {                                                                                              \
        .name = (name_), .type = FIELD_TEXT, .required = true, .least = 1, .most = (most_),        \
        .about = (about_)                                                                          \
    }
#define CODE TEXT("code", 64, "of the authenticator app, or a recovery code")

const struct field login_fields[] = {
    TEXT("login", AUTH_LOGIN_MAX, "an admin user's login, or the address of a mailbox"),
    TEXT("password", AUTH_PASSWORD_MAX, "no app password"),
    {.name = "code",
     .type = FIELD_TEXT,
     .least = 1,
     .most = 64,
     .about = "of the second factor, where the answer without it is code-needed"},
    {0}};
const struct field own_password_fields[] = {
    TEXT("old_password", AUTH_PASSWORD_MAX, "the present one"),
    TEXT("password", PASSWORD_MOST, "8 characters at least, UTF-8 without control characters"),
    {0}};
const struct field reauthentication_fields[] = {
    TEXT("password", AUTH_PASSWORD_MAX, "the present one"), {0}};
const struct field code_fields[] = {CODE, {0}};
const struct field both_fields[] = {
    TEXT("password", AUTH_PASSWORD_MAX, "the present one"), CODE, {0}};

/* --- login and logout */

static void on_found(struct request *request, const struct auth_checked *checked)
{
    struct people_client *client = request->own;

    client->person = (struct db_person){.customer = checked->customer,
                                        .admin_user = checked->admin_user,
                                        .mailbox = checked->mailbox};
    memcpy(client->fitted, checked->fitted, sizeof(client->fitted));
}

void login_check(struct admin *admin, struct request *request)
{
    (void)admin;
    if (problem_wrong(request) < 0 || !people_is_ours(request))
        return;
    (void)people_client_new(request, sizeof(struct people_client));
    people_ask(request, field_text(request->json, "login", ""),
               field_text(request->json, "password", ""), on_found);
}

static void set_actor(struct db *db, const struct db_person *person, const char *login)
{
    char actor[DB_AUDIT_ACTOR_MAX + 1];

    snprintf(actor, sizeof(actor), "%s %s", person->mailbox != 0 ? "owner" : "admin-user", login);
    db_audit_actor(db, actor);
}

/* The password may have been changed since authd has looked at it. */
static bool fits_still(struct db *db, const struct people_client *client)
{
    char hash[DB_HASH_SIZE];
    uint8_t fitted[sizeof(client->fitted)];

    if (db_person_hash(db, &client->person, hash) != DB_OK)
        return false;
    crypto_generichash(fitted, sizeof(fitted), (const unsigned char *)hash, strlen(hash), NULL, 0);
    sodium_memzero(hash, sizeof(hash));
    return sodium_memcmp(fitted, client->fitted, sizeof(fitted)) == 0;
}

/* The password was good; what else has to be is looked at as it is now. */
enum db_result login_apply(struct db *db, struct request *request)
{
    const struct people_client *client = request->own;
    const char *code = field_text(request->json, "code", NULL);
    struct db_person_found found;

    enum db_result result = db_person_find(db, &client->person, &found);
    if (result == DB_NONE)
        problem_set(request, PROBLEM_WRONG_LOGIN, "login or password is wrong");
    else if (result == DB_OK && !fits_still(db, client))
        problem_set(request, PROBLEM_BUSY, "the password is being changed; try again");
    else if (result == DB_OK && found.suspended)
        problem_set(request, PROBLEM_SUSPENDED, "this account is suspended");
    else if (result == DB_OK && found.second_factor && code == NULL)
        problem_set(request, PROBLEM_CODE_NEEDED, "a code of the second factor is needed");
    if (result != DB_OK || request->answer.problem)
        return result;
    set_actor(db, &client->person, found.login);
    if (found.second_factor)
        result = people_check_code(db, request, &client->person, found.login, code);
    if (result != DB_OK || request->answer.problem)
        return result;
    return people_begin(db, request, &found, 201);
}

static void end_cookie(struct request *request)
{
    request_set(request, 204, NULL);
    pagecookie_header(request->answer.cookie, "", request->secure);
}

enum db_result logout_apply(struct db *db, struct request *request)
{
    const struct db_page_session *session = &request->session;
    enum db_result result = db_page_session_end(db, &session->person, session->digest);

    if (result == DB_OK || result == DB_NONE)
        end_cookie(request);
    return result == DB_NONE ? DB_OK : result;
}

/* --- sessions */

static json_t *session_object(const struct page *page, const struct db_page_session *session)
{
    char id[2 * DB_DIGEST_SIZE + 1];

    sodium_bin2hex(id, sizeof(id), session->digest, sizeof(session->digest));
    bool own = memcmp(session->digest, page->request->session.digest, sizeof(session->digest)) == 0;
    return json_pack("{ss so so so so so sb}", "id", id, "created",
                     field_format_time(session->created), "seen", field_format_time(session->seen),
                     "expires", field_format_time(session->expires), "remote",
                     field_format_text(session->remote), "agent", field_format_text(session->agent),
                     "current", (int)own);
}

static enum db_result next_session(struct page *page, void *row)
{
    const struct request *request = page->request;

    return db_page_session_next(request->admin->db, &request->session.person, (uint64_t)time(NULL),
                                row);
}

static json_t *session_item(const struct page *page, void *row)
{
    return session_object(page, row);
}

/* "created.digest" */
static void session_name(const void *row, char name_r[PAGE_NAME_MAX + 1])
{
    const struct db_page_session *session = row;
    char id[2 * DB_DIGEST_SIZE + 1];

    sodium_bin2hex(id, sizeof(id), session->digest, sizeof(session->digest));
    snprintf(name_r, PAGE_NAME_MAX + 1, "%" PRIu64 ".%s", session->created, id);
}

static int take_id(uint8_t digest_r[DB_DIGEST_SIZE], const char *text)
{
    size_t length;

    return sodium_hex2bin(digest_r, DB_DIGEST_SIZE, text, strlen(text), NULL, &length, NULL) == 0 &&
                   length == DB_DIGEST_SIZE
               ? 0
               : -1;
}

void own_sessions_list(struct admin *admin, struct request *request)
{
    static const struct listing listing = {next_session, session_item, session_name};
    struct db_page_session row = {.created = INT64_MAX};
    struct page page;
    (void)admin;

    if (page_begin(&page, request) < 0)
        return;
    const char *dot = strchr(page.after, '.');
    if (dot != NULL && take_id(row.digest, dot + 1) == 0)
        row.created = page_after_number(&page);
    page_fill(&page, &listing, &row);
}

enum db_result own_session_end(struct db *db, struct request *request)
{
    char *id = route_parameter(request->route, request->path, "session");
    uint8_t digest[DB_DIGEST_SIZE];
    enum db_result result = DB_NONE;

    if (id != NULL && take_id(digest, id) == 0)
        result = db_page_session_end(db, &request->session.person, digest);
    free(id);
    return result;
}

/* Of all others. */
enum db_result own_sessions_end(struct db *db, struct request *request)
{
    enum db_result result =
        db_page_sessions_end(db, &request->session.person, request->session.digest);

    return result == DB_NONE ? DB_OK : result;
}

/*
 * While a password was checked or hashed, somebody else may have ended the session by another one.
 */
static enum db_result find_session(struct db *db, struct request *request)
{
    struct db_page_session session;
    enum db_result result =
        db_page_session_find(db, request->session.digest, (uint64_t)time(NULL), &session);

    if (result == DB_NONE)
        problem_set(request, PROBLEM_NO_SESSION, "the session is over; log in again");
    return result;
}

/* --- passwords */

struct new_password {
    struct people_client client; /* first */
    struct hashing hashing;
};

/* The old one is checked before the new one is hashed. */
void own_password_check(struct admin *admin, struct request *request)
{
    const struct passwordrule_owner owner = {.address = request->login,
                                             .customer = request->key.customer_name,
                                             .hostname = admin->child.conf.hostname};
    const char *password = field_text(request->json, "password", NULL);
    const char *error =
        password == NULL ? NULL : passwordrule_check(password, strlen(password), &owner);

    if (error != NULL)
        problem_member(request, "/password", "password", "%s", error);
    if (problem_wrong(request) < 0 || password == NULL)
        return;
    struct new_password *new = people_client_new(request, sizeof(*new));
    new->client.person = request->session.person;
    new->hashing.password.length = strlen(password);
    memcpy(new->hashing.password.text, password, new->hashing.password.length + 1);
    new->hashing.address = request->login;
    request->hashing = &new->hashing;
    people_ask(request, request->login, field_text(request->json, "old_password", ""), NULL);
}

static enum db_result set_hash(struct db *db, const struct request *request,
                               const struct password_kept *kept)
{
    const struct db_person *person = &request->session.person;
    struct address address;
    const char *error;

    if (person->admin_user != 0)
        return db_admin_user_set_hash(db, person->customer, person->admin_user, kept->hash);
    if (address_parse(&address, request->login, strlen(request->login), &error) < 0)
        return DB_NONE;
    return db_mailaddress_set_hash(db, person->customer, &address, kept->hash, kept->scram);
}

/* All sessions end with the old one, and this client gets a new one. */
enum db_result own_password_set(struct db *db, struct request *request)
{
    const struct new_password *new = request->own;
    struct db_person_found found;

    enum db_result result = find_session(db, request);
    if (result == DB_OK)
        result = set_hash(db, request, &new->hashing.kept);
    if (result == DB_OK)
        result = db_person_find(db, &request->session.person, &found);
    return result == DB_OK ? people_begin(db, request, &found, 200) : result;
}

/* --- the second factor */

void second_factor_show(struct admin *admin, struct request *request)
{
    struct db_second_factor factor;

    enum db_result result = db_second_factor_find(admin->db, &request->session.person, &factor);
    sodium_memzero(factor.secret, sizeof(factor.secret));
    if (result != DB_OK && result != DB_NONE) {
        change_problem(request, admin->db, result);
        return;
    }
    request_set(request, 200,
                json_pack("{so si}", "confirmed", field_format_time(factor.confirmed),
                          "recovery_codes", (int)factor.recovery_codes));
}

void reauthenticate(struct admin *admin, struct request *request)
{
    (void)admin;
    if (problem_wrong(request) == 0)
        people_ask(request, request->login, field_text(request->json, "password", ""), NULL);
}

static enum db_result result_of(struct request *request, enum second_factor_result result)
{
    switch (result) {
    case SECOND_FACTOR_GOOD: return DB_OK;
    case SECOND_FACTOR_BUSY: return DB_BUSY;
    case SECOND_FACTOR_BROKEN: return DB_BROKEN;
    case SECOND_FACTOR_TAKEN:
        problem_set(request, PROBLEM_EXISTS, "there is a second factor; remove it first");
        return DB_OK;
    case SECOND_FACTOR_NONE:
        problem_set(request, PROBLEM_NO_CODE, "there is no second factor, or none was begun");
        return DB_OK;
    default:
        problem_set(request, PROBLEM_WRONG_CODE, "this code is wrong; look at the clocks");
        request->answer.noted = true;
        return DB_OK;
    }
}

/* It is shown once. */
enum db_result second_factor_enrol(struct db *db, struct request *request)
{
    uint8_t secret[TOTP_SECRET_SIZE];
    char text[TOTP_SECRET_TEXT_SIZE];

    enum db_result result = find_session(db, request);
    if (result == DB_OK)
        result = result_of(request, second_factor_begin(db, &request->session.person, secret));
    if (result == DB_OK && !request->answer.problem) {
        char *link = totp_link(secret, request->admin->child.conf.hostname, request->login);
        totp_secret_text(secret, text);
        request_set(request, 201, json_pack("{ss ss}", "secret", text, "link", link));
        sodium_memzero(link, strlen(link));
        free(link);
        sodium_memzero(text, sizeof(text));
    }
    sodium_memzero(secret, sizeof(secret));
    return result;
}

static void answer_with_codes(struct request *request, second_factor_recovery_codes codes)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < SECOND_FACTOR_RECOVERY_CODES; i++)
        json_array_append_new(list, json_string(codes[i]));
    request_set(request, 201, json_pack("{so}", "recovery_codes", list));
}

/* Sessions that were begun without it end. */
enum db_result second_factor_prove(struct db *db, struct request *request)
{
    const struct db_person *person = &request->session.person;
    second_factor_recovery_codes codes;

    enum db_result result =
        result_of(request, second_factor_confirm(db, person, field_text(request->json, "code", ""),
                                                 (uint64_t)time(NULL), codes));
    if (result == DB_OK && !request->answer.problem) {
        result = own_sessions_end(db, request);
        answer_with_codes(request, codes);
    }
    sodium_memzero(codes, sizeof(codes));
    return result;
}

static enum db_result check_code(struct db *db, struct request *request)
{
    enum db_result result = find_session(db, request);

    if (result == DB_OK)
        result = people_check_code(db, request, &request->session.person, request->login,
                                   field_text(request->json, "code", ""));
    return result;
}

enum db_result second_factor_renew_codes(struct db *db, struct request *request)
{
    second_factor_recovery_codes codes;

    enum db_result result = check_code(db, request);
    if (result != DB_OK || request->answer.problem)
        return result;
    result = result_of(request, second_factor_renew(db, &request->session.person, codes));
    if (result == DB_OK && !request->answer.problem)
        answer_with_codes(request, codes);
    sodium_memzero(codes, sizeof(codes));
    return result;
}

enum db_result second_factor_end(struct db *db, struct request *request)
{
    enum db_result result = check_code(db, request);

    if (result != DB_OK || request->answer.problem)
        return result;
    return result_of(request, second_factor_remove(db, &request->session.person));
}
