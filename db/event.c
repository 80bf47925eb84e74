#include "db/event.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "db/handle.h"
#include "lib/clock.h"

/* Rows that one pruning removes: it is in nobody's way for longer than a batch of events. */
#define PRUNE_MAX 1000

static const struct {
    const char *name;
    bool refused; /* a client was turned away */
} kinds[DB_EVENT__MAX] = {
    [DB_EVENT_LOGIN] = {"login", false},
    [DB_EVENT_REFUSED] = {"refused", true},
    [DB_EVENT_DELAYED] = {"delayed", true},
    [DB_EVENT_BLOCKED] = {"blocked", true},
    [DB_EVENT_LIFTED] = {"lifted", false},
    [DB_EVENT_PASSWORD] = {"password", false},
    [DB_EVENT_NO_PASSWORD] = {"password-removed", false},
    [DB_EVENT_APP_PASSWORD] = {"app-password", false},
    [DB_EVENT_NO_APP_PASSWORD] = {"app-password-removed", false},
    [DB_EVENT_SUSPENDED] = {"suspended", false},
    [DB_EVENT_RESUMED] = {"resumed", false},
};

const char *db_event_kind_name(enum db_event_kind kind)
{
    return kinds[kind].name;
}

static enum db_event_kind kind_find(const char *name)
{
    unsigned kind = 0;
    while (kind < DB_EVENT__MAX - 1 && strcmp(kinds[kind].name, name) != 0) {
        kind++;
    }
    return kind;
}

static enum db_result find_customer(struct db *db, const char *address, uint64_t *customer_r)
{
    const char *at = strrchr(address, '@');
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_EVENT_CUSTOMER);
    statement_bind_text(find, 1, at != NULL ? at + 1 : "");
    enum db_result result = statement_row(db, find);
    if (result == DB_OK) {
        *customer_r = statement_number(find, 0);
        statement_reset(find);
    }
    return result;
}

static enum db_result count_up(struct db *db, const struct db_event *event, uint64_t customer)
{
    struct sqlite3_stmt *count = statement_get(db, STATEMENT_EVENT_COUNT);
    statement_bind_number(count, 1, customer);
    statement_bind_number(count, 2, event->id);
    statement_bind_number(count, 3, event->mailbox);
    statement_bind_text(count, 4, kinds[event->kind].name);
    statement_bind_number(count, 5, event->time);
    statement_bind_number(count, 6, event->count);
    return statement_change(db, count);
}

static enum db_result add(struct db *db, const struct db_event *event, uint64_t customer)
{
    struct sqlite3_stmt *add =
        statement_get(db, customer != 0 ? STATEMENT_EVENT_ADD : STATEMENT_OPERATOR_EVENT_ADD);
    statement_bind_number(add, 1, customer);
    statement_bind_number(add, 2, event->id);
    statement_bind_number(add, 3, event->mailbox);
    statement_bind_text(add, 4, kinds[event->kind].name);
    statement_bind_number(add, 5, event->time);
    statement_bind_number(add, 6, event->count);
    statement_bind_number(add, 7, kinds[event->kind].refused);
    statement_bind_text(add, 8, event->address);
    statement_bind_text(add, 9, event->remote);
    statement_bind_text(add, 10, event->protocol);
    statement_bind_text(add, 11, event->mechanism);
    statement_bind_text(add, 12, event->credential);
    statement_bind_text(add, 13, event->reason);
    return statement_change(db, add);
}

/* Removes the oldest of a mailbox's beyond its room. */
static enum db_result make_room(struct db *db, const struct db_event *event, uint64_t customer)
{
    struct sqlite3_stmt *remove = statement_get(db, STATEMENT_EVENT_MAKE_ROOM);
    statement_bind_number(remove, 1, customer);
    statement_bind_number(remove, 2, event->mailbox);
    statement_bind_number(remove, 3, kinds[event->kind].refused);
    statement_bind_number(remove, 4, DB_EVENT_MAILBOX_MAX - 1);
    enum db_result result = statement_change(db, remove);
    return result == DB_NONE ? DB_OK : result;
}

