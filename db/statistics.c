#include "db/statistics.h"

#include <time.h>

#include "db/handle.h"
#include "db/mailaddress.h"

/* In seconds since 1970. */
static uint64_t days_ago(unsigned days)
{
    return (uint64_t)time(NULL) - days * UINT64_C(86400);
}

/* --- one customer */

static uint64_t own_quota(const struct db_plan *plan, const struct db_mailaddress *address)
{
    uint64_t own = address->settings.octets;
    return own != 0 && own < plan->mailbox_octets ? own : plan->mailbox_octets;
}

static void add_address(struct db_customer_statistics *statistics, const struct db_plan *plan,
                        const struct db_mailaddress *address)
{
    statistics->over_plan += address->over_plan;
    if (address->mailbox == 0) {
        statistics->aliases++;
        return;
    }
    statistics->suspended += address->suspended;
    statistics->invited += address->invited_until != 0;
    statistics->limits[statistics->mailboxes++] =
        (struct db_mailbox_limits){.mailbox = address->mailbox,
                                   .octets = own_quota(plan, address),
                                   .messages = plan->mailbox_messages};
}

static enum db_result add_addresses(struct db *db, struct db_customer_statistics *statistics,
                                    const struct db_plan *plan)
{
    struct db_mailaddress address = {0};
    enum db_result result = DB_OK;
    while (statistics->mailboxes < DB_PLAN_ADDRESSES_MAX &&
           (result = db_mailaddress_next(db, statistics->customer.id, &address)) == DB_OK) {
        add_address(statistics, plan, &address);
    }
    return result == DB_NONE ? DB_OK : result;
}

enum db_result db_statistics_customer(struct db *db, uint64_t customer, unsigned days,
                                      struct db_customer_statistics *statistics_r)
{
    struct db_plan plan;
    *statistics_r = (struct db_customer_statistics){0};
    enum db_result result = db_customer_get(db, customer, &statistics_r->customer);
    if (result == DB_OK) {
        result = db_plan_find(db, statistics_r->customer.plan, &plan);
    }
    if (result == DB_OK) {
        statistics_r->domains_allowed = plan.domains;
        statistics_r->addresses_allowed = plan.addresses;
        result = add_addresses(db, statistics_r, &plan);
    }
    if (result == DB_OK) {
        result = db_event_sum(db, customer, days_ago(days), &statistics_r->events);
    }
    return result;
}

/* Without an overflow, as stored does when it warns. */
static bool reaches(uint64_t used, uint64_t quota)
{
    return used >= quota / 100 * DB_STATISTICS_FULL + (quota % 100 * DB_STATISTICS_FULL + 99) / 100;
}

void db_statistics_add_usage(struct db_customer_statistics *statistics, size_t index,
                             uint64_t octets, uint64_t messages)
{
    const struct db_mailbox_limits *limits = &statistics->limits[index];
    statistics->used_octets += octets;
    statistics->used_messages += messages;
    statistics->full += reaches(octets, limits->octets) || reaches(messages, limits->messages);
}

/* --- all of them */

enum db_result db_operator_statistics(struct db *db, unsigned days,
                                      struct db_host_statistics *statistics_r)
{
    struct sqlite3_stmt *count = statement_get(db, STATEMENT_OPERATOR_COUNT);
    enum db_result result = statement_row(db, count);
    if (result != DB_OK) {
        return result;
    }
    *statistics_r = (struct db_host_statistics){.customers = statement_number(count, 0),
                                                .customers_suspended = statement_number(count, 1),
                                                .domains = statement_number(count, 2),
                                                .addresses = statement_number(count, 3),
                                                .mailboxes = statement_number(count, 4),
                                                .removals = statement_number(count, 5)};
    statement_reset(count);
    return db_operator_event_sum(db, days_ago(days), &statistics_r->events);
}
