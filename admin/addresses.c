#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "admin/addresses.h"
#include "admin/admin.h"
#include "admin/apppasswords.h"
#include "admin/domains.h"
#include "admin/object.h"
#include "admin/page.h"
#include "admin/problem.h"
#include "admin/suspension.h"
#include "db/alias.h"
#include "db/apppassword.h"
#include "db/domain.h"
#include "lib/invitation.h"
#include "lib/language.h"
#include "lib/passwordrule.h"
#include "lib/search.h"
#include "lib/xalloc.h"

static const char *const languages[] = {LANGUAGE_CODES, NULL};

static const char *const kinds[] = {"mailbox", "alias", NULL};
const struct parameter address_parameters[] = {
    CUSTOMER_PARAMETER,
    {.name = "domain", .about = "those of this one"},
    {.name = "kind", .words = kinds, .about = "those of this kind"},
    {.name = "suspended",
     .type = FIELD_BOOL,
     .about = "whether those that are suspended themselves, or those that are not"},
    {.name = "over_plan",
     .type = FIELD_BOOL,
     .about = "whether those that are suspended because the plan allows fewer, or the others"},
    {.name = "invited",
     .type = FIELD_BOOL,
     .about = "whether those with an open invitation, or those without"},
    MATCH_PARAMETER("part of the address, also as people write it, or of the owner's name"),
    {0}};

#define NAME                                                                                       \
    {                                                                                              \
        .name = "name", .type = FIELD_TEXT, .most = DB_MAILBOX_NAME_MAX,                           \
        .about = "the owner's, as people write it"                                                 \
    }
#define ADDRESS                                                                                    \
    {                                                                                              \
        .name = "address", .type = FIELD_TEXT, .required = true, .least = 3, .most = 1000,         \
        .about = "as people write it"                                                              \
    }
#define INVITE                                                                                     \
    {                                                                                              \
        .name = "invite", .type = FIELD_BOOL, .preset = "false",                                   \
        .about = "whether to draw a token with which the owner sets the password"                  \
    }
#define TARGETS                                                                                    \
    {                                                                                              \
        .name = "targets", .type = FIELD_TEXTS, .least = 1, .most = DB_ROUTE_MAX,                  \
        .about = "of an alias: the addresses of the mailboxes that it leads to"                    \
    }
#define PASSWORD                                                                                   \
    {                                                                                              \
        .name = "password", .type = FIELD_TEXT, .least = 1, .most = PASSWORD_MOST,                 \
        .about = "8 characters at least, UTF-8 without control characters"                         \
    }
#define HASH                                                                                       \
    {                                                                                              \
        .name = "hash", .type = FIELD_TEXT, .least = 1, .most = STOREDHASH_MAX,                    \
        .about = "in place of a password: what another server has kept of it, like "               \
                 "{SHA512-CRYPT}$6$..."                                                            \
    }

#define SETTINGS                                                                                   \
    {.name = "quota_bytes",                                                                        \
     .type = FIELD_NUMBER,                                                                         \
     .nullable = true,                                                                             \
     .least = 1,                                                                                   \
     .most = INT64_MAX,                                                                            \
     .about = "what the mailbox holds, as much as the plan allows at most; null: the plan's"},     \
        {.name = "language",                                                                       \
         .type = FIELD_TEXT,                                                                       \
         .nullable = true,                                                                         \
         .words = languages,                                                                       \
         .about = "in which the owner is written to; null: the customer's"},                       \
        {.name = "pop3",                                                                           \
         .type = FIELD_BOOL,                                                                       \
         .preset = "true",                                                                         \
         .about = "whether mail can be fetched"},                                                  \
    {                                                                                              \
        .name = "smtp", .type = FIELD_BOOL, .preset = "true",                                      \
        .about = "whether mail can be sent, if the plan says so"                                   \
    }

/* clang-format off */
const struct field no_fields[] = {{0}};
const struct field address_fields[] = {NAME, TARGETS,
    {.name = "suspended", .type = FIELD_BOOL, .about = "of a mailbox: whether nobody may log in"},
    SUSPENSION_MAIL, SETTINGS,
    {0}};
