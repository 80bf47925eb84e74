#include "cli/remoteaccounts.h"

#include "cli/remoteserver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/listing.h"
#include "lib/jsontexts.h"
#include "lib/xalloc.h"

/* --- the handle */

void server_close(struct db *db)
{
    struct server *server = server_of(db);

    if (server == NULL)
        return;
    for (unsigned i = 0; i < LIST__MAX; i++)
        json_decref(server->lists[i].page);
    for (size_t i = 0; i < server->mailbox_count; i++)
        free(server->mailboxes[i].address);
    free(server->mailboxes);
    remote_close(server->remote);
    free(server);
}

struct db *remoteaccounts_open(const struct remote_options *options)
{
    struct remote *remote = remote_open(options);

    if (remote == NULL)
        return NULL;
    struct server *server = xcalloc(1, sizeof(*server));
    server->remote = remote;
    return (struct db *)server;
}

void server_limit_get(const struct db *db, struct db_limit *limit_r)
{
    *limit_r = *remote_limit(server_remote(db));
}

enum db_result server_transaction_begin(struct db *db)
{
    remote_begin(server_remote(db));
    return DB_OK;
}

enum db_result server_transaction_commit(struct db *db)
{
    return remote_commit(server_remote(db));
}

void server_transaction_rollback(struct db *db)
{
    remote_rollback(server_remote(db));
}

/* --- plans */

/* What differs of two plans. */
static json_t *plan_members(const struct db_plan *plan, const struct db_plan *before)
{
    const struct {
        const char *name;
        uint64_t value, before;
    } numbers[] = {
        {"addresses", plan->addresses, before->addresses},
        {"domains", plan->domains, before->domains},
        {"quota_bytes", plan->mailbox_octets, before->mailbox_octets},
        {"quota_messages", plan->mailbox_messages, before->mailbox_messages},
        {"message_bytes", plan->message_octets, before->message_octets},
        {"retention_days", plan->retention_days, before->retention_days},
        {"poll_seconds", plan->poll_seconds, before->poll_seconds},
    };
    json_t *body = json_object();

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (numbers[i].value != numbers[i].before)
            json_object_set_new(body, numbers[i].name, json_integer((json_int_t)numbers[i].value));
    if (plan->protection != before->protection)
        json_object_set_new(body, "protection", json_string(db_protection_name(plan->protection)));
    if (plan->sending != before->sending)
        json_object_set_new(body, "sending", json_boolean(plan->sending));
    if (plan->catch_all != before->catch_all)
        json_object_set_new(body, "catch_all", json_boolean(plan->catch_all));
    return body;
}

enum db_result server_plan_find(struct db *db, const char *name, struct db_plan *plan_r)
{
    json_t *object;
    enum db_result result =
        remote_get(server_remote(db), remote_path("/plans/", name, ""), &object);

    if (result != DB_OK)
        return result;
    result = server_understood(db, remoteanswer_plan(object, plan_r));
    server_of(db)->plan = *plan_r;
    json_decref(object);
    return result;
}

enum db_result server_plan_next(struct db *db, struct db_plan *plan)
{
    SERVER_NEXT(db, LIST_PLANS, plan->name[0] == '\0' ? server_list_path("/plans", 0) : NULL,
                remoteanswer_plan, plan);
}

enum db_result server_plan_add(struct db *db, const struct db_plan *plan)
{
    const struct db_plan nothing = {.addresses = UINT32_MAX,
                                    .domains = UINT32_MAX,
                                    .mailbox_octets = UINT64_MAX,
                                    .mailbox_messages = UINT64_MAX,
                                    .message_octets = UINT64_MAX,
                                    .retention_days = UINT32_MAX,
                                    .poll_seconds = UINT32_MAX,
                                    .protection = (enum db_protection)UINT32_MAX,
                                    .sending = !plan->sending,
                                    .catch_all = !plan->catch_all};
    json_t *body = plan_members(plan, &nothing);

    json_object_set_new(body, "name", json_string(plan->name));
    return server_change(db, "POST", remote_path("/plans", "", ""), body);
}

enum db_result server_plan_set(struct db *db, const struct db_plan *plan)
{
    return server_change(db, "PATCH", remote_path("/plans/", plan->name, ""),
                         plan_members(plan, &server_of(db)->plan));
}