/* With what it brings about. */
static enum db_result add_new(struct db *db, const struct db_event *event, uint64_t customer)
{
    enum db_result result = add(db, event, customer);
    if (result == DB_OK && event->kind == DB_EVENT_BLOCKED) {
        result = outbox_add_event(db, customer, "login.blocked", event->id);
    }
    return result == DB_OK ? make_room(db, event, customer) : result;
}

/* The login of one of the operator's own people is no address (lib/adminlogin.h). */
static bool is_operators(const struct db_event *event)
{
    return event->address[0] != '\0' && strchr(event->address, '@') == NULL;
}

enum db_result db_event_write(struct db *db, const struct db_event *event)
{
    uint64_t customer = event->customer;
    enum db_result result = DB_OK;
    if (customer == 0 && !is_operators(event)) {
        result = find_customer(db, event->address, &customer);
    }
    if (result != DB_OK) {
        return result;
    }
    result = count_up(db, event, customer);
    if (result != DB_NONE) {
        return result;
    }
    return add_new(db, event, customer);
}

enum db_result db_event_add(struct db *db, struct db_event *event)
{
    event->id = clock_wall();
    event->time = event->id / 1000000;
    event->count = 1;
    enum db_result result = add_new(db, event, event->customer);
    while (result == DB_TAKEN) {
        event->id++;
        result = add_new(db, event, event->customer);
    }
    return result;
}

enum db_result event_note(struct db *db, enum db_event_kind kind, uint64_t customer,
                          uint64_t mailbox, const char *address, const char *credential)
{
    struct db_event event = {.customer = customer, .mailbox = mailbox, .kind = kind};
    snprintf(event.address, sizeof(event.address), "%s", address);
    snprintf(event.protocol, sizeof(event.protocol), "bellhop");
    snprintf(event.credential, sizeof(event.credential), "%s", credential);
    return db_event_add(db, &event);
}

/* Before which id the customer's rows are too old or too many. */
static enum db_result find_limit(struct db *db, uint64_t customer, uint64_t *limit_r)
{
    uint64_t oldest = clock_wall() - (uint64_t)DB_EVENT_DAYS * 86400 * 1000000;
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_EVENT_LIMIT);
    statement_bind_number(find, 1, customer);
    statement_bind_number(find, 2, DB_EVENT_CUSTOMER_MAX - 1);
    enum db_result result = statement_row(db, find);
    *limit_r = oldest;
    if (result == DB_OK) {
        uint64_t limit = statement_number(find, 0);
        *limit_r = limit > oldest ? limit : oldest;
        statement_reset(find);
    }
    return result == DB_NONE ? DB_OK : result;
}

enum db_result db_event_prune(struct db *db, uint64_t *customer, bool *more_r)
{
    uint64_t limit;
    *more_r = false;
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_EVENT_CUSTOMER_NEXT);
    statement_bind_number(next, 1, *customer);
    enum db_result result = statement_row(db, next);
    if (result != DB_OK) {
        return result;
    }
    uint64_t found = statement_number(next, 0);
    statement_reset(next);
    result = find_limit(db, found, &limit);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *prune = statement_get(db, STATEMENT_EVENT_PRUNE);
    statement_bind_number(prune, 1, found);
    statement_bind_number(prune, 2, limit);
    statement_bind_number(prune, 3, PRUNE_MAX);
    result = statement_change(db, prune);
    *more_r = result == DB_OK && sqlite3_changes(db->sqlite) == PRUNE_MAX;
    *customer = found;
    return result == DB_NONE ? DB_OK : result;
}

