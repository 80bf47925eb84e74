#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "admin/admin.h"
#include "admin/adminusers.h"
#include "admin/domains.h"
#include "admin/page.h"
#include "admin/problem.h"
#include "admin/request.h"
#include "db/adminuser.h"
#include "db/secondfactor.h"
#include "lib/invitation.h"
#include "lib/passwordrule.h"
#include "lib/xalloc.h"

static const char *const roles[] = {"operator", "operator-read", "admin",
                                    "helpdesk", "customer-read", NULL};

#define NAME                                                                                       \
    {                                                                                              \
        .name = "name", .type = FIELD_TEXT, .most = DB_MAILBOX_NAME_MAX,                           \
        .about = "as people write it"                                                              \
    }
#define ROLE_OF(needed)                                                                            \
    {                                                                                              \
        .name = "role", .type = FIELD_TEXT, .required = (needed), .words = roles,                  \
        .about = "what this person may do"                                                         \
    }

const struct field admin_user_new_fields[] = {
    {.name = "login",
     .type = FIELD_TEXT,
     .required = true,
     .least = 1,
     .most = ADMINLOGIN_NAME_MAX,
     .about = "letters, digits, \".\", \"-\" and \"_\"; of a customer's people, \"@\" and the "
              "customer's id are added"},
    NAME,
    ROLE_OF(true),
    {.name = "customer",
     .type = FIELD_NUMBER,
     .least = 1,
     .most = INT64_MAX,
     .about = "whose, by its id; a customer's own people need not say it"},
    {0}};
const struct field admin_user_fields[] = {
    NAME,
    ROLE_OF(false),
    {.name = "suspended", .type = FIELD_BOOL, .about = "whether this person may not log in"},
    {0}};

const struct field admin_user_password_fields[] = {
    {.name = "password",
     .type = FIELD_TEXT,
     .required = true,
     .least = 1,
     .most = PASSWORD_MOST,
     .about = "8 characters at least, and none that a stranger tries first"},
    {0}};

/* What is kept of a request until it is written. */
struct given {
    struct hashing hashing;
    char page_url[CONF_TEXT_MAX];
};

static json_t *user_object(const struct db_admin_user *user)
{
    return json_pack(
        "{sI ss ss ss so so sb sb sb so so}", "id", (json_int_t)user->id, "login", user->login,
        "name", user->name, "role", db_role_name(user->role), "customer",
        user->customer != 0 ? json_integer((json_int_t)user->customer) : json_null(),
        "customer_name", field_format_text(user->customer_name), "suspended", (int)user->suspended,
        "password", (int)user->password, "second_factor", (int)user->second_factor, "invited_until",
        field_format_time(user->invited_until), "created", field_format_time(user->created));
}

enum db_result admin_user_show(struct db *db, struct request *request, struct json_t **object_r)
{
    struct db_admin_user user = {0};
    enum db_result result = db_admin_user_get(db, request->user.customer, request->user.id, &user);

    if (result == DB_OK)
        *object_r = user_object(&user);
    return result;
}

/* --- what a body says */

static void take_name(struct request *request)
{
    const char *name = field_text(request->json, "name", NULL);
    const char *error;

    if (name == NULL)
        return;
    if (db_mailbox_name_check(name, &error) < 0)
        problem_member(request, "/name", "text", "%s", error);
    else
        snprintf(request->user.name, sizeof(request->user.name), "%s", name);
}

/* Nobody makes or becomes somebody who reaches further than himself. */
static void take_role(struct request *request, enum db_role role, uint64_t customer)
{
    if (request->key.customer != 0 && db_role_is_operator(role))
        problem_member(request, "/role", "role", "a customer's people are no operators");
    else if (!db_admin_user_role_fits(role, customer))
        problem_member(request, "/customer", "role",
                       "an operator has no customer, and each other one has");
    request->user.role = role;
}

/* Before an invitation: texts of the configuration, which only the event loop reads. */
static struct given *given_new(const struct admin *admin, struct request *request)
{
    request->own_size = sizeof(struct given);
    struct given *given = request->own = xcalloc(1, sizeof(*given));

    snprintf(given->page_url, sizeof(given->page_url), "%s", admin->child.conf.page_url);
    return given;
}

