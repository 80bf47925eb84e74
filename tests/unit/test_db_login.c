#include "tests/unit/db_fixture.h"

#include "db/alias.h"
#include "db/customer.h"
#include "db/login.h"
#include "db/plan.h"
#include "db/route.h"

/* What authd and lmtpd read, through a handle of their own, while another one changes things. */

struct reader {
    struct fixture *fixture;
    struct db *db;
    uint64_t ours;
    uint64_t theirs;
    struct address address; /* a@ours.example */
    struct address alias;   /* all@ours.example, to a and b */
};

static int set_up(void **state)
{
    struct fixture *fixture = NULL;
    fixture_set_up((void **)&fixture);
    struct reader *reader = xcalloc(1, sizeof(*reader));
    reader->fixture = fixture;
    reader->address = fixture_address("a@ours.example");
    reader->alias = fixture_address("all@ours.example");
    const struct address targets[] = {reader->address, fixture_address("b@ours.example")};
    assert_int_equal(fixture_add(fixture->db, fixture->ours, "a@ours.example", &reader->ours),
                     DB_OK);
    assert_int_equal(fixture_add(fixture->db, fixture->ours, "b@ours.example", NULL), DB_OK);
    assert_int_equal(fixture_add(fixture->db, fixture->theirs, "a@theirs.example", &reader->theirs),
                     DB_OK);
    assert_int_equal(db_alias_add(fixture->db, fixture->ours, &reader->alias, targets, 2), DB_OK);
    reader->db = fixture_open(fixture, DB_READ);
    *state = reader;
    return 0;
}

static int tear_down(void **state)
{
    struct reader *reader = *state;
    void *fixture = reader->fixture;
    db_close(reader->db);
    free(reader);
    return fixture_tear_down(&fixture);
}

static void finds_the_mailbox_of_an_address(void **state)
{
    static const char *const unknown[] = {"c@ours.example", "a@theirs.example.example", "@", "a@",
                                          "all@ours.example"};
    struct reader *reader = *state;
    struct db_login login;
    struct address theirs = fixture_address("a@theirs.example");
    assert_int_equal(db_login_find(reader->db, &reader->address, &login), DB_OK);
    assert_int_equal(login.mailbox, reader->ours);
    assert_int_equal(login.customer, reader->fixture->ours);
    assert_false(login.suspended);
    assert_true(login.sending);
    assert_string_equal(login.hash, "");
    assert_int_equal(login.retention_days, 0);
    assert_int_equal(login.language, LANGUAGE_EN);
    assert_int_equal(db_login_find(reader->db, &theirs, &login), DB_OK);
    assert_int_equal(login.mailbox, reader->theirs);
    assert_int_equal(login.customer, reader->fixture->theirs);
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        struct address address = fixture_address(unknown[i]);
        assert_int_equal(db_login_find(reader->db, &address, &login), DB_NONE);
    }
}

static void sees_each_change_at_the_next_login(void **state)
{
    struct reader *reader = *state;
    struct db *db = reader->fixture->db;
    uint64_t ours = reader->fixture->ours;
    struct db_login login;
    char longest[DB_HASH_SIZE];
    memset(longest, 'h', sizeof(longest));
    longest[DB_HASH_SIZE - 1] = '\0';
    char keys[SCRAMKEYS_TEXT_SIZE];
    memset(keys, 'k', sizeof(keys));
    keys[sizeof(keys) - 1] = '\0';

    for (int round = 0; round < 2; round++) {
        assert_int_equal(db_mailaddress_set_hash(db, ours, &reader->address, longest, keys), DB_OK);
        assert_int_equal(db_login_find(reader->db, &reader->address, &login), DB_OK);
        assert_string_equal(login.hash, longest);
        assert_string_equal(login.scram, keys);
        /* No key of a password outlives it. */
        assert_int_equal(db_mailaddress_set_hash(db, ours, &reader->address, "x", NULL), DB_OK);
        assert_int_equal(db_login_find(reader->db, &reader->address, &login), DB_OK);
        assert_string_equal(login.scram, "");
        assert_int_equal(db_mailaddress_set_hash(db, ours, &reader->address, NULL, NULL), DB_OK);
        assert_int_equal(db_login_find(reader->db, &reader->address, &login), DB_OK);
        assert_string_equal(login.hash, "");

        assert_int_equal(
            db_customer_set_suspended(db, ours, round == 0, DB_SUSPENDED_AS_CONFIGURED), DB_OK);
        assert_int_equal(db_login_find(reader->db, &reader->address, &login), DB_OK);
        assert_int_equal(login.suspended, round == 0);
    }
    struct db_plan plan;
    assert_int_equal(db_plan_find(db, "house", &plan), DB_OK);
    plan.retention_days = 30;
    plan.poll_seconds = 77;
    plan.sending = false;
    assert_int_equal(db_plan_set(db, &plan), DB_OK);
    assert_int_equal(db_customer_set_language(db, ours, LANGUAGE_ES), DB_OK);
    assert_int_equal(db_login_find(reader->db, &reader->address, &login), DB_OK);
    assert_int_equal(login.retention_days, 30);
    assert_int_equal(login.poll_seconds, 77);
    assert_false(login.sending);
    assert_int_equal(login.language, LANGUAGE_ES);
    assert_int_equal(
        db_mailaddress_set_suspended(db, ours, &reader->address, true, DB_SUSPENDED_AS_CONFIGURED),
        DB_OK);
    assert_int_equal(db_login_find(reader->db, &reader->address, &login), DB_OK);
    assert_true(login.suspended);
    assert_int_equal(db_mailaddress_remove(db, ours, &reader->address, 0), DB_OK);
    assert_int_equal(db_login_find(reader->db, &reader->address, &login), DB_NONE);
}