static enum db_result read_event(struct db *db, struct sqlite3_stmt *row, struct db_event *event_r)
{
    char kind[DB_EVENT_TEXT_MAX + 1];
    enum db_result result = statement_row(db, row);
    if (result != DB_OK) {
        return result;
    }
    event_r->id = statement_number(row, 0);
    event_r->time = statement_number(row, 1);
    event_r->count = statement_number(row, 2);
    event_r->customer = statement_number(row, 3);
    event_r->mailbox = statement_number(row, 4);
    statement_text(row, 5, kind, sizeof(kind));
    event_r->kind = kind_find(kind);
    statement_text(row, 6, event_r->address, sizeof(event_r->address));
    statement_text(row, 7, event_r->remote, sizeof(event_r->remote));
    statement_text(row, 8, event_r->protocol, sizeof(event_r->protocol));
    statement_text(row, 9, event_r->mechanism, sizeof(event_r->mechanism));
    statement_text(row, 10, event_r->credential, sizeof(event_r->credential));
    statement_text(row, 11, event_r->reason, sizeof(event_r->reason));
    statement_text(row, 12, event_r->customer_name, sizeof(event_r->customer_name));
    statement_reset(row);
    return DB_OK;
}

static uint64_t before(const struct db_event *event)
{
    return event->id == 0 ? INT64_MAX : event->id;
}

enum db_result db_event_next(struct db *db, uint64_t customer, struct db_event *event)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_EVENT_NEXT);
    statement_bind_number(next, 1, customer);
    statement_bind_number(next, 2, before(event));
    return read_event(db, next, event);
}

/* Two places of the index, one for what was refused: the newer of the two that come next. */
enum db_result db_event_mailbox_next(struct db *db, uint64_t customer, uint64_t mailbox,
                                     struct db_event *event)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_EVENT_MAILBOX_NEXT);
    statement_bind_number(next, 1, customer);
    statement_bind_number(next, 2, mailbox);
    statement_bind_number(next, 3, before(event));
    return read_event(db, next, event);
}

enum db_result db_operator_event_next(struct db *db, struct db_event *event)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_OPERATOR_EVENT_NEXT);
    statement_bind_number(next, 1, before(event));
    return read_event(db, next, event);
}

/* In what ids are. */
#define SECOND 1000000

/* `rows` has its parameters. */
static enum db_result sum(struct db *db, struct sqlite3_stmt *rows, uint64_t since, unsigned most,
                          struct db_event_counts *counts_r)
{
    char kind[DB_EVENT_TEXT_MAX + 1];
    unsigned seen = 0;
    uint64_t oldest = 0;
    enum db_result result;
    *counts_r = (struct db_event_counts){.since = since};
    while ((result = statement_row(db, rows)) == DB_OK) {
        oldest = statement_number(rows, 0);
        statement_text(rows, 1, kind, sizeof(kind));
        counts_r->count[kind_find(kind)] += statement_number(rows, 2);
        seen++;
    }
    if (seen == most) {
        counts_r->since = (oldest + SECOND - 1) / SECOND;
    }
    return result == DB_NONE ? DB_OK : result;
}

enum db_result db_event_sum(struct db *db, uint64_t customer, uint64_t since,
                            struct db_event_counts *counts_r)
{
    struct sqlite3_stmt *rows = statement_get(db, STATEMENT_EVENT_SUM);
    statement_bind_number(rows, 1, customer);
    statement_bind_number(rows, 2, since * SECOND);
    statement_bind_number(rows, 3, DB_EVENT_SUM_MAX);
    return sum(db, rows, since, DB_EVENT_SUM_MAX, counts_r);
}

enum db_result db_operator_event_sum(struct db *db, uint64_t since,
                                     struct db_event_counts *counts_r)
{
    struct sqlite3_stmt *rows = statement_get(db, STATEMENT_OPERATOR_EVENT_SUM);
    statement_bind_number(rows, 1, since * SECOND);
    statement_bind_number(rows, 2, DB_OPERATOR_EVENT_SUM_MAX);
    return sum(db, rows, since, DB_OPERATOR_EVENT_SUM_MAX, counts_r);
}