void admin_user_check_new(struct admin *admin, struct request *request)
{
    const struct db_api_key *own = &request->key;
    struct db_admin_user *user = &request->user;
    const char *login = field_text(request->json, "login", NULL);
    const char *error;
    enum db_role role;

    (void)given_new(admin, request);
    if (login != NULL && adminlogin_parse_name(user->login, login, &error) < 0)
        problem_member(request, "/login", "login", "%s", error);
    take_name(request);
    user->customer = (uint64_t)field_number(request->json, "customer", (int64_t)own->customer);
    if (own->customer != 0 && user->customer != own->customer)
        problem_member(request, "/customer", "no-customer", "there is no such customer");
    else if (db_role_parse(field_text(request->json, "role", ""), &role) == 0)
        take_role(request, role, user->customer);
}

static bool is_self(const struct request *request)
{
    return request->by_session && request->session.person.admin_user == request->user.id;
}

static void refuse_self(struct request *request)
{
    problem_set(request, PROBLEM_SELF,
                "nobody does this to himself; see /self, or have somebody else do it");
}

void admin_user_check(struct admin *admin, struct request *request)
{
    struct db_admin_user *user = &request->user;
    enum db_role role;
    (void)admin;

    take_name(request);
    if (db_role_parse(field_text(request->json, "role", ""), &role) == 0 && role != user->role) {
        take_role(request, role, user->customer);
        if (is_self(request))
            refuse_self(request);
    }
    bool suspended = field_bool(request->json, "suspended", user->suspended);
    if (suspended != user->suspended && is_self(request))
        refuse_self(request);
}

/* --- changes */

/* The token is shown once. */
static enum db_result answer_invited(struct db *db, struct request *request,
                                     const struct invitation *invitation)
{
    const struct given *given = request->own;
    char link[INVITATION_LINK_SIZE] = "";
    struct json_t *object = NULL;
    enum db_result result = admin_user_show(db, request, &object);

    if (result != DB_OK)
        return result;
    if (given->page_url[0] != '\0')
        invitation_link(link, given->page_url, invitation);
    json_object_set_new(object, "invitation", json_string(invitation->token));
    json_object_set_new(object, "invitation_link", field_format_text(link));
    sodium_memzero(link, sizeof(link));
    request_set(request, 201, object);
    return DB_OK;
}

enum db_result admin_user_add(struct db *db, struct request *request)
{
    char name[ADMINLOGIN_NAME_MAX + 1];
    struct invitation invitation;
    char id[24];

    /* Where this is tried once more, the login is that of the first try. */
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(request->user.login, "@"),
             request->user.login);
    invitation_draw(&invitation);
    enum db_result result =
        db_admin_user_add(db, &request->user, name, invitation.digest, invitation.until);
    if (result == DB_NONE) {
        problem_member(request, "/customer", "no-customer", "there is no such customer");
        (void)problem_wrong(request);
    }
    if (result == DB_OK) {
        snprintf(id, sizeof(id), "%" PRIu64, request->user.id);
        request_set_location(request, "/api/v1/admin-users/", id);
        result = answer_invited(db, request, &invitation);
    }
    sodium_memzero(&invitation, sizeof(invitation));
    return result;
}

enum db_result admin_user_change(struct db *db, struct request *request)
{
    struct db_admin_user now = {0};
    const json_t *body = request->json;
    enum db_result result = db_admin_user_get(db, request->user.customer, request->user.id, &now);

    if (result != DB_OK)
        return result;
    struct db_admin_user user = now;
    snprintf(user.name, sizeof(user.name), "%s", field_text(body, "name", now.name));
    (void)db_role_parse(field_text(body, "role", db_role_name(now.role)), &user.role);
    user.suspended = field_bool(body, "suspended", now.suspended);
    bool same = strcmp(user.name, now.name) == 0 && user.role == now.role &&
                user.suspended == now.suspended;
    return same ? DB_OK : db_admin_user_set(db, &user);
}

enum db_result admin_user_remove(struct db *db, struct request *request)
{
    if (is_self(request)) {
        refuse_self(request);
        return DB_NONE;
    }
    return db_admin_user_remove(db, request->user.customer, request->user.id);
}

void admin_user_prepare_invitation(struct admin *admin, struct request *request)
{
    (void)given_new(admin, request);
}

/* A password that is there stays good until another one has been chosen. */
enum db_result admin_user_invite(struct db *db, struct request *request)
{
    struct invitation invitation;

