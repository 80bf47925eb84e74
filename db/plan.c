#include "db/plan.h"

#include <stdio.h>
#include <string.h>

#include "db/handle.h"
#include "lib/log.h"

static const char *const protections[] = {
    [DB_PROTECTION_NONE] = "none",
    [DB_PROTECTION_MARK] = "mark",
    [DB_PROTECTION_REFUSE] = "refuse",
};

#define PROTECTIONS (sizeof(protections) / sizeof(protections[0]))

/* Far above any sensible value; they keep sums of such numbers within 64 bits. */
#define OCTETS_MAX   (1ULL << 50)
#define MESSAGES_MAX 10000000
#define DAYS_MAX     36500
#define SECONDS_MAX  86400

/* RFC 5321 section 4.5.3.1.7: every message of 64K octets must be taken. */
#define MESSAGE_OCTETS_MIN 65536

const char *db_protection_name(enum db_protection protection)
{
    return protections[protection];
}

int db_protection_parse(const char *name, enum db_protection *protection_r)
{
    for (unsigned i = 0; i < PROTECTIONS; i++) {
        if (strcmp(name, protections[i]) == 0) {
            *protection_r = (enum db_protection)i;
            return 0;
        }
    }
    return -1;
}

static bool is_name(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    size_t length = strnlen(name, DB_PLAN_NAME_MAX + 1);
    return length <= DB_PLAN_NAME_MAX && name[0] >= 'a' && name[0] <= 'z' &&
           strspn(name, letters) == length;
}

int db_plan_check(const struct db_plan *plan, const char **error_r)
{
    const struct {
        bool wrong;
        const char *error;
    } checks[] = {
        {!is_name(plan->name), "a plan's name is up to 32 of a-z, 0-9 and -, a letter first"},
        {plan->addresses < 1 || plan->addresses > DB_PLAN_ADDRESSES_MAX,
         "a plan has 1 to 100 addresses"},
        {plan->domains < 1 || plan->domains > DB_PLAN_DOMAINS_MAX, "a plan has 1 to 100 domains"},
        {plan->message_octets < MESSAGE_OCTETS_MIN, "the largest message is at least 64K"},
        {plan->mailbox_octets < plan->message_octets,
         "a mailbox must hold at least one message of the largest size"},
        {plan->mailbox_octets > OCTETS_MAX, "a mailbox holds at most 1048576G"},
        {plan->mailbox_messages < 1 || plan->mailbox_messages > MESSAGES_MAX,
         "a mailbox holds 1 to 10000000 messages"},
        {plan->retention_days > DAYS_MAX, "messages are kept for 1 to 36500 days, or 0 for ever"},
        {plan->poll_seconds > SECONDS_MAX, "the shortest poll interval is 0 to 86400 seconds"},
        {plan->protection >= PROTECTIONS, "protection is none, mark or refuse"},
    };
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        if (checks[i].wrong) {
            *error_r = checks[i].error;
            return -1;
        }
    }
    return 0;
}

/* plan_add and plan_set have the same parameters. */
static enum db_result write_plan(struct db *db, enum statement_id id, const struct db_plan *plan)
{
    struct sqlite3_stmt *write = statement_get(db, id);
    statement_bind_text(write, 1, plan->name);
    statement_bind_number(write, 2, plan->addresses);
    statement_bind_number(write, 3, plan->domains);
    statement_bind_number(write, 4, plan->mailbox_octets);
    statement_bind_number(write, 5, plan->mailbox_messages);
    statement_bind_number(write, 6, plan->message_octets);
    statement_bind_number(write, 7, plan->retention_days);
    statement_bind_number(write, 8, plan->poll_seconds);
    statement_bind_text(write, 9, db_protection_name(plan->protection));
    statement_bind_number(write, 10, plan->sending);
    statement_bind_number(write, 11, plan->catch_all);
    return statement_change(db, write);
}

void db_plan_default(struct db_plan *plan_r)
{
    *plan_r = (struct db_plan){
        .addresses = 1,
        .domains = 1,
        .mailbox_octets = UINT64_C(1) << 30,
        .mailbox_messages = 10000,
        .message_octets = UINT64_C(50) << 20,
        .protection = DB_PROTECTION_NONE,
        .sending = true,
    };
}

static bool is_sound(const struct db_plan *plan)
{
    const char *error;
    if (db_plan_check(plan, &error) == 0) {
        return true;
    }
    log_error("accounts: plan not checked by the caller: %s", error);
    return false;
}

enum db_result db_plan_add(struct db *db, const struct db_plan *plan)
{
    if (!is_sound(plan)) {
        return DB_BROKEN;
    }
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = write_plan(db, STATEMENT_PLAN_ADD, plan);
    return change_end(db, result, "plan.add", 0, plan->name);
}