const struct field password_fields[] = {PASSWORD, HASH, {0}};
const struct field address_new_fields[] = {ADDRESS, NAME, TARGETS, PASSWORD, HASH, SETTINGS, INVITE,
    {.name = "app_password", .type = FIELD_TEXT, .least = 1, .most = DB_APP_PASSWORD_NAME_MAX,
     .about = "the name of an app password to draw"},
    {0}};
/* lib/row.h reads and checks them. */
const struct field address_row_fields[] = {ADDRESS,
    {.name = "customer", .type = FIELD_NUMBER, .least = 1, .most = INT64_MAX,
     .about = "whose it is, by its id; the address's domain says the same"},
    NAME, TARGETS, HASH, SETTINGS, INVITE,
    {.name = "generate", .type = FIELD_BOOL, .preset = "false",
     .about = "whether to draw a password"},
    {0}};
const struct field address_directory_fields[] = {ADDRESS, NAME, TARGETS, HASH, SETTINGS, INVITE, {0}};
/* clang-format on */

/* What is read from a body before it is written. */
struct given {
    struct hashing hashing;
    char page_url[CONF_TEXT_MAX];  /* of the configuration, which only the event loop reads */
    char hash[STOREDHASH_MAX + 1]; /* of another server; empty: none */
    unsigned count;
    struct address targets[];
};

/* --- as JSON */

static enum db_result targets_object(struct db *db, const struct db_mailaddress *found,
                                     json_t **targets_r)
{
    struct address target = {0};
    struct address address;
    enum db_result result;
    const char *error;

    *targets_r = json_null();
    if (found->mailbox != 0)
        return DB_OK;
    *targets_r = json_array();
    if (address_parse(&address, found->text, strlen(found->text), &error) < 0)
        return DB_BROKEN;
    while ((result = db_alias_target_next(db, found->customer, &address, &target)) == DB_OK)
        json_array_append_new(*targets_r, json_string(target.text));
    return result == DB_NONE ? DB_OK : result;
}

static json_t *address_object(const struct db_mailaddress *found, json_t *targets)
{
    const struct db_mailbox_settings *settings = &found->settings;

    return json_pack(
        "{ss sI ss ss ss sb ss? sb sb so so so ss? sb sb so}", "address", found->text, "customer",
        (json_int_t)found->customer, "customer_name", found->customer_name, "kind",
        found->mailbox == 0 ? "alias" : "mailbox", "name", found->name, "suspended",
        (int)found->suspended, "suspended_mail", db_suspended_mail_name(settings->suspended_mail),
        "over_plan", (int)found->over_plan, "password", (int)found->password, "invited_until",
        field_format_time(found->invited_until), "targets", targets, "quota_bytes",
        settings->octets != 0 ? json_integer((json_int_t)settings->octets) : json_null(),
        "language", settings->language_given ? language_code(settings->language) : NULL, "pop3",
        (int)settings->pop3, "smtp", (int)settings->smtp, "created",
        field_format_time(found->created));
}

static enum db_result read_object(struct db *db, const struct db_mailaddress *found,
                                  json_t **object_r)
{
    json_t *targets;
    enum db_result result = targets_object(db, found, &targets);

    *object_r = address_object(found, targets);
    if (result != DB_OK)
        json_decref(*object_r);
    return result;
}

enum db_result address_show(struct db *db, struct request *request, struct json_t **object_r)
{
    enum db_result result =
        request->found_now ? DB_OK : db_mailaddress_find(db, &request->address, &request->found);

    return result == DB_OK ? read_object(db, &request->found, object_r) : result;
}

/* --- what a body says */

static struct given *given_new(struct request *request)
{
    size_t targets = json_array_size(json_object_get(request->json, "targets"));

    if (targets > DB_ROUTE_MAX)
        targets = DB_ROUTE_MAX;
    request->own_size = sizeof(struct given) + targets * sizeof(struct address);
    return request->own = xcalloc(1, request->own_size);
}

static void check_name(struct request *request)
{
    const char *name = field_text(request->json, "name", NULL);
    const char *error;

    if (name != NULL && db_mailbox_name_check(name, &error) < 0)
        problem_member(request, "/name", "text", "%s", error);
}