    if (is_self(request)) {
        refuse_self(request);
        return DB_NONE;
    }
    invitation_draw(&invitation);
    enum db_result result = db_admin_user_invite(db, request->user.customer, request->user.id,
                                                 invitation.digest, invitation.until);
    if (result == DB_OK)
        result = answer_invited(db, request, &invitation);
    sodium_memzero(&invitation, sizeof(invitation));
    return result;
}

/* --- passwords of others */

/* The operator's alone, as who is at the machine: a customer's admin invites, and chooses for
 * nobody. */
void admin_user_check_password(struct admin *admin, struct request *request)
{
    const struct db_admin_user *user = &request->user;
    const struct passwordrule_owner owner = {.address = user->login,
                                             .customer = user->customer_name,
                                             .hostname = admin->child.conf.hostname};
    const char *password = field_text(request->json, "password", NULL);
    const char *error;

    if (is_self(request))
        refuse_self(request);
    if (password == NULL || request->answer.status != 0)
        return;
    error = passwordrule_check(password, strlen(password), &owner);
    if (error != NULL) {
        problem_member(request, "/password", "password", "%s", error);
        return;
    }
    struct given *given = given_new(admin, request);
    given->hashing.password.length = strlen(password);
    memcpy(given->hashing.password.text, password, given->hashing.password.length + 1);
    given->hashing.address = user->login;
    request->hashing = &given->hashing;
}

enum db_result admin_user_choose_password(struct db *db, struct request *request)
{
    const struct given *given = request->own;

    return db_admin_user_set_hash(db, request->user.customer, request->user.id,
                                  given->hashing.kept.hash);
}

/* --- second factors of others */

/*
 * Who may reset a password and the second factor too may be that person. So one's own goes only
 * with a code of it (/self), and an admin's is taken away by the operator.
 */
enum db_result admin_user_end_second_factor(struct db *db, struct request *request)
{
    const struct db_admin_user *user = &request->user;
    const struct db_person person = {.customer = user->customer, .admin_user = user->id};

    if (is_self(request)) {
        refuse_self(request);
        return DB_NONE;
    }
    if (request->key.customer != 0 && user->role == DB_ROLE_ADMIN) {
        problem_set(request, PROBLEM_ROLE, "an admin's second factor is the operator's to reset");
        return DB_NONE;
    }
    return db_second_factor_take_away(db, &person);
}

enum db_result address_end_second_factor(struct db *db, struct request *request)
{
    const struct db_person person = {.customer = request->customer,
                                     .mailbox = request->found.mailbox};

    return db_second_factor_take_away(db, &person);
}

/* --- the list */

const struct parameter admin_user_parameters[] = {
    CUSTOMER_PARAMETER, {.name = "login", .about = "the one with exactly this login"}, {0}};

struct row {
    uint64_t customer;
    char *login; /* NULL: all */
    struct db_admin_user user;
};

/* The one of that login, for whom it is there. */
static enum db_result find(struct db *db, struct row *row)
{
    char login[ADMINLOGIN_MAX + 1];

    if (row->user.id != 0 || adminlogin_parse(login, row->login) < 0)
        return DB_NONE;
    enum db_result result = db_admin_user_find(db, login, &row->user);
    return result == DB_OK && row->customer != 0 && row->user.customer != row->customer ? DB_NONE
                                                                                        : result;
}

static enum db_result next(struct page *page, void *context)
{
    struct db *db = page->request->admin->db;
    struct row *row = context;

    if (row->login != NULL)
        return find(db, row);
    return row->customer != 0 ? db_admin_user_next(db, row->customer, &row->user)
                              : db_operator_admin_user_next(db, &row->user);
}

static json_t *item(const struct page *page, void *context)
{
    (void)page;
    return user_object(&((const struct row *)context)->user);
}

static void name(const void *row, char name_r[PAGE_NAME_MAX + 1])
{
    snprintf(name_r, PAGE_NAME_MAX + 1, "%" PRIu64, ((const struct row *)row)->user.id);
}

void admin_users_list(struct admin *admin, struct request *request)
{
    static const struct listing listing = {next, item, name};
    struct row row = {.login = page_parameter(request, "login")};
    struct page page;
    (void)admin;

    if (request->answer.status == 0 && list_customer(request, &row.customer) == 0 &&
        page_begin(&page, request) == 0) {
        row.user.id = page_after_number(&page);
        page_fill(&page, &listing, &row);
    }
    free(row.login);
}