/* Names a customer that uses more than the plan would allow. */
static enum db_result exceeded(struct db *db, const struct db_plan *plan)
{
    struct db_limit *limit = &db->limit;
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_PLAN_EXCEEDED);
    statement_bind_text(find, 1, plan->name);
    statement_bind_number(find, 2, plan->addresses);
    statement_bind_number(find, 3, plan->domains);
    enum db_result result = statement_row(db, find);
    if (result != DB_OK) {
        return result;
    }
    bool addresses = statement_count(find, 1) > plan->addresses;
    limit->kind = addresses ? DB_LIMIT_ADDRESSES : DB_LIMIT_DOMAINS;
    limit->allowed = addresses ? plan->addresses : plan->domains;
    limit->used = statement_count(find, addresses ? 1 : 2);
    statement_text(find, 0, limit->customer, sizeof(limit->customer));
    snprintf(limit->plan, sizeof(limit->plan), "%s", plan->name);
    statement_reset(find);
    return DB_LIMIT;
}

enum db_result db_plan_set(struct db *db, const struct db_plan *plan)
{
    if (!is_sound(plan)) {
        return DB_BROKEN;
    }
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = write_plan(db, STATEMENT_PLAN_SET, plan);
    if (result == DB_LIMIT) {
        result = exceeded(db, plan);
    }
    if (result == DB_OK) {
        result = overplan_fit_all(db, plan->name);
    }
    return change_end(db, result, "plan.set", 0, plan->name);
}

static enum db_result read_plan(struct db *db, struct sqlite3_stmt *row, struct db_plan *plan_r)
{
    char protection[16];
    enum db_result result = statement_row(db, row);
    if (result != DB_OK) {
        return result;
    }
    statement_text(row, 0, plan_r->name, sizeof(plan_r->name));
    plan_r->addresses = statement_count(row, 1);
    plan_r->domains = statement_count(row, 2);
    plan_r->mailbox_octets = statement_number(row, 3);
    plan_r->mailbox_messages = statement_number(row, 4);
    plan_r->message_octets = statement_number(row, 5);
    plan_r->retention_days = statement_count(row, 6);
    plan_r->poll_seconds = statement_count(row, 7);
    statement_text(row, 8, protection, sizeof(protection));
    /* The table's CHECK allows no other word. */
    plan_r->protection = DB_PROTECTION_NONE;
    db_protection_parse(protection, &plan_r->protection);
    plan_r->sending = statement_bool(row, 9);
    plan_r->catch_all = statement_bool(row, 10);
    statement_reset(row);
    return DB_OK;
}

enum db_result db_plan_find(struct db *db, const char *name, struct db_plan *plan_r)
{
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_PLAN_FIND);
    statement_bind_text(find, 1, name);
    return read_plan(db, find, plan_r);
}

enum db_result db_plan_remove(struct db *db, const char *name)
{
    struct db_plan plan;
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = db_plan_find(db, name, &plan);
    if (result == DB_OK) {
        struct sqlite3_stmt *remove = statement_get(db, STATEMENT_PLAN_REMOVE);
        statement_bind_text(remove, 1, name);
        result = statement_change(db, remove);
        result = result == DB_NONE ? DB_TAKEN : result;
    }
    return change_end(db, result, "plan.remove", 0, name);
}

enum db_result db_plan_next(struct db *db, struct db_plan *plan)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_PLAN_NEXT);
    statement_bind_text(next, 1, plan->name);
    return read_plan(db, next, plan);
}

/* So that it compares: no retention is longer than any. */
static unsigned retention_order(unsigned days)
{
    return days - 1;
}

static void widen(struct db_plan_range *range, const struct db_plan *plan)
{
    unsigned days = plan->retention_days;
    unsigned seconds = plan->poll_seconds;
    if (retention_order(days) < retention_order(range->retention_least)) {
        range->retention_least = days;
    }
    if (retention_order(days) > retention_order(range->retention_most)) {
        range->retention_most = days;
    }
    range->poll_least = seconds < range->poll_least ? seconds : range->poll_least;
    range->poll_most = seconds > range->poll_most ? seconds : range->poll_most;
}

enum db_result db_plan_range(struct db *db, struct db_plan_range *range_r)
{
    struct db_plan plan = {0};
    enum db_result result = db_plan_next(db, &plan);
    *range_r = (struct db_plan_range){plan.retention_days, plan.retention_days, plan.poll_seconds,
                                      plan.poll_seconds};
    while (result == DB_OK) {
        widen(range_r, &plan);
        result = db_plan_next(db, &plan);
    }
    return result == DB_NONE ? DB_OK : result;
}