/* --- customers */

static enum db_result patch_customer(struct db *db, uint64_t customer, json_t *body)
{
    return server_change(db, "PATCH", server_customer_path(customer, ""), body);
}

enum db_result server_customer_find(struct db *db, const char *name, struct db_customer *customer_r)
{
    SERVER_NEXT(db, LIST_NAMED, remote_path("/customers?name=", name, ""), remoteanswer_customer,
                customer_r);
}

enum db_result server_customer_get(struct db *db, uint64_t customer, struct db_customer *customer_r)
{
    SERVER_FIND(db, server_customer_path(customer, ""), remoteanswer_customer, customer_r);
}

enum db_result server_customer_next(struct db *db, struct db_customer *customer)
{
    SERVER_NEXT(db, LIST_CUSTOMERS,
                customer->name[0] == '\0' ? server_list_path("/customers", 0) : NULL,
                remoteanswer_customer, customer);
}

/* The id is not known before the commit, and nobody needs it. */
enum db_result server_customer_add(struct db *db, const char *name, const char *plan,
                                   uint64_t *id_r)
{
    *id_r = 0;
    return server_change(db, "POST", remote_path("/customers", "", ""),
                         json_pack("{ss ss}", "name", name, "plan", plan));
}

enum db_result server_customer_set_plan(struct db *db, uint64_t customer, const char *plan,
                                        enum db_overplan over)
{
    return patch_customer(db, customer,
                          json_pack("{ss ss}", "plan", plan, "over_plan", db_overplan_name(over)));
}

enum db_result server_customer_set_name(struct db *db, uint64_t customer, const char *name)
{
    return patch_customer(db, customer, json_pack("{ss}", "name", name));
}

enum db_result server_customer_set_language(struct db *db, uint64_t customer,
                                            enum language language)
{
    return patch_customer(db, customer, json_pack("{ss}", "language", language_code(language)));
}

enum db_result server_customer_set_suspended(struct db *db, uint64_t customer, bool suspended,
                                             enum db_suspended_mail mail)
{
    return patch_customer(db, customer, server_suspension(suspended, mail));
}

enum db_result server_customer_remove(struct db *db, uint64_t customer, uint64_t keep)
{
    return server_take_away(db, server_customer_path(customer, ""), keep);
}

enum db_result server_overplan_preview(struct db *db, uint64_t customer, const char *plan,
                                       struct db_overplan_preview *preview_r,
                                       void (*over)(void *context, const char *address),
                                       void *context)
{
    struct db_plan found;
    json_t *object;
    const json_t *address;
    size_t i;

    enum db_result result = server_plan_find(db, plan, &found);
    if (result == DB_OK)
        result = remote_get(
            server_remote(db),
            remote_path_add(server_customer_path(customer, "/plan-preview?plan="), plan), &object);
    if (result != DB_OK)
        return result;
    result = server_understood(db, remoteanswer_preview(object, preview_r));
    json_array_foreach(json_object_get(object, "over"), i, address)
    {
        if (json_is_string(address))
            over(context, json_string_value(address));
    }
    json_decref(object);
    return result;
}

/* --- domains */

static char *domain_path(const char *name)
{
    return remote_path("/domains/", name, "");
}

enum db_result server_domain_find(struct db *db, const char *name, struct db_domain *domain_r)
{
    SERVER_FIND(db, domain_path(name), remoteanswer_domain, domain_r);
}

enum db_result server_domain_next(struct db *db, uint64_t customer, struct db_domain *domain)
{
    SERVER_NEXT(db, LIST_DOMAINS,
                domain->name[0] == '\0' ? server_list_path("/domains", customer) : NULL,
                remoteanswer_domain, domain);
}

enum db_result server_operator_domain_next(struct db *db, struct db_domain *domain)
{
    return server_domain_next(db, 0, domain);
}

enum db_result server_domain_add(struct db *db, uint64_t customer, const char *name)
{
    return server_change(db, "POST", remote_path("/domains", "", ""),
                         json_pack("{ss sI}", "domain", name, "customer", (json_int_t)customer));
}

enum db_result server_domain_remove(struct db *db, uint64_t customer, const char *name,
                                    uint64_t keep)
{
    (void)customer;
    return server_take_away(db, domain_path(name), keep);
}

