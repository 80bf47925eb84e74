#include "cli/remoteanswer.h"

#include <stdlib.h>
#include <string.h>

#include "cli/moment.h"

/* One object, and whether all that was looked for in it was there. */
struct reading {
    const json_t *object;
    bool wrong;
};

static const json_t *take(struct reading *reading, const char *name)
{
    const json_t *value = json_object_get(reading->object, name);

    if (value == NULL)
        reading->wrong = true;
    return value;
}

/* Empty for null. */
static void take_text(struct reading *reading, const char *name, char *text_r, size_t size)
{
    const json_t *value = take(reading, name);

    text_r[0] = '\0';
    if (json_is_null(value))
        return;
    if (json_is_string(value) && json_string_length(value) < size)
        memcpy(text_r, json_string_value(value), json_string_length(value) + 1);
    else
        reading->wrong = true;
}

/* 0 for null. */
static uint64_t take_number(struct reading *reading, const char *name)
{
    const json_t *value = take(reading, name);

    if (json_is_null(value))
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        reading->wrong = true;
        return 0;
    }
    return (uint64_t)json_integer_value(value);
}

static unsigned take_count(struct reading *reading, const char *name)
{
    uint64_t number = take_number(reading, name);

    if (number > UINT32_MAX)
        reading->wrong = true;
    return (unsigned)number;
}

static bool take_bool(struct reading *reading, const char *name)
{
    const json_t *value = take(reading, name);

    if (!json_is_boolean(value))
        reading->wrong = true;
    return json_is_true(value);
}

/* 0 for null. */
static uint64_t take_time(struct reading *reading, const char *name)
{
    char text[sizeof("2026-11-22T08:00:00Z") + 16];
    uint64_t time = 0;

    take_text(reading, name, text, sizeof(text));
    if (text[0] != '\0' && moment_parse(text, 0, &time) < 0)
        reading->wrong = true;
    return time;
}

/* A word that `parse` knows; null is `none`. */
#define TAKE_WORD(reading, name, parse, value_r)                                                   \
    do {                                                                                           \
        char word[40];                                                                             \
        take_text(reading, name, word, sizeof(word));                                              \
        if (word[0] != '\0' && parse(word, value_r) < 0)                                           \
            (reading)->wrong = true;                                                               \
    } while (0)

#define TAKE_TEXT(reading, name, text_r) take_text(reading, name, text_r, sizeof(text_r))

static int end(const struct reading *reading)
{
    return reading->wrong ? -1 : 0;
}

int remoteanswer_text(const json_t *object, const char *name, char *text_r, size_t size)
{
    struct reading reading = {.object = object};

    take_text(&reading, name, text_r, size);
    return end(&reading);
}

int remoteanswer_time(const json_t *object, const char *name, uint64_t *time_r)
{
    struct reading reading = {.object = object};

    *time_r = take_time(&reading, name);
    return end(&reading);
}

int remoteanswer_plan(const json_t *object, struct db_plan *plan_r)
{
    struct reading reading = {.object = object};

    *plan_r = (struct db_plan){.addresses = take_count(&reading, "addresses"),
                               .domains = take_count(&reading, "domains"),
                               .mailbox_octets = take_number(&reading, "quota_bytes"),
                               .mailbox_messages = take_number(&reading, "quota_messages"),
                               .message_octets = take_number(&reading, "message_bytes"),
                               .retention_days = take_count(&reading, "retention_days"),
                               .poll_seconds = take_count(&reading, "poll_seconds"),
                               .sending = take_bool(&reading, "sending"),
                               .catch_all = take_bool(&reading, "catch_all")};
    TAKE_TEXT(&reading, "name", plan_r->name);
    TAKE_WORD(&reading, "protection", db_protection_parse, &plan_r->protection);
    return end(&reading);
}

