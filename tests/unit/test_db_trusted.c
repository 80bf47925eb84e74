#include "tests/unit/db_fixture.h"

#include "db/trusted.h"

static bool holds(const struct fixture *fixture, uint64_t customer, const char *text)
{
    struct in6_addr address;

    assert_int_equal(networks_parse_address(&address, text), 0);
    enum db_result result = db_trusted_holds(fixture->db, customer, &address);
    assert_true(result == DB_OK || result == DB_NONE);
    return result == DB_OK;
}

static void trusts_what_was_added(void **state)
{
    const struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_trusted trusted = {0};

    assert_false(holds(fixture, fixture->ours, "192.0.2.7"));
    assert_int_equal(db_trusted_add(db, fixture->ours, "192.0.2.0/24"), DB_OK);
    assert_int_equal(db_trusted_add(db, fixture->ours, "192.0.2.0/24"), DB_TAKEN);
    assert_int_equal(db_trusted_add(db, fixture->ours, "2001:db8::/32"), DB_OK);
    assert_int_equal(db_trusted_add(db, 999, "192.0.2.0/24"), DB_NONE);
    assert_true(holds(fixture, fixture->ours, "192.0.2.7"));
    assert_true(holds(fixture, fixture->ours, "2001:db8::7"));
    assert_false(holds(fixture, fixture->ours, "198.51.100.7"));
    assert_false(holds(fixture, fixture->theirs, "192.0.2.7"));

    assert_int_equal(db_trusted_next(db, fixture->ours, &trusted), DB_OK);
    assert_string_equal(trusted.network, "192.0.2.0/24");
    assert_true(trusted.created > 0);
    assert_int_equal(db_trusted_next(db, fixture->ours, &trusted), DB_OK);
    assert_string_equal(trusted.network, "2001:db8::/32");
    assert_int_equal(db_trusted_next(db, fixture->ours, &trusted), DB_NONE);

    assert_int_equal(db_trusted_remove(db, fixture->theirs, "192.0.2.0/24"), DB_NONE);
    assert_int_equal(db_trusted_remove(db, fixture->ours, "192.0.2.0/24"), DB_OK);
    assert_false(holds(fixture, fixture->ours, "192.0.2.7"));
    assert_int_equal(db_customer_remove(db, fixture->ours, 0), DB_OK);
    assert_false(holds(fixture, fixture->ours, "2001:db8::7"));
}

static void trusts_so_many(void **state)
{
    const struct fixture *fixture = *state;
    char network[NETWORKS_TEXT_SIZE];

    for (unsigned i = 0; i < DB_TRUSTED_MAX; i++) {
        snprintf(network, sizeof(network), "192.0.2.%u", i);
        assert_int_equal(db_trusted_add(fixture->db, fixture->ours, network), DB_OK);
    }
    assert_int_equal(db_trusted_add(fixture->db, fixture->ours, "192.0.2.200"), DB_LIMIT);
    assert_int_equal(db_trusted_add(fixture->db, fixture->ours, "192.0.2.9"), DB_TAKEN);
    assert_int_equal(db_trusted_add(fixture->db, fixture->theirs, "192.0.2.200"), DB_OK);
    assert_true(holds(fixture, fixture->ours, "192.0.2.99"));
    assert_int_equal(db_trusted_remove(fixture->db, fixture->ours, "192.0.2.9"), DB_OK);
    assert_int_equal(db_trusted_add(fixture->db, fixture->ours, "192.0.2.200"), DB_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(trusts_what_was_added),
        fixture_test(trusts_so_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
