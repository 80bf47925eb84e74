#include "db/webhook.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/handle.h"
#include "lib/clock.h"
#include "lib/log.h"

/*
 * "HOST", or "HOST:PORT" with a port that there is. A zone ("[fe80::1%25eth0]") names an interface
 * of this machine, which fetchd may not look for and an address of the Internet has not.
 */
static bool is_authority(const char *text, size_t length)
{
    const char *host_end = memchr(text, ']', length); /* of an IPv6 address */
    const char *from = host_end != NULL ? host_end : text;
    const char *colon = memchr(from, ':', length - (size_t)(from - text));

    if (memchr(text, '%', length) != NULL) {
        return false;
    }
    if (colon == NULL) {
        return true;
    }
    size_t digits = strspn(colon + 1, "0123456789");
    if (colon + 1 + digits != text + length || digits > 5) {
        return false;
    }
    unsigned long port = strtoul(colon + 1, NULL, 10);
    return port > 0 && port <= UINT16_MAX;
}

int db_webhook_url_check(const char *url, const char **error_r)
{
    const char *host = strncmp(url, "https://", 8) == 0  ? url + 8
                       : strncmp(url, "http://", 7) == 0 ? url + 7
                                                         : "";
    bool good = *host != '\0' && strchr("/:?#", *host) == NULL;
    for (const char *at = url; *at != '\0' && good; at++) {
        good = *at > ' ' && *at <= '~';
    }
    size_t length = strcspn(host, "/?#");
    size_t size = strlen(url);
    good = good && size >= DB_WEBHOOK_URL_LEAST && size <= DB_WEBHOOK_URL_MAX;
    if (good && memchr(host, '@', length) == NULL && is_authority(host, length) &&
        strchr(host, '#') == NULL) {
        return 0;
    }
    *error_r = "a webhook's URL is 10 to 2000 characters of ASCII, https://HOST and what follows, "
               "with a port of 1 to 65535 if any, without a user, a zone or a fragment";
    return -1;
}

int db_webhook_events_check(const char *events, char error_r[DB_EVENTTYPE_ERROR_SIZE])
{
    if (strlen(events) <= DB_WEBHOOK_EVENTS_MAX) {
        return db_eventtype_check(events, error_r);
    }
    snprintf(error_r, DB_EVENTTYPE_ERROR_SIZE, "types of events have up to %d characters",
             DB_WEBHOOK_EVENTS_MAX);
    return -1;
}

static bool is_sound(const char *url, const char *events)
{
    char events_error[DB_EVENTTYPE_ERROR_SIZE] = "";
    const char *url_error = "";
    if (db_webhook_url_check(url, &url_error) == 0 &&
        db_webhook_events_check(events, events_error) == 0) {
        return true;
    }
    log_error("accounts: webhook not checked by the caller: %s%s", url_error, events_error);
    return false;
}

enum db_result db_webhook_add(struct db *db, uint64_t customer, const char *url, const char *events,
                              const uint8_t secret[DB_WEBHOOK_SECRET_SIZE], uint64_t *id_r)
{
    if (!is_sound(url, events)) {
        return DB_BROKEN;
    }
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *add = statement_get(db, STATEMENT_WEBHOOK_ADD);
    statement_bind_number(add, 1, customer);
    statement_bind_text(add, 2, url);
    statement_bind_text(add, 3, events);
    statement_bind_blob(add, 4, secret, DB_WEBHOOK_SECRET_SIZE);
    statement_bind_number(add, 5, clock_wall());
    statement_bind_number(add, 6, INT64_MAX);
    result = statement_change(db, add);
    *id_r = (uint64_t)sqlite3_last_insert_rowid(db->sqlite);
    return change_end(db, result, "webhook.add", customer, url);
}

