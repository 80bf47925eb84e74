/* What is counted: of one customer nothing of another's, and nothing that was removed. */
#include "tests/unit/db_fixture.h"

#include "db/alias.h"
#include "db/statistics.h"

static void add(struct fixture *fixture, uint64_t customer, const char *text)
{
    assert_int_equal(fixture_add(fixture->db, customer, text, NULL), DB_OK);
}

static void drop(struct fixture *fixture, const char *text, uint64_t keep)
{
    struct address address = fixture_address(text);
    assert_int_equal(db_mailaddress_remove(fixture->db, fixture->ours, &address, keep), DB_OK);
}

static void set_quota(struct fixture *fixture, const char *text, uint64_t octets)
{
    struct address address = fixture_address(text);
    struct db_mailbox_settings settings = {.octets = octets, .pop3 = true, .smtp = true};
    assert_int_equal(db_mailaddress_set_settings(fixture->db, fixture->ours, &address, &settings),
                     DB_OK);
}

static void counts_a_customer(void **state)
{
    struct fixture *fixture = *state;
    struct db_customer_statistics found;
    struct address alias = fixture_address("info@ours.example");
    struct address target = fixture_address("a@ours.example");
    add(fixture, fixture->ours, "a@ours.example");
    add(fixture, fixture->ours, "b@ours.example");
    add(fixture, fixture->theirs, "a@theirs.example");
    add(fixture, fixture->ours, "gone@ours.example");
    drop(fixture, "gone@ours.example", 1000);
    assert_int_equal(db_alias_add(fixture->db, fixture->ours, &alias, &target, 1), DB_OK);
    assert_int_equal(
        db_mailaddress_set_suspended(fixture->db, fixture->ours, &target, true, DB_SUSPENDED_KEEP),
        DB_OK);
    assert_int_equal(db_statistics_customer(fixture->db, fixture->ours, 7, &found), DB_OK);
    assert_int_equal(found.customer.domains, 1);
    assert_int_equal(found.customer.addresses, 3);
    assert_int_equal(found.mailboxes, 2);
    assert_int_equal(found.aliases, 1);
    assert_int_equal(found.suspended, 1);
    assert_int_equal(found.events.count[DB_EVENT_SUSPENDED], 1);
    assert_int_equal(db_statistics_customer(fixture->db, fixture->theirs, 7, &found), DB_OK);
    assert_int_equal(found.mailboxes, 1);
    assert_int_equal(found.events.count[DB_EVENT_SUSPENDED], 0);
    assert_int_equal(db_statistics_customer(fixture->db, 99, 7, &found), DB_NONE);
}

static void counts_what_is_full(void **state)
{
    struct fixture *fixture = *state;
    struct db_customer_statistics found;
    add(fixture, fixture->ours, "a@ours.example");
    add(fixture, fixture->ours, "b@ours.example");
    set_quota(fixture, "a@ours.example", 1001);
    assert_int_equal(db_statistics_customer(fixture->db, fixture->ours, 7, &found), DB_OK);
    db_statistics_add_usage(&found, 0, 950, 1);
    assert_int_equal(found.full, 0);
    db_statistics_add_usage(&found, 0, 951, 1);
    assert_int_equal(found.full, 1);
    db_statistics_add_usage(&found, 1, 951, found.limits[1].messages * 95 / 100 - 1);
    assert_int_equal(found.full, 1);
    db_statistics_add_usage(&found, 1, 951, found.limits[1].messages);
    assert_int_equal(found.full, 2);
    assert_int_equal(found.used_octets, 950 + 3 * 951);
    db_statistics_add_usage(&found, 1, UINT64_MAX / 2, 0);
    assert_int_equal(found.full, 3);
}

static void counts_the_host(void **state)
{
    struct fixture *fixture = *state;
    struct db_host_statistics found;
    add(fixture, fixture->ours, "a@ours.example");
    add(fixture, fixture->ours, "b@ours.example");
    add(fixture, fixture->theirs, "a@theirs.example");
    drop(fixture, "b@ours.example", 1000);
    assert_int_equal(db_customer_set_suspended(fixture->db, fixture->ours, true, DB_SUSPENDED_KEEP),
                     DB_OK);
    assert_int_equal(db_operator_statistics(fixture->db, 7, &found), DB_OK);
    assert_int_equal(found.customers, 2);
    assert_int_equal(found.customers_suspended, 1);
    assert_int_equal(found.domains, 2);
    assert_int_equal(found.addresses, 2);
    assert_int_equal(found.mailboxes, 2);
    assert_int_equal(found.removals, 1);
    assert_int_equal(db_customer_remove(fixture->db, fixture->ours, 1000), DB_OK);
    assert_int_equal(db_operator_statistics(fixture->db, 7, &found), DB_OK);
    assert_int_equal(found.customers, 1);
    assert_int_equal(found.customers_suspended, 0);
    assert_int_equal(found.domains, 1);
    assert_int_equal(found.addresses, 1);
    assert_int_equal(found.mailboxes, 1);
    assert_int_equal(found.removals, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(counts_a_customer),
        fixture_test(counts_what_is_full),
        fixture_test(counts_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