enum db_result server_domain_set_catch_all(struct db *db, uint64_t customer, const char *name,
                                           const struct address *address)
{
    (void)customer;
    return server_change(db, "PATCH", domain_path(name),
                         json_pack("{ss?}", "catch_all", address != NULL ? address->text : NULL));
}

/* --- API keys */

/* An owner's is named by the address alone. */
enum db_result server_api_key_draw(struct db *db, const struct db_api_key *key,
                                   char text_r[APIKEY_TEXT_SIZE], uint64_t *id_r)
{
    json_t *body = json_pack("{ss ss so si so}", "name", key->name, "role", db_role_name(key->role),
                             "networks", jsontexts_split(key->networks, ' '), "rate",
                             (int)key->rate, "expires", listing_time(key->expires));
    json_t *answer;

    if (key->mailbox != 0)
        json_object_set_new(body, "address",
                            json_string(server_mailbox_address(server_of(db), key->mailbox)));
    else if (key->customer != 0)
        json_object_set_new(body, "customer", json_integer((json_int_t)key->customer));
    if (key->domain[0] != '\0')
        json_object_set_new(body, "domain", json_string(key->domain));
    enum db_result result =
        remote_change(server_remote(db), "POST", remote_path("/api-keys", "", ""), body, &answer);
    if (result == DB_OK)
        result = server_understood(db, remoteanswer_text(answer, "key", text_r, APIKEY_TEXT_SIZE));
    if (id_r != NULL)
        *id_r = (uint64_t)json_integer_value(json_object_get(answer, "id"));
    json_decref(answer);
    return result;
}

enum db_result server_api_key_next(struct db *db, uint64_t customer, struct db_api_key *key)
{
    const json_t *item;
    enum db_result result = server_next(
        db, LIST_API_KEYS, key->id == 0 ? server_list_path("/api-keys", customer) : NULL, &item);

    if (result == DB_OK)
        result = server_understood(db, remoteanswer_api_key(item, key));
    server_of(db)->key = *key;
    return result;
}

enum db_result server_operator_api_key_next(struct db *db, struct db_api_key *key)
{
    return server_api_key_next(db, 0, key);
}

enum db_result server_api_key_set(struct db *db, const struct db_api_key *key)
{
    const struct db_api_key *before = &server_of(db)->key;
    json_t *body = json_object();

    if (strcmp(key->name, before->name) != 0)
        json_object_set_new(body, "name", json_string(key->name));
    if (key->role != before->role)
        json_object_set_new(body, "role", json_string(db_role_name(key->role)));
    if (strcmp(key->networks, before->networks) != 0)
        json_object_set_new(body, "networks", jsontexts_split(key->networks, ' '));
    if (key->rate != before->rate)
        json_object_set_new(body, "rate", json_integer(key->rate));
    if (key->expires != before->expires)
        json_object_set_new(body, "expires", listing_time(key->expires));
    return server_change(db, "PATCH", remote_path_id("/api-keys/", key->id, ""), body);
}

enum db_result server_api_key_remove(struct db *db, uint64_t customer, uint64_t id)
{
    (void)customer;
    return server_change(db, "DELETE", remote_path_id("/api-keys/", id, ""), NULL);
}

/* --- issuers of tokens */

enum db_result server_issuer_add(struct db *db, uint64_t customer, const struct db_issuer *issuer)
{
    return server_change(db, "POST", server_customer_path(customer, "/token-issuers"),
                         json_pack("{ss ss ss}", "issuer", issuer->issuer, "audience",
                                   issuer->audience, "claim", issuer->claim));
}

enum db_result server_issuer_next(struct db *db, uint64_t customer, struct db_issuer *issuer)
{
    SERVER_NEXT(db, LIST_ISSUERS,
                issuer->issuer[0] == '\0'
                    ? server_customer_path(customer, "/token-issuers?" SERVER_PAGE)
                    : NULL,
                remoteanswer_issuer, issuer);
}

enum db_result server_issuer_remove(struct db *db, uint64_t customer, const char *issuer)
{
    return server_change(db, "DELETE",
                         remote_path_add(server_customer_path(customer, "/token-issuers/"), issuer),
                         NULL);
}

/* --- networks that a customer trusts */