static void take_targets(struct request *request, struct given *given)
{
    const json_t *targets = json_object_get(request->json, "targets");
    const json_t *target;
    const char *error;
    char pointer[32];
    size_t i;

    if (!json_is_array(targets))
        return;
    json_array_foreach(targets, i, target)
    {
        const char *text = json_string_value(target);
        if (text == NULL || i >= DB_ROUTE_MAX)
            return;
        snprintf(pointer, sizeof(pointer), "/targets/%zu", i);
        if (address_parse(&given->targets[i], text, strlen(text), &error) < 0)
            problem_member(request, pointer, "address", "%s", error);
        given->count++;
    }
}

static void take_password(const struct admin *admin, struct request *request, struct given *given)
{
    const struct passwordrule_owner owner = {.address = request->address.text,
                                             .customer = request->found.customer_name,
                                             .hostname = admin->child.conf.hostname};
    const char *password = field_text(request->json, "password", NULL);
    const char *hash = field_text(request->json, "hash", NULL);
    const char *error = NULL;

    if (hash != NULL && storedhash_import(given->hash, hash, &error) < 0)
        problem_member(request, "/hash", "hash", "%s", error);
    if (password != NULL && hash != NULL)
        problem_member(request, "/hash", "both", "give a password or a hash");
    if (password == NULL)
        return;
    struct password *kept = &given->hashing.password;
    error = passwordrule_check(password, strlen(password), &owner);
    if (error != NULL) {
        problem_member(request, "/password", "password", "%s", error);
        return;
    }
    kept->length = strlen(password);
    memcpy(kept->text, password, kept->length + 1);
    given->hashing.address = request->address.text;
    request->hashing = &given->hashing;
}

static void exclude(struct request *request, const char *one, const char *other)
{
    char pointer[32];

    snprintf(pointer, sizeof(pointer), "/%s", other);
    if (field_given(request->json, one) && field_given(request->json, other))
        problem_member(request, pointer, "both", "it does not go together with \"%s\"", one);
}

static void take_page_url(const struct admin *admin, struct given *given)
{
    snprintf(given->page_url, sizeof(given->page_url), "%s", admin->child.conf.page_url);
}

/* Both are shown once. */
static void add_invitation(struct json_t *object, const struct request *request,
                           const struct invitation *invitation)
{
    const char *page_url = ((const struct given *)request->own)->page_url;
    char link[INVITATION_LINK_SIZE] = "";

    if (page_url[0] != '\0')
        invitation_link(link, page_url, invitation);
    json_object_set_new(object, "invitation", json_string(invitation->token));
    json_object_set_new(object, "invitation_link", field_format_text(link));
    sodium_memzero(link, sizeof(link));
}

void address_check_new(struct admin *admin, struct request *request)
{
    static const char *const of_mailbox[] = {"name",     "password",     "hash",
                                             "invite",   "app_password", "quota_bytes",
                                             "language", "pop3",         "smtp"};
    const char *text = field_text(request->json, "address", NULL);
    const char *app = field_text(request->json, "app_password", NULL);
    struct given *given = given_new(request);
    const char *error;

    if (text != NULL && address_parse(&request->address, text, strlen(text), &error) < 0)
        problem_member(request, "/address", "address", "%s", error);
    if (app != NULL && db_app_password_name_check(app, &error) < 0)
        problem_member(request, "/app_password", "text", "%s", error);
    for (size_t i = 0; i < sizeof(of_mailbox) / sizeof(of_mailbox[0]); i++)
        exclude(request, "targets", of_mailbox[i]);
    take_page_url(admin, given);
    exclude(request, "password", "invite");
    exclude(request, "hash", "invite");
    check_name(request);
    take_targets(request, given);
    take_password(admin, request, given);
}

void address_check(struct admin *admin, struct request *request)
{
    static const char *const of_mailbox[] = {
        "name", "suspended", "suspended_mail", "quota_bytes", "language", "pop3", "smtp"};
    bool alias = request->found.mailbox == 0;
    char pointer[32];
    (void)admin;

    for (size_t i = 0; i < sizeof(of_mailbox) / sizeof(of_mailbox[0]) && alias; i++) {
        snprintf(pointer, sizeof(pointer), "/%s", of_mailbox[i]);
        if (field_given(request->json, of_mailbox[i]))
            problem_member(request, pointer, "alias", "an alias has no mailbox");
    }
    if (!alias && field_given(request->json, "targets"))
        problem_member(request, "/targets", "mailbox", "a mailbox leads nowhere else");
    check_name(request);
    take_targets(request, given_new(request));
}