static enum db_result read_webhook(struct db *db, struct sqlite3_stmt *row,
                                   struct db_webhook *webhook_r)
{
    enum db_result result = statement_row(db, row);
    if (result != DB_OK) {
        return result;
    }
    webhook_r->id = statement_number(row, 0);
    webhook_r->customer = statement_number(row, 1);
    statement_text(row, 2, webhook_r->url, sizeof(webhook_r->url));
    statement_text(row, 3, webhook_r->events, sizeof(webhook_r->events));
    webhook_r->created = statement_number(row, 4);
    webhook_r->cursor = statement_number(row, 5);
    webhook_r->failing = statement_number(row, 6);
    webhook_r->failures = statement_count(row, 7);
    webhook_r->next = statement_number(row, 8);
    webhook_r->disabled = statement_number(row, 9);
    statement_text(row, 10, webhook_r->failure, sizeof(webhook_r->failure));
    webhook_r->answered = statement_number(row, 11);
    webhook_r->status = statement_count(row, 12);
    webhook_r->old_until = statement_number(row, 13);
    statement_text(row, 14, webhook_r->customer_name, sizeof(webhook_r->customer_name));
    statement_reset(row);
    return DB_OK;
}

enum db_result db_operator_webhook_find(struct db *db, uint64_t id, struct db_webhook *webhook_r)
{
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_OPERATOR_WEBHOOK_FIND);
    statement_bind_number(find, 1, id);
    return read_webhook(db, find, webhook_r);
}

enum db_result db_webhook_next(struct db *db, uint64_t customer, struct db_webhook *webhook)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_WEBHOOK_NEXT);
    statement_bind_number(next, 1, customer);
    statement_bind_number(next, 2, webhook->id);
    return read_webhook(db, next, webhook);
}

enum db_result db_operator_webhook_next(struct db *db, struct db_webhook *webhook)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_OPERATOR_WEBHOOK_NEXT);
    statement_bind_number(next, 1, webhook->id);
    return read_webhook(db, next, webhook);
}

/* Begins a change of it and tells its URL for the audit. */
static enum db_result begin_with_url(struct db *db, uint64_t customer, uint64_t id,
                                     struct db_webhook *now_r)
{
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = db_operator_webhook_find(db, id, now_r);
    if (result == DB_OK && now_r->customer != customer) {
        result = DB_NONE;
    }
    return result == DB_OK ? DB_OK : change_end(db, result, "", 0, "");
}

enum db_result db_webhook_remove(struct db *db, uint64_t customer, uint64_t id)
{
    struct db_webhook now;
    enum db_result result = begin_with_url(db, customer, id, &now);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *remove = statement_get(db, STATEMENT_WEBHOOK_REMOVE);
    statement_bind_number(remove, 1, customer);
    statement_bind_number(remove, 2, id);
    return change_end(db, statement_change(db, remove), "webhook.remove", customer, now.url);
}

enum db_result db_webhook_replay(struct db *db, uint64_t customer, uint64_t id, uint64_t cursor)
{
    struct db_webhook now;
    enum db_result result = begin_with_url(db, customer, id, &now);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *replay = statement_get(db, STATEMENT_WEBHOOK_REPLAY);
    statement_bind_number(replay, 1, customer);
    statement_bind_number(replay, 2, id);
    statement_bind_number(replay, 3, cursor);
    return change_end(db, statement_change(db, replay), "webhook.replay", customer, now.url);
}

/* A text is bound where there is one: the statement keeps what stands there for NULL. */
static void bind_given(struct sqlite3_stmt *set, int index, const char *text)
{
    if (text != NULL) {
        statement_bind_text(set, index, text);
    }
}

enum db_result db_webhook_set(struct db *db, uint64_t customer, uint64_t id, const char *url,
                              const char *events, const bool *enabled)
{
    struct db_webhook now;
    if (!is_sound(url != NULL ? url : "https://a/", events != NULL ? events : "*")) {
        return DB_BROKEN;
    }
    enum db_result result = begin_with_url(db, customer, id, &now);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *set = statement_get(db, STATEMENT_WEBHOOK_SET);
    statement_bind_number(set, 1, customer);
    statement_bind_number(set, 2, id);
    bind_given(set, 3, url);
    bind_given(set, 4, events);
    if (enabled != NULL) {
        statement_bind_number(set, 5, *enabled);
    }
    const char *action = "webhook.set";
    if (enabled != NULL && url == NULL && events == NULL) {
        action = *enabled ? "webhook.enable" : "webhook.disable";
    }
    return change_end(db, statement_change(db, set), action, customer, now.url);
}