enum db_result server_trusted_add(struct db *db, uint64_t customer, const char *network)
{
    return server_change(db, "POST", server_customer_path(customer, "/trusted-networks"),
                         json_pack("{ss}", "network", network));
}

enum db_result server_trusted_next(struct db *db, uint64_t customer, struct db_trusted *trusted)
{
    SERVER_NEXT(db, LIST_TRUSTED,
                trusted->network[0] == '\0'
                    ? server_customer_path(customer, "/trusted-networks?" SERVER_PAGE)
                    : NULL,
                remoteanswer_trusted, trusted);
}

enum db_result server_trusted_remove(struct db *db, uint64_t customer, const char *network)
{
    return server_change(
        db, "DELETE",
        remote_path_add(server_customer_path(customer, "/trusted-networks/"), network), NULL);
}

/* --- what was removed */

/* Where it begins is not always the beginning. */
enum db_result server_removal_next(struct db *db, uint64_t customer, struct db_removal *removal)
{
    const json_t *item;
    uint64_t after = removal->id;
    struct pages *pages = &server_of(db)->lists[LIST_REMOVALS];
    char *path = after == 0 || (pages->page == NULL && !pages->ended)
                     ? server_list_path("/removed", customer)
                     : NULL;
    enum db_result result;

    do {
        result = server_next(db, LIST_REMOVALS, path, &item);
        path = NULL;
        if (result == DB_OK)
            result = server_understood(db, remoteanswer_removal(item, removal));
    } while (result == DB_OK && removal->id <= after);
    return result;
}

enum db_result server_operator_removal_next(struct db *db, struct db_removal *removal)
{
    return server_removal_next(db, 0, removal);
}

enum db_result server_removal_find(struct db *db, uint64_t customer, enum db_removal_kind kind,
                                   const char *name, struct db_removal *removal_r)
{
    struct db_removal removal = {0};
    bool found = false;
    enum db_result result;

    while ((result = server_removal_next(db, customer, &removal)) == DB_OK)
        if (removal.kind == kind && strcmp(removal.name, name) == 0) {
            *removal_r = removal;
            found = true;
        }
    return result == DB_NONE && found ? DB_OK : result;
}

enum db_result server_removal_restore(struct db *db, const struct db_removal *removal)
{
    return server_change(db, "POST", remote_path_id("/removed/", removal->id, "/restore"),
                         json_object());
}

enum db_result server_removal_purge(struct db *db, const struct db_removal *removal)
{
    return server_change(db, "DELETE", remote_path_id("/removed/", removal->id, ""), NULL);
}

/* --- events and the audit */

enum db_result server_event_next(struct db *db, uint64_t customer, struct db_event *event)
{
    SERVER_NEXT(db, LIST_EVENTS, event->id == 0 ? server_list_path("/events", customer) : NULL,
                remoteanswer_event, event);
}

enum db_result server_operator_event_next(struct db *db, struct db_event *event)
{
    return server_event_next(db, 0, event);
}

enum db_result server_event_mailbox_next(struct db *db, uint64_t customer, uint64_t mailbox,
                                         struct db_event *event)
{
    char *path = NULL;
    (void)customer;

    if (event->id == 0)
        path = remote_path("/addresses/", server_mailbox_address(server_of(db), mailbox),
                           "/events?" SERVER_PAGE);
    SERVER_NEXT(db, LIST_EVENTS, path, remoteanswer_event, event);
}

/* --- statistics */

static char *days_path(unsigned days)
{
    return xasprintf("/statistics?days=%u", days);
}

enum db_result server_statistics_customer(struct db *db, uint64_t customer, unsigned days,
                                          struct db_customer_statistics *statistics_r,
                                          const char **trouble_r)
{
    char *after = days_path(days);
    char *path = server_customer_path(customer, after);

    free(after);
    *trouble_r = NULL;
    SERVER_FIND(db, path, remoteanswer_customer_statistics, statistics_r);
}

enum db_result server_operator_statistics(struct db *db, unsigned days,
                                          struct db_host_statistics *statistics_r)
{
    char *after = days_path(days);
    char *path = remote_path("", "", after);

    free(after);
    SERVER_FIND(db, path, remoteanswer_host_statistics, statistics_r);
}

/* Nobody waits for what authd has counted: admin writes it within a second. */
void server_events_flush(void)
{
}