static void routes_to_the_mailbox_with_its_plan(void **state)
{
    struct reader *reader = *state;
    struct db_route routes[DB_ROUTE_MAX];
    struct db_plan plan;
    unsigned count = 99;
    struct address unknown = fixture_address("c@ours.example");
    assert_int_equal(db_plan_find(reader->db, "house", &plan), DB_OK);
    assert_int_equal(db_route_find(reader->db, &reader->address, routes, &count), DB_OK);
    assert_int_equal(count, 1);
    assert_int_equal(routes[0].mailbox, reader->ours);
    assert_int_equal(routes[0].quota_octets, plan.mailbox_octets);
    assert_int_equal(routes[0].quota_messages, plan.mailbox_messages);
    assert_int_equal(routes[0].message_octets_max, plan.message_octets);
    assert_false(routes[0].suspended);
    assert_int_equal(db_route_find(reader->db, &unknown, routes, &count), DB_NONE);
    assert_int_equal(count, 0);
}

static void routes_an_alias_to_each_target(void **state)
{
    struct reader *reader = *state;
    struct db *db = reader->fixture->db;
    uint64_t ours = reader->fixture->ours;
    struct db_route routes[DB_ROUTE_MAX];
    unsigned count = 0;
    assert_int_equal(
        db_mailaddress_set_suspended(db, ours, &reader->address, true, DB_SUSPENDED_AS_CONFIGURED),
        DB_OK);
    assert_int_equal(db_route_find(reader->db, &reader->alias, routes, &count), DB_OK);
    assert_int_equal(count, 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(routes[i].suspended, routes[i].mailbox == reader->ours);
    }
    assert_int_not_equal(routes[0].mailbox, routes[1].mailbox);
    assert_int_equal(db_customer_set_suspended(db, ours, true, DB_SUSPENDED_AS_CONFIGURED), DB_OK);
    assert_int_equal(db_mailaddress_remove(db, ours, &reader->address, 0), DB_OK);
    assert_int_equal(db_route_find(reader->db, &reader->alias, routes, &count), DB_OK);
    assert_int_equal(count, 1);
    assert_true(routes[0].suspended);
    assert_int_equal(db_customer_remove(db, ours, 0), DB_OK);
    assert_int_equal(db_route_find(reader->db, &reader->alias, routes, &count), DB_NONE);
}

/* The largest alias there can be: 99 mailboxes, since it counts as an address itself. */
static void routes_the_largest_alias(void **state)
{
    static struct address targets[99];
    struct reader *reader = *state;
    struct db *db = reader->fixture->db;
    struct db_route routes[DB_ROUTE_MAX];
    uint64_t large;
    unsigned count = 0;
    struct address alias = fixture_address("all@large.example");
    assert_int_equal(db_customer_add(db, "large", "chain", &large), DB_OK);
    assert_int_equal(db_domain_add(db, large, "large.example"), DB_OK);
    for (size_t i = 0; i < 99; i++) {
        char text[40];
        snprintf(text, sizeof(text), "m%zu@large.example", i);
        targets[i] = fixture_address(text);
        assert_int_equal(fixture_add(db, large, text, NULL), DB_OK);
    }
    assert_int_equal(db_alias_add(db, large, &alias, targets, 99), DB_OK);
    assert_int_equal(db_route_find(reader->db, &alias, routes, &count), DB_OK);
    assert_int_equal(count, 99);
}

#define login_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        login_test(finds_the_mailbox_of_an_address),
        login_test(sees_each_change_at_the_next_login),
        login_test(routes_to_the_mailbox_with_its_plan),
        login_test(routes_an_alias_to_each_target),
        login_test(routes_the_largest_alias),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
