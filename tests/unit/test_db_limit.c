#include "tests/unit/db_fixture.h"

#include <pthread.h>

#include "db/alias.h"
#include "db/limit.h"
#include "db/plan.h"

static void assert_limit(const struct db *db, enum db_limit_kind kind, unsigned allowed,
                         unsigned used, const char *plan)
{
    struct db_limit limit;
    db_limit_get(db, &limit);
    assert_int_equal(limit.kind, kind);
    assert_int_equal(limit.allowed, allowed);
    assert_int_equal(limit.used, used);
    assert_string_equal(limit.plan, plan);
    assert_string_equal(limit.customer, "ours");
}

static void limits_addresses_of_both_kinds(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct address alias = fixture_address("alias@ours.example");
    struct address target = fixture_address("m0@ours.example");
    for (int i = 0; i < 24; i++) {
        char text[40];
        snprintf(text, sizeof(text), "m%d@ours.example", i);
        assert_int_equal(fixture_add(db, fixture->ours, text, NULL), DB_OK);
    }
    assert_int_equal(db_alias_add(db, fixture->ours, &alias, &target, 1), DB_OK);
    assert_int_equal(fixture_add(db, fixture->ours, "more@ours.example", NULL), DB_LIMIT);
    assert_limit(db, DB_LIMIT_ADDRESSES, 25, 25, "house");
    alias = fixture_address("more@ours.example");
    assert_int_equal(db_alias_add(db, fixture->ours, &alias, &target, 1), DB_LIMIT);

    /* That it exists already says more than that there is no room. */
    assert_int_equal(fixture_add(db, fixture->ours, "m0@ours.example", NULL), DB_TAKEN);
    assert_int_equal(fixture_add(db, fixture->theirs, "m0@theirs.example", NULL), DB_OK);
    assert_int_equal(db_mailaddress_remove(db, fixture->ours, &target, 0), DB_OK);
    assert_int_equal(fixture_add(db, fixture->ours, "more@ours.example", NULL), DB_OK);
}

static void limits_domains(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    assert_int_equal(db_domain_add(db, fixture->ours, "two.example"), DB_OK);
    assert_int_equal(db_domain_add(db, fixture->ours, "three.example"), DB_OK);
    assert_int_equal(db_domain_add(db, fixture->ours, "four.example"), DB_LIMIT);
    assert_limit(db, DB_LIMIT_DOMAINS, 3, 3, "house");
    assert_int_equal(db_domain_add(db, fixture->theirs, "four.example"), DB_OK);
}

static void refuses_a_plan_that_is_too_small(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_customer customer;
    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", NULL), DB_OK);
    assert_int_equal(fixture_add(db, fixture->ours, "b@ours.example", NULL), DB_OK);
    assert_int_equal(db_customer_set_plan(db, fixture->ours, "single", DB_OVERPLAN_REFUSE),
                     DB_LIMIT);
    assert_limit(db, DB_LIMIT_ADDRESSES, 1, 2, "single");
    assert_int_equal(db_customer_get(db, fixture->ours, &customer), DB_OK);
    assert_string_equal(customer.plan, "house");

    struct address b = fixture_address("b@ours.example");
    assert_int_equal(db_mailaddress_remove(db, fixture->ours, &b, 0), DB_OK);
    assert_int_equal(db_domain_add(db, fixture->ours, "two.example"), DB_OK);
    assert_int_equal(db_customer_set_plan(db, fixture->ours, "single", DB_OVERPLAN_REFUSE),
                     DB_LIMIT);
    assert_limit(db, DB_LIMIT_DOMAINS, 1, 2, "single");
    assert_int_equal(db_domain_remove(db, fixture->ours, "two.example", 0), DB_OK);
    assert_int_equal(db_customer_set_plan(db, fixture->ours, "single", DB_OVERPLAN_REFUSE), DB_OK);
}

static void refuses_to_make_a_plan_too_small(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_plan plan;
    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", NULL), DB_OK);
    assert_int_equal(fixture_add(db, fixture->ours, "b@ours.example", NULL), DB_OK);
    assert_int_equal(db_domain_add(db, fixture->ours, "two.example"), DB_OK);
    assert_int_equal(db_plan_find(db, "house", &plan), DB_OK);
    plan.addresses = 1;
    assert_int_equal(db_plan_set(db, &plan), DB_LIMIT);
    assert_limit(db, DB_LIMIT_ADDRESSES, 1, 2, "house");
    plan.addresses = 2;
    plan.domains = 1;
    assert_int_equal(db_plan_set(db, &plan), DB_LIMIT);
    assert_limit(db, DB_LIMIT_DOMAINS, 1, 2, "house");
    plan.domains = 2;
    assert_int_equal(db_plan_set(db, &plan), DB_OK);
    assert_int_equal(fixture_add(db, fixture->ours, "c@ours.example", NULL), DB_LIMIT);
}

#define ADDERS 200

struct adder {
    pthread_t thread;
    const struct fixture *fixture;
    unsigned number;
    enum db_result result;
};

static void *add_one(void *context)
{
    struct adder *adder = context;
    char text[40];
    char error[512];
    snprintf(text, sizeof(text), "p%u@ours.example", adder->number);
    struct db *db = db_open(adder->fixture->path, DB_WRITE, error, sizeof(error));
    adder->result = DB_BROKEN;
    if (db != NULL) {
        /* BUSY is no answer yet: on a slow machine 200 writers may wait longer than one should. */
        do {
            adder->result = fixture_add(db, adder->fixture->ours, text, NULL);
        } while (adder->result == DB_BUSY);
    }
    db_close(db);
    return NULL;
}

static void gives_the_last_free_address_to_one_of_many(void **state)
{
    static struct adder adders[ADDERS];
    struct fixture *fixture = *state;
    unsigned counts[DB_BROKEN + 1] = {0};
    struct db_customer customer;
    for (int i = 0; i < 24; i++) {
        char text[40];
        snprintf(text, sizeof(text), "m%d@ours.example", i);
        assert_int_equal(fixture_add(fixture->db, fixture->ours, text, NULL), DB_OK);
    }
    for (unsigned i = 0; i < ADDERS; i++) {
        adders[i].fixture = fixture;
        adders[i].number = i;
        assert_int_equal(pthread_create(&adders[i].thread, NULL, add_one, &adders[i]), 0);
    }
    for (unsigned i = 0; i < ADDERS; i++) {
        pthread_join(adders[i].thread, NULL);
        counts[adders[i].result]++;
    }
    assert_int_equal(counts[DB_OK], 1);
    assert_int_equal(counts[DB_LIMIT], ADDERS - 1);
    assert_int_equal(db_customer_get(fixture->db, fixture->ours, &customer), DB_OK);
    assert_int_equal(customer.addresses, 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(limits_addresses_of_both_kinds),
        fixture_test(limits_domains),
        fixture_test(refuses_a_plan_that_is_too_small),
        fixture_test(refuses_to_make_a_plan_too_small),
        fixture_test(gives_the_last_free_address_to_one_of_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