/* --- changes */

/* One that another customer has must not be told from one that nobody has. */
static enum db_result find_place(struct db *db, struct request *request)
{
    struct db_domain domain;
    enum db_result result = db_domain_find(db, request->address.domain, &domain);

    if (result == DB_OK && !object_reaches(&request->key, domain.customer, domain.name, 0))
        result = DB_NONE;
    if (result == DB_NONE) {
        problem_member(request, "/address", "no-domain", "there is no such domain");
        (void)problem_wrong(request);
    }
    request->customer = domain.customer;
    return result;
}

/* A key of one domain names no mailbox beyond it: the answer would tell whether there is one. */
static bool reaches_targets(const struct request *request, const struct given *given)
{
    for (unsigned i = 0; i < given->count; i++)
        if (!object_reaches(&request->key, request->customer, given->targets[i].domain, 0))
            return false;
    return true;
}

static enum db_result no_target(struct request *request, enum db_result result)
{
    if (result == DB_NONE) {
        problem_member(request, "/targets", "no-mailbox",
                       "each is the address of a mailbox of the same customer");
        (void)problem_wrong(request);
    }
    return result;
}

static bool take_settings(const json_t *body, struct db_mailbox_settings *settings)
{
    const struct db_mailbox_settings before = *settings;
    const char *language = field_text(body, "language", NULL);

    if (field_given(body, "quota_bytes"))
        settings->octets = (uint64_t)field_number(body, "quota_bytes", 0);
    if (field_given(body, "language"))
        settings->language_given =
            language != NULL && language_parse(language, &settings->language) == 0;
    settings->pop3 = field_bool(body, "pop3", before.pop3);
    settings->smtp = field_bool(body, "smtp", before.smtp);
    return settings->octets != before.octets || settings->pop3 != before.pop3 ||
           settings->smtp != before.smtp || settings->language_given != before.language_given ||
           (settings->language_given && settings->language != before.language);
}

static enum db_result set_settings(struct db *db, const struct request *request,
                                   const struct db_mailbox_settings *now)
{
    struct db_mailbox_settings settings = *now;

    return take_settings(request->json, &settings)
               ? db_mailaddress_set_settings(db, request->customer, &request->address, &settings)
               : DB_OK;
}

static enum db_result set_suspended(struct db *db, struct request *request,
                                    const struct db_mailaddress *now)
{
    struct suspension state = {now->suspended, now->settings.suspended_mail};

    if (now->mailbox == 0)
        return DB_OK;
    switch (suspension_take(request, &state)) {
    case SUSPENSION_SAME: return DB_OK;
    case SUSPENSION_CHANGED:
        return db_mailaddress_set_suspended(db, request->customer, &request->address,
                                            state.suspended, state.mail);
    default: return DB_NONE;
    }
}

/* In the answer alone: these are shown once. */
static enum db_result answer_with_secrets(struct db *db, struct request *request,
                                          const char *app_password,
                                          const struct invitation *invitation)
{
    struct json_t *object = NULL;
    char etag[REQUEST_ETAG_SIZE];
    enum db_result result = address_show(db, request, &object);

    if (result != DB_OK)
        return result;
    object_etag(etag, object); /* as GET shows it */
    if (app_password != NULL)
        json_object_set_new(object, "app_password", json_string(app_password));
    if (invitation != NULL)
        add_invitation(object, request, invitation);
    request_set(request, 201, object);
    memcpy(request->answer.etag, etag, sizeof(etag));
    return DB_OK;
}

static enum db_result add_mailbox(struct db *db, struct request *request)
{
    const struct given *given = request->own;
    const char *app = field_text(request->json, "app_password", NULL);
    bool invite = field_bool(request->json, "invite", false);
    char text[APPPASSWORD_TEXT_SIZE];
    struct invitation invitation;
    const struct db_mailbox_settings as_new = {.pop3 = true, .smtp = true};
    struct db_mailaddress_new new = {.address = request->address,
                                     .name = field_text(request->json, "name", "")};