enum db_result server_audit_next(struct db *db, uint64_t customer, struct db_audit *audit)
{
    SERVER_NEXT(db, LIST_AUDIT, audit->id == 0 ? server_list_path("/audit", customer) : NULL,
                remoteanswer_audit, audit);
}

enum db_result server_operator_audit_next(struct db *db, struct db_audit *audit)
{
    return server_audit_next(db, 0, audit);
}

int server_audit_export(struct db *db, uint64_t customer)
{
    char *path = customer != 0 ? remote_path_id("/audit/export?customer=", customer, "")
                               : remote_path("/audit/export", "", "");
    enum db_result result = remote_copy(server_remote(db), "GET", path, NULL, stdout);

    return result == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}

/* --- webhooks */

static char *webhook_path(uint64_t id, const char *after)
{
    return remote_path_id("/webhooks/", id, after);
}

enum db_result server_webhook_next(struct db *db, uint64_t customer, struct db_webhook *webhook)
{
    SERVER_NEXT(db, LIST_WEBHOOKS,
                webhook->id == 0 ? server_list_path("/webhooks", customer) : NULL,
                remoteanswer_webhook, webhook);
}

enum db_result server_operator_webhook_next(struct db *db, struct db_webhook *webhook)
{
    return server_webhook_next(db, 0, webhook);
}

enum db_result server_operator_webhook_find(struct db *db, uint64_t id,
                                            struct db_webhook *webhook_r)
{
    SERVER_FIND(db, webhook_path(id, ""), remoteanswer_webhook, webhook_r);
}

enum db_result server_webhook_remove(struct db *db, uint64_t customer, uint64_t id)
{
    (void)customer;
    return server_change(db, "DELETE", webhook_path(id, ""), NULL);
}

/* The API names the first event that is told again, and db/ the one before it. */
enum db_result server_webhook_replay(struct db *db, uint64_t customer, uint64_t id, uint64_t cursor)
{
    (void)customer;
    return server_change(db, "POST", webhook_path(id, "/replay"),
                         json_pack("{sI}", "cursor", (json_int_t)cursor + 1));
}

enum db_result server_webhook_set(struct db *db, uint64_t customer, uint64_t id, const char *url,
                                  const char *events, const bool *enabled)
{
    json_t *body = json_object();
    (void)customer;

    if (url != NULL)
        json_object_set_new(body, "url", json_string(url));
    if (events != NULL)
        json_object_set_new(body, "events", jsontexts_split(events, ','));
    if (enabled != NULL)
        json_object_set_new(body, "enabled", json_boolean(*enabled));
    return server_change(db, "PATCH", webhook_path(id, ""), body);
}

static enum db_result draw_secret(struct db *db, char *path, json_t *body, uint64_t *id_r,
                                  char secret_r[SIGNATURE_TEXT_SIZE])
{
    json_t *answer;
    enum db_result result = remote_change(server_remote(db), "POST", path, body, &answer);

    if (result == DB_OK)
        result = server_understood(
            db, remoteanswer_text(answer, "secret", secret_r, SIGNATURE_TEXT_SIZE));
    *id_r = (uint64_t)json_integer_value(json_object_get(answer, "id"));
    json_decref(answer);
    return result;
}

enum db_result server_webhook_draw(struct db *db, uint64_t customer, const char *url,
                                   const char *events, uint64_t *id_r,
                                   char secret_r[SIGNATURE_TEXT_SIZE])
{
    json_t *body = json_pack("{ss so}", "url", url, "events", jsontexts_split(events, ','));

    if (customer != 0)
        json_object_set_new(body, "customer", json_integer((json_int_t)customer));
    return draw_secret(db, remote_path("/webhooks", "", ""), body, id_r, secret_r);
}

enum db_result server_webhook_redraw(struct db *db, uint64_t customer, uint64_t id,
                                     uint64_t overlap, char secret_r[SIGNATURE_TEXT_SIZE])
{
    (void)customer;
    return draw_secret(db, webhook_path(id, "/secret"),
                       json_pack("{sI}", "overlap_seconds", (json_int_t)overlap), &id, secret_r);
}

/* --- what is delayed because of wrong passwords */