int remoteanswer_customer(const json_t *object, struct db_customer *customer_r)
{
    struct reading reading = {.object = object};

    *customer_r = (struct db_customer){.id = take_number(&reading, "id"),
                                       .suspended = take_bool(&reading, "suspended"),
                                       .created = take_time(&reading, "created"),
                                       .domains = take_count(&reading, "domains"),
                                       .addresses = take_count(&reading, "addresses")};
    TAKE_TEXT(&reading, "name", customer_r->name);
    TAKE_TEXT(&reading, "plan", customer_r->plan);
    TAKE_WORD(&reading, "language", language_parse, &customer_r->language);
    TAKE_WORD(&reading, "over_plan", db_overplan_parse, &customer_r->over_plan);
    TAKE_WORD(&reading, "suspended_mail", db_suspended_mail_parse, &customer_r->suspended_mail);
    return end(&reading);
}

int remoteanswer_domain(const json_t *object, struct db_domain *domain_r)
{
    struct reading reading = {.object = object};

    *domain_r = (struct db_domain){.customer = take_number(&reading, "customer"),
                                   .addresses = take_count(&reading, "addresses"),
                                   .created = take_time(&reading, "created")};
    TAKE_TEXT(&reading, "customer_name", domain_r->customer_name);
    TAKE_TEXT(&reading, "domain", domain_r->name);
    TAKE_TEXT(&reading, "catch_all", domain_r->catch_all);
    return end(&reading);
}

static void take_settings(struct reading *reading, struct db_mailbox_settings *settings_r)
{
    settings_r->octets = take_number(reading, "quota_bytes");
    settings_r->language_given = !json_is_null(take(reading, "language"));
    TAKE_WORD(reading, "language", language_parse, &settings_r->language);
    settings_r->pop3 = take_bool(reading, "pop3");
    settings_r->smtp = take_bool(reading, "smtp");
    TAKE_WORD(reading, "suspended_mail", db_suspended_mail_parse, &settings_r->suspended_mail);
}

int remoteanswer_address(const json_t *object, struct db_mailaddress *address_r)
{
    struct reading reading = {.object = object};
    const json_t *targets = take(&reading, "targets");

    *address_r = (struct db_mailaddress){.customer = take_number(&reading, "customer"),
                                         .mailbox = json_is_array(targets) ? 0 : 1,
                                         .suspended = take_bool(&reading, "suspended"),
                                         .password = take_bool(&reading, "password"),
                                         .invited_until = take_time(&reading, "invited_until"),
                                         .targets = (unsigned)json_array_size(targets),
                                         .over_plan = take_bool(&reading, "over_plan"),
                                         .created = take_time(&reading, "created")};
    if (!json_is_array(targets) && !json_is_null(targets))
        reading.wrong = true;
    TAKE_TEXT(&reading, "address", address_r->text);
    TAKE_TEXT(&reading, "customer_name", address_r->customer_name);
    TAKE_TEXT(&reading, "name", address_r->name);
    take_settings(&reading, &address_r->settings);
    return end(&reading);
}

int remoteanswer_app_password(const json_t *object, struct db_app_password *password_r)
{
    struct reading reading = {.object = object};

    *password_r = (struct db_app_password){.pop3 = take_bool(&reading, "pop3"),
                                           .smtp = take_bool(&reading, "smtp"),
                                           .expires = take_time(&reading, "expires"),
                                           .created = take_time(&reading, "created"),
                                           .used = take_time(&reading, "used")};
    TAKE_TEXT(&reading, "name", password_r->name);
    TAKE_TEXT(&reading, "used_address", password_r->used_address);
    return end(&reading);
}

/* A list of texts, each behind the one before and a separator. */
static void take_texts(struct reading *reading, const char *name, char separator, char *text_r,
                       size_t size)
{
    const json_t *list = take(reading, name);
    const json_t *value;
    size_t length = 0;
    size_t i;

    text_r[0] = '\0';
    if (!json_is_array(list))
        reading->wrong = true;
    json_array_foreach(list, i, value)
    {
        const char *text = json_string_value(value);
        size_t more = text != NULL ? strlen(text) : 0;
        if (more == 0 || length + more + 2 > size) {
            reading->wrong = true;
            return;
        }
        if (length > 0)
            text_r[length++] = separator;
        memcpy(text_r + length, text, more + 1);
        length += more;
    }
}