    if (request->hashing != NULL) {
        new.hash = given->hashing.kept.hash;
        new.scram = given->hashing.kept.scram;
    } else if (given->hash[0] != '\0') {
        new.hash = given->hash;
    } else if (invite) {
        invitation_draw(&invitation);
        new.invitation = invitation.digest;
        new.invited_until = invitation.until;
    }
    enum db_result result =
        db_mailaddress_add(db, request->customer, &new, &request->found.mailbox);
    if (result == DB_OK)
        result = set_settings(db, request, &as_new);
    if (result == DB_OK && app != NULL)
        result = app_password_draw(db, request, app, text);
    if (result == DB_OK && (app != NULL || invite))
        result = answer_with_secrets(db, request, app != NULL ? text : NULL,
                                     invite ? &invitation : NULL);
    sodium_memzero(text, sizeof(text));
    sodium_memzero(&invitation, sizeof(invitation));
    return result;
}

enum db_result address_add_new(struct db *db, struct request *request)
{
    const struct given *given = request->own;
    enum db_result result = find_place(db, request);

    if (result != DB_OK)
        return result;
    request_set_location(request, "/api/v1/addresses/", request->address.text);
    if (given->count == 0)
        return add_mailbox(db, request);
    if (!reaches_targets(request, given))
        return no_target(request, DB_NONE);
    return no_target(request, db_alias_add(db, request->customer, &request->address, given->targets,
                                           given->count));
}

enum db_result address_change(struct db *db, struct request *request)
{
    const struct given *given = request->own;
    struct db_mailaddress *now = &request->found;
    uint64_t customer = request->customer;
    enum db_result result = db_mailaddress_find(db, &request->address, now);

    if (result == DB_OK && now->customer != customer)
        result = DB_NONE;
    if (result != DB_OK)
        return result;
    const char *name = field_text(request->json, "name", now->name);
    if (strcmp(name, now->name) != 0)
        result = db_mailaddress_set_name(db, customer, &request->address, name);
    if (result == DB_OK)
        result = set_suspended(db, request, now);
    if (result == DB_OK && now->mailbox != 0)
        result = set_settings(db, request, &now->settings);
    if (result != DB_OK || given->count == 0)
        return result;
    if (!reaches_targets(request, given))
        return no_target(request, DB_NONE);
    return no_target(request,
                     db_alias_set(db, customer, &request->address, given->targets, given->count));
}

enum db_result address_remove(struct db *db, struct request *request)
{
    return db_mailaddress_remove(db, request->customer, &request->address, request->keep);
}

/* --- passwords */

void password_check_new(struct admin *admin, struct request *request)
{
    if (request->by_session && request->key.role == DB_ROLE_OWNER) {
        problem_set(request, PROBLEM_ROLE,
                    "who is logged in changes the own password at /self/password");
        return;
    }
    take_password(admin, request, given_new(request));
    if (!field_given(request->json, "password") && !field_given(request->json, "hash"))
        problem_member(request, "/password", "missing", "give a password or a hash");
}

void password_draw(struct admin *admin, struct request *request)
{
    struct given *given = given_new(request);
    (void)admin;

    password_generate(&given->hashing.password);
    given->hashing.address = request->address.text;
    request->hashing = &given->hashing;
}

enum db_result password_set(struct db *db, struct request *request)
{
    const struct given *given = request->own;
    const struct password_kept *kept = &given->hashing.kept;
    bool hashed = request->hashing != NULL;
    enum db_result result =
        db_mailaddress_set_hash(db, request->customer, &request->address,
                                hashed ? kept->hash : given->hash, hashed ? kept->scram : NULL);

    /* A POST has drawn it. */
    if (result == DB_OK && strcmp(request->method, "POST") == 0)
        request_set(request, 200, json_pack("{ss}", "password", given->hashing.password.text));
    return result;
}

enum db_result password_remove(struct db *db, struct request *request)
{
    return db_mailaddress_set_hash(db, request->customer, &request->address, NULL, NULL);
}

void invitation_prepare(struct admin *admin, struct request *request)
{
    take_page_url(admin, given_new(request));
}