enum db_result db_webhook_renew(struct db *db, uint64_t customer, uint64_t id,
                                const uint8_t secret[DB_WEBHOOK_SECRET_SIZE], uint64_t old_until)
{
    struct db_webhook now;
    enum db_result result = begin_with_url(db, customer, id, &now);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *renew = statement_get(db, STATEMENT_WEBHOOK_RENEW);
    statement_bind_number(renew, 1, customer);
    statement_bind_number(renew, 2, id);
    statement_bind_blob(renew, 3, secret, DB_WEBHOOK_SECRET_SIZE);
    statement_bind_number(renew, 4, old_until);
    return change_end(db, statement_change(db, renew), "webhook.secret", customer, now.url);
}

enum db_result db_webhook_disable_all(struct db *db)
{
    static const bool off = false;
    struct db_webhook webhook = {0};
    enum db_result result;
    while ((result = db_operator_webhook_next(db, &webhook)) == DB_OK) {
        if (webhook.disabled != 0) {
            continue;
        }
        result = db_webhook_set(db, webhook.customer, webhook.id, NULL, NULL, &off);
        if (result != DB_OK && result != DB_NONE) {
            return result;
        }
    }
    return result == DB_NONE ? DB_OK : result;
}

enum db_result db_webhook_secrets(struct db *db, uint64_t id,
                                  uint8_t secrets_r[2][DB_WEBHOOK_SECRET_SIZE], unsigned *count_r)
{
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_WEBHOOK_SECRET);
    statement_bind_number(find, 1, id);
    enum db_result result = statement_row(db, find);
    if (result == DB_OK) {
        *count_r = sqlite3_column_type(find, 1) == SQLITE_NULL ? 1 : 2;
        statement_blob(find, 0, secrets_r[0], DB_WEBHOOK_SECRET_SIZE);
        statement_blob(find, 1, secrets_r[1], DB_WEBHOOK_SECRET_SIZE);
        statement_reset(find);
    }
    return result;
}

enum db_result db_webhook_told(struct db *db, const struct db_webhook *webhook, uint64_t cursor,
                               unsigned status)
{
    struct sqlite3_stmt *told = statement_get(db, STATEMENT_WEBHOOK_TOLD);
    statement_bind_number(told, 1, webhook->id);
    statement_bind_number(told, 2, webhook->cursor);
    statement_bind_number(told, 3, cursor);
    statement_bind_number(told, 4, status);
    return statement_change(db, told);
}

enum db_result db_webhook_failed(struct db *db, const struct db_webhook *webhook, uint64_t now,
                                 uint64_t next, const char *reason, unsigned status)
{
    char failure[DB_WEBHOOK_FAILURE_MAX + 1];
    snprintf(failure, sizeof(failure), "%s", reason);
    struct sqlite3_stmt *failed = statement_get(db, STATEMENT_WEBHOOK_FAILED);
    statement_bind_number(failed, 1, webhook->id);
    statement_bind_number(failed, 2, webhook->cursor);
    statement_bind_number(failed, 3, now);
    statement_bind_number(failed, 4, next);
    statement_bind_text(failed, 5, failure);
    statement_bind_number(failed, 6, status);
    return statement_change(db, failed);
}

enum db_result db_webhook_give_up(struct db *db, const struct db_webhook *webhook, uint64_t now)
{
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *give_up = statement_get(db, STATEMENT_WEBHOOK_GIVE_UP);
    statement_bind_number(give_up, 1, webhook->id);
    statement_bind_number(give_up, 2, webhook->cursor);
    statement_bind_number(give_up, 3, now);
    return change_end(db, statement_change(db, give_up), "webhook.disable", webhook->customer,
                      webhook->url);
}