int remoteanswer_api_key(const json_t *object, struct db_api_key *key_r)
{
    struct reading reading = {.object = object};

    *key_r = (struct db_api_key){.id = take_number(&reading, "id"),
                                 .customer = take_number(&reading, "customer"),
                                 .rate = take_count(&reading, "rate"),
                                 .expires = take_time(&reading, "expires"),
                                 .created = take_time(&reading, "created"),
                                 .used = take_time(&reading, "used")};
    TAKE_TEXT(&reading, "name", key_r->name);
    TAKE_WORD(&reading, "role", db_role_parse, &key_r->role);
    TAKE_TEXT(&reading, "customer_name", key_r->customer_name);
    TAKE_TEXT(&reading, "domain", key_r->domain);
    TAKE_TEXT(&reading, "address", key_r->address);
    TAKE_TEXT(&reading, "used_address", key_r->used_address);
    take_texts(&reading, "networks", ' ', key_r->networks, sizeof(key_r->networks));
    key_r->mailbox = key_r->address[0] != '\0';
    return end(&reading);
}

int remoteanswer_issuer(const json_t *object, struct db_issuer *issuer_r)
{
    struct reading reading = {.object = object};

    *issuer_r = (struct db_issuer){.created = take_time(&reading, "created"),
                                   .fetched = take_time(&reading, "fetched")};
    TAKE_TEXT(&reading, "issuer", issuer_r->issuer);
    TAKE_TEXT(&reading, "audience", issuer_r->audience);
    TAKE_TEXT(&reading, "claim", issuer_r->claim);
    TAKE_TEXT(&reading, "failure", issuer_r->failure);
    return end(&reading);
}

static int parse_removal_kind(const char *word, enum db_removal_kind *kind_r)
{
    for (unsigned kind = DB_REMOVAL_CUSTOMER; kind <= DB_REMOVAL_ADDRESS; kind++)
        if (strcmp(word, db_removal_kind_name((enum db_removal_kind)kind)) == 0) {
            *kind_r = (enum db_removal_kind)kind;
            return 0;
        }
    return -1;
}

int remoteanswer_removal(const json_t *object, struct db_removal *removal_r)
{
    struct reading reading = {.object = object};

    *removal_r = (struct db_removal){.id = take_number(&reading, "id"),
                                     .customer = take_number(&reading, "customer"),
                                     .time = take_time(&reading, "removed"),
                                     .purge = take_time(&reading, "purge")};
    TAKE_TEXT(&reading, "name", removal_r->name);
    TAKE_TEXT(&reading, "customer_name", removal_r->customer_name);
    TAKE_WORD(&reading, "kind", parse_removal_kind, &removal_r->kind);
    return end(&reading);
}

static int parse_event_kind(const char *word, enum db_event_kind *kind_r)
{
    for (unsigned kind = 0; kind < DB_EVENT__MAX; kind++)
        if (strcmp(word, db_event_kind_name((enum db_event_kind)kind)) == 0) {
            *kind_r = (enum db_event_kind)kind;
            return 0;
        }
    return -1;
}

int remoteanswer_event(const json_t *object, struct db_event *event_r)
{
    struct reading reading = {.object = object};

    *event_r = (struct db_event){.id = take_number(&reading, "id"),
                                 .time = take_time(&reading, "time"),
                                 .count = take_number(&reading, "count"),
                                 .customer = take_number(&reading, "customer")};
    TAKE_WORD(&reading, "kind", parse_event_kind, &event_r->kind);
    TAKE_TEXT(&reading, "address", event_r->address);
    TAKE_TEXT(&reading, "remote", event_r->remote);
    TAKE_TEXT(&reading, "protocol", event_r->protocol);
    TAKE_TEXT(&reading, "mechanism", event_r->mechanism);
    TAKE_TEXT(&reading, "credential", event_r->credential);
    TAKE_TEXT(&reading, "reason", event_r->reason);
    TAKE_TEXT(&reading, "customer_name", event_r->customer_name);
    return end(&reading);
}