/* "mailbox-from-network" is words here. */
static json_t *delayed_words(const json_t *item)
{
    char words[40];

    snprintf(words, sizeof(words), "%s",
             json_is_string(json_object_get(item, "delayed"))
                 ? json_string_value(json_object_get(item, "delayed"))
                 : "");
    for (char *c = words; *c != '\0'; c++)
        if (*c == '-')
            *c = ' ';
    return json_string(words);
}

static json_t *customer_names(struct db *db, const json_t *customers)
{
    struct db_customer customer;
    json_t *names = NULL;
    const json_t *id;
    size_t i;

    json_array_foreach(customers, i, id)
    {
        if (server_customer_get(db, (uint64_t)json_integer_value(id), &customer) != DB_OK)
            continue;
        json_t *longer = names == NULL
                             ? json_string(customer.name)
                             : json_sprintf("%s, %s", json_string_value(names), customer.name);
        json_decref(names);
        names = longer;
    }
    return names != NULL ? names : json_null();
}

int server_blocks_find(struct db *db, uint64_t customer, json_t *rows)
{
    static const char *const members[] = {"address", "network"};
    char *path = server_list_path("/blocks", customer);
    const json_t *item;
    enum db_result result;

    while ((result = server_next(db, LIST_BLOCKS, path, &item)) == DB_OK) {
        json_t *row = json_pack("{so}", "delayed", delayed_words(item));
        path = NULL;
        for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
            json_object_set(row, members[i], json_object_get(item, members[i]));
        json_object_set_new(row, "customer",
                            customer_names(db, json_object_get(item, "customers")));
        json_object_set(row, "wrong", json_object_get(item, "wrong"));
        json_object_set(row, "seconds", json_object_get(item, "seconds"));
        json_array_append_new(rows, row);
    }
    return result == DB_NONE ? EXIT_DONE : EXIT_REFUSED;
}

static enum db_result lift(struct db *db, const struct blocks_place *place, json_t **answer_r)
{
    struct remote *remote = server_remote(db);

    if (place->found.mailbox != 0)
        return remote_change(remote, "DELETE",
                             remote_path("/addresses/", place->address.text, "/blocks"), NULL,
                             answer_r);
    if (place->user.id != 0)
        return remote_change(remote, "DELETE",
                             remote_path_id("/admin-users/", place->user.id, "/blocks"), NULL,
                             answer_r);
    return remote_change(remote, "POST", remote_path("/blocks/lift", "", ""),
                         json_pack("{ss}", "network", place->text), answer_r);
}

int server_blocks_lift(struct db *db, const struct blocks_place *place, uint64_t *count_r)
{
    json_t *answer = NULL;
    enum db_result result = lift(db, place, &answer);

    *count_r = (uint64_t)json_integer_value(json_object_get(answer, "lifted"));
    json_decref(answer);
    if (result == DB_NONE)
        return refuse("who it is about was removed just now");
    return result == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}

/* --- the table */

const struct accounts accounts_remote = {
#define ACCOUNTS_ROW(name) .name = server_##name,
    ACCOUNTS_CALLS(ACCOUNTS_ROW)
#undef ACCOUNTS_ROW
        .password_keep = server_password_keep,
    .mailbox_add = server_mailbox_add,
    .mailbox_set_login = server_mailbox_set_login,
    .mailbox_invite = server_mailbox_invite,
    .admin_user_draw = server_admin_user_draw,
    .admin_user_invite = server_admin_user_invite,
    .admin_user_change = server_admin_user_change,
    .admin_user_set_login = server_admin_user_set_login,
    .webhook_draw = server_webhook_draw,
    .webhook_redraw = server_webhook_redraw,
    .usage_ask = server_usage_ask,
    .statistics_customer = server_statistics_customer,
    .session_find = server_session_find,
    .session_end = server_session_end,
    .blocks_find = server_blocks_find,
    .blocks_lift = server_blocks_lift,
    .cards_print = server_cards_print,
    .import_add = server_import_add,
    .import_keep = password_keep_elsewhere,
    .job_upload = server_job_upload,
    .job_percent = server_job_percent,
    .job_warn = server_job_warn,
    .job_take_table = server_job_take_table,
    .job_take_cards = server_job_take_cards,
    .audit_export = server_audit_export,
    .events_flush = server_events_flush,
    .remote = true,
};