enum db_result invitation_add(struct db *db, struct request *request)
{
    struct invitation invitation;

    invitation_draw(&invitation);
    enum db_result result = db_mailaddress_invite(db, request->customer, &request->address,
                                                  invitation.digest, invitation.until);
    if (result == DB_OK) {
        struct json_t *object =
            json_pack("{so}", "invited_until", field_format_time(invitation.until));
        add_invitation(object, request, &invitation);
        request_set(request, 201, object);
    }
    sodium_memzero(&invitation, sizeof(invitation));
    return result;
}

/* --- the list */

struct row {
    uint64_t customer;
    char domain[ADDRESS_DOMAIN_MAX + 1]; /* only these; empty: all */
    int kind;                            /* 'a', 'm', 0 */
    enum page_choice suspended, over_plan, invited;
    struct search match;
    struct db_mailaddress found;
};

static enum db_result next(struct page *page, void *context)
{
    struct db *db = page->request->admin->db;
    struct row *row = context;
    struct db_mailaddress *found = &row->found;

    enum db_result result = row->customer != 0 ? db_mailaddress_next(db, row->customer, found)
                                               : db_operator_mailaddress_next(db, found);
    /* Those of a domain stand together, and the listing began before the first. */
    if (result == DB_OK && row->domain[0] != '\0' &&
        strcmp(strrchr(found->text, '@') + 1, row->domain) != 0)
        return DB_NONE;
    return result;
}

static bool fits(const struct row *row)
{
    const struct db_mailaddress *found = &row->found;

    return (row->kind == 0 || row->kind == (found->mailbox == 0 ? 'a' : 'm')) &&
           page_fits(row->suspended, found->suspended) &&
           page_fits(row->over_plan, found->over_plan) &&
           page_fits(row->invited, found->invited_until != 0) &&
           (search_fits_address(&row->match, found->text) || search_fits(&row->match, found->name));
}

static json_t *item(const struct page *page, void *context)
{
    struct db *db = page->request->admin->db;
    struct row *row = context;
    json_t *object = NULL;

    if (!fits(row))
        return NULL;
    if (!object_reaches(&page->request->key, row->found.customer, strrchr(row->found.text, '@') + 1,
                        row->found.mailbox))
        return NULL;
    return read_object(db, &row->found, &object) == DB_OK ? object : NULL;
}

static void name(const void *row, char name_r[PAGE_NAME_MAX + 1])
{
    snprintf(name_r, PAGE_NAME_MAX + 1, "%s", ((const struct row *)row)->found.text);
}

/* Of another customer's domain, there is none; a key of one domain lists that. */
static int take_domain(struct request *request, struct row *row)
{
    char *text = page_parameter(request, "domain");
    const char *error;
    int result = 0;

    if (text != NULL && address_parse_domain(row->domain, text, strlen(text), &error) < 0) {
        problem_set(request, PROBLEM_QUERY, "\"domain\": %s", error);
        result = -1;
    }
    if (text == NULL)
        snprintf(row->domain, sizeof(row->domain), "%s", request->key.domain);
    free(text);
    return request->answer.status != 0 ? -1 : result;
}

static int take_choices(struct request *request, struct row *row)
{
    char *text = page_parameter(request, "kind");

    row->kind = text == NULL ? 0 : text[0];
    free(text);
    row->suspended = page_choice(request, "suspended");
    row->over_plan = page_choice(request, "over_plan");
    row->invited = page_choice(request, "invited");
    return request->answer.status != 0 ? -1 : 0;
}

void addresses_list(struct admin *admin, struct request *request)
{
    static const struct listing listing = {next, item, name};
    struct row row = {0};
    struct page page;
    (void)admin;

    if (list_customer(request, &row.customer) < 0 || take_domain(request, &row) < 0 ||
        take_choices(request, &row) < 0 || page_match(request, &row.match) < 0 ||
        page_begin(&page, request) < 0)
        return;
    /* "@domain" comes before every address of the domain. */
    if (page.after[0] == '\0' && row.domain[0] != '\0')
        snprintf(row.found.text, sizeof(row.found.text), "@%s", row.domain);
    else
        page_after(&page, row.found.text, sizeof(row.found.text));
    page_fill(&page, &listing, &row);
}