/* In place of another row, whose changes are freed. */
int remoteanswer_audit(const json_t *object, struct db_audit *audit_r)
{
    struct reading reading = {.object = object};

    db_audit_free(audit_r);
    audit_r->id = take_number(&reading, "id");
    audit_r->number = take_number(&reading, "number");
    audit_r->time = take_time(&reading, "time");
    audit_r->customer = take_number(&reading, "customer");
    TAKE_TEXT(&reading, "customer_name", audit_r->customer_name);
    TAKE_TEXT(&reading, "actor", audit_r->actor);
    TAKE_TEXT(&reading, "remote", audit_r->remote);
    TAKE_TEXT(&reading, "request", audit_r->request);
    TAKE_TEXT(&reading, "action", audit_r->action);
    TAKE_TEXT(&reading, "object", audit_r->object);
    audit_r->changes = json_dumps(take(&reading, "changes"), JSON_COMPACT);
    if (audit_r->changes == NULL)
        reading.wrong = true;
    return end(&reading);
}

int remoteanswer_trusted(const json_t *object, struct db_trusted *trusted_r)
{
    struct reading reading = {.object = object};

    *trusted_r = (struct db_trusted){.created = take_time(&reading, "created")};
    TAKE_TEXT(&reading, "network", trusted_r->network);
    return end(&reading);
}

int remoteanswer_webhook(const json_t *object, struct db_webhook *webhook_r)
{
    struct reading reading = {.object = object};

    *webhook_r = (struct db_webhook){.id = take_number(&reading, "id"),
                                     .customer = take_number(&reading, "customer"),
                                     .created = take_time(&reading, "created"),
                                     .cursor = take_number(&reading, "cursor"),
                                     .failing = take_time(&reading, "failing"),
                                     .failures = take_count(&reading, "failures"),
                                     .next = take_time(&reading, "next_try"),
                                     .disabled = take_time(&reading, "disabled"),
                                     .answered = take_time(&reading, "answered"),
                                     .status = take_count(&reading, "status"),
                                     .old_until = take_time(&reading, "old_secret_until")};
    TAKE_TEXT(&reading, "customer_name", webhook_r->customer_name);
    TAKE_TEXT(&reading, "url", webhook_r->url);
    TAKE_TEXT(&reading, "failure", webhook_r->failure);
    take_texts(&reading, "events", ',', webhook_r->events, sizeof(webhook_r->events));
    return end(&reading);
}

int remoteanswer_preview(const json_t *object, struct db_overplan_preview *preview_r)
{
    struct reading reading = {.object = object};

    *preview_r =
        (struct db_overplan_preview){.addresses = take_count(&reading, "addresses"),
                                     .addresses_allowed = take_count(&reading, "addresses_allowed"),
                                     .domains = take_count(&reading, "domains"),
                                     .domains_allowed = take_count(&reading, "domains_allowed"),
                                     .mailbox_octets = take_number(&reading, "quota_bytes"),
                                     .mailbox_messages = take_number(&reading, "quota_messages")};
    return end(&reading);
}

static void take_event_counts(struct reading *reading, struct db_event_counts *events_r)
{
    struct reading counts = {.object = take(reading, "events")};

    events_r->since = take_time(reading, "events_since");
    for (unsigned kind = 0; kind < DB_EVENT__MAX; kind++)
        events_r->count[kind] = take_number(&counts, db_event_kind_name((enum db_event_kind)kind));
    reading->wrong |= counts.wrong;
}

/* What there is of something, and how much the plan allows. */
static unsigned take_allowance(struct reading *reading, const char *name, unsigned *allowed_r)
{
    struct reading allowance = {.object = take(reading, name)};
    unsigned used = take_count(&allowance, "used");

    *allowed_r = take_count(&allowance, "allowed");
    reading->wrong |= allowance.wrong;
    return used;
}

int remoteanswer_customer_statistics(const json_t *object,
                                     struct db_customer_statistics *statistics_r)
{
    struct reading reading = {.object = object};
    struct db_customer *customer = &statistics_r->customer;

    *statistics_r =
        (struct db_customer_statistics){.aliases = take_count(&reading, "aliases"),
                                        .suspended = take_count(&reading, "suspended"),
                                        .over_plan = take_count(&reading, "over_plan"),
                                        .invited = take_count(&reading, "invited"),
                                        .mailboxes = take_count(&reading, "mailboxes"),
                                        .used_octets = take_number(&reading, "used_bytes"),
                                        .used_messages = take_number(&reading, "used_messages"),
                                        .full = take_count(&reading, "full")};
    customer->id = take_number(&reading, "customer");
    TAKE_TEXT(&reading, "customer_name", customer->name);
    TAKE_TEXT(&reading, "plan", customer->plan);
    customer->domains = take_allowance(&reading, "domains", &statistics_r->domains_allowed);
    customer->addresses = take_allowance(&reading, "addresses", &statistics_r->addresses_allowed);
    take_event_counts(&reading, &statistics_r->events);
    return end(&reading);
}

int remoteanswer_host_statistics(const json_t *object, struct db_host_statistics *statistics_r)
{
    struct reading reading = {.object = object};

    *statistics_r =
        (struct db_host_statistics){.customers = take_number(&reading, "customers"),
                                    .customers_suspended = take_number(&reading, "suspended"),
                                    .domains = take_number(&reading, "domains"),
                                    .addresses = take_number(&reading, "addresses"),
                                    .mailboxes = take_number(&reading, "mailboxes"),
                                    .removals = take_number(&reading, "removed")};
    take_event_counts(&reading, &statistics_r->events);
    return end(&reading);
}

int remoteanswer_job(const json_t *object, struct db_job *job_r, unsigned *percent_r)
{
    struct reading reading = {.object = object};
    char mode[8];

    *job_r = (struct db_job){.id = take_number(&reading, "id"),
                             .customer = take_number(&reading, "customer"),
                             .dry_run = take_bool(&reading, "dry_run"),
                             .rows = take_count(&reading, "rows"),
                             .wrong = take_count(&reading, "wrong"),
                             .made = take_count(&reading, "made"),
                             .result = take_bool(&reading, "result"),
                             .created = take_time(&reading, "created"),
                             .begun = take_time(&reading, "begun"),
                             .ended = take_time(&reading, "ended")};
    *percent_r = take_count(&reading, "percent");
    TAKE_TEXT(&reading, "mode", mode);
    job_r->all = strcmp(mode, "all") == 0;
    TAKE_WORD(&reading, "format", db_job_format_parse, &job_r->format);
    TAKE_WORD(&reading, "state", db_job_state_parse, &job_r->state);
    return end(&reading);
}

int remoteanswer_job_error(const json_t *object, struct db_job_error *error_r)
{
    struct reading reading = {.object = object};

    *error_r = (struct db_job_error){.row = take_count(&reading, "row"),
                                     .line = take_count(&reading, "line")};
    TAKE_TEXT(&reading, "column", error_r->name);
    TAKE_TEXT(&reading, "code", error_r->code);
    TAKE_TEXT(&reading, "reason", error_r->reason);
    return end(&reading);
}

int remoteanswer_admin_user(const json_t *object, struct db_admin_user *user_r)
{
    struct reading reading = {.object = object};

    *user_r = (struct db_admin_user){.id = take_number(&reading, "id"),
                                     .customer = take_number(&reading, "customer"),
                                     .suspended = take_bool(&reading, "suspended"),
                                     .password = take_bool(&reading, "password"),
                                     .second_factor = take_bool(&reading, "second_factor"),
                                     .invited_until = take_time(&reading, "invited_until"),
                                     .created = take_time(&reading, "created")};
    TAKE_TEXT(&reading, "customer_name", user_r->customer_name);
    TAKE_TEXT(&reading, "login", user_r->login);
    TAKE_TEXT(&reading, "name", user_r->name);
    TAKE_WORD(&reading, "role", db_role_parse, &user_r->role);
    return end(&reading);
}
