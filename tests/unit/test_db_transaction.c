#include "tests/unit/db_fixture.h"

#include <sqlite3.h>
#include <time.h>

#include "db/audit.h"
#include "db/drop.h"
#include "db/handle.h"
#include "db/plan.h"
#include "db/transaction.h"

static bool exists(struct db *db, const char *text)
{
    struct db_mailaddress found;
    struct address address = fixture_address(text);
    return db_mailaddress_find(db, &address, &found) == DB_OK;
}

static unsigned audit_rows(struct db *db)
{
    struct db_audit audit = {0};
    unsigned rows = 0;
    while (db_operator_audit_next(db, &audit) == DB_OK) {
        rows++;
    }
    return rows;
}

static void keeps_what_was_not_refused(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db *reader = fixture_open(fixture, DB_READ);
    unsigned before = audit_rows(db);
    uint64_t dropped = 0;
    assert_int_equal(db_transaction_begin(db), DB_OK);
    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", NULL), DB_OK);
    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", NULL), DB_TAKEN);
    assert_int_equal(fixture_add(db, fixture->ours, "a@theirs.example", NULL), DB_NONE);
    assert_int_equal(fixture_add(db, fixture->ours, "b@ours.example", NULL), DB_OK);
    assert_true(exists(db, "a@ours.example"));
    assert_false(exists(reader, "a@ours.example"));
    assert_int_equal(db_transaction_commit(db), DB_OK);
    assert_true(exists(reader, "a@ours.example"));
    assert_true(exists(reader, "b@ours.example"));
    assert_int_equal(audit_rows(db), before + 2);
    db_close(reader);

    /* The refused ones have left no mailbox behind. */
    assert_int_equal(db_customer_remove(db, fixture->ours, 0), DB_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(db_drop_next(db, dropped, &dropped), DB_OK);
    }
    assert_int_equal(db_drop_next(db, dropped, &dropped), DB_NONE);
}

/* Without savepoints: after a refusal nothing can be kept. */
static void is_undone_as_a_whole(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_customer customer;

    assert_int_equal(db_transaction_begin(db), DB_OK);
    db_transaction_is_whole(db);
    assert_int_equal(db_customer_add(db, "one", "house", NULL), DB_OK);
    assert_int_equal(db_customer_add(db, "two", "house", NULL), DB_OK);
    assert_int_equal(db_transaction_commit(db), DB_OK);
    assert_int_equal(db_customer_find(db, "one", &customer), DB_OK);
    /* What changes nothing spoils nothing. */
    assert_int_equal(db_transaction_begin(db), DB_OK);
    db_transaction_is_whole(db);
    assert_int_equal(db_customer_set_plan(db, customer.id, "house", DB_OVERPLAN_REFUSE), DB_OK);
    assert_int_equal(db_transaction_commit(db), DB_OK);
    assert_int_equal(db_transaction_begin(db), DB_OK);
    db_transaction_is_whole(db);
    assert_int_equal(db_customer_add(db, "three", "house", NULL), DB_OK);
    assert_int_equal(db_customer_add(db, "two", "house", NULL), DB_TAKEN);
    assert_int_equal(db_transaction_commit(db), DB_BROKEN);
    assert_int_equal(db_customer_find(db, "two", &customer), DB_OK);
    assert_int_equal(db_customer_find(db, "three", &customer), DB_NONE);
    /* It is over, and the next one is as always. */
    assert_int_equal(db_transaction_begin(db), DB_OK);
    assert_int_equal(db_customer_add(db, "two", "house", NULL), DB_TAKEN);
    assert_int_equal(db_customer_add(db, "three", "house", NULL), DB_OK);
    assert_int_equal(db_transaction_commit(db), DB_OK);
    assert_int_equal(db_customer_find(db, "three", &customer), DB_OK);
}

static void reads_as_of_one_moment(void **state)
{
    struct fixture *fixture = *state;
    struct db *reader = fixture_open(fixture, DB_READ);

    for (int i = 0; i < 2; i++) {
        db_read_begin(reader);
        assert_int_equal(exists(reader, "a@ours.example"), i);
        assert_int_equal(fixture_add(fixture->db, fixture->ours,
                                     i == 0 ? "a@ours.example" : "b@ours.example", NULL),
                         DB_OK);
        assert_int_equal(exists(reader, "a@ours.example"), i);
        assert_false(exists(reader, "b@ours.example"));
        db_read_end(reader);
    }
    assert_true(exists(reader, "b@ours.example"));
    db_close(reader);
}

static void forgets_what_is_rolled_back(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    unsigned before = audit_rows(db);
    db_transaction_rollback(db);
    assert_int_equal(db_transaction_begin(db), DB_OK);
    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", NULL), DB_OK);
    db_transaction_rollback(db);
    assert_false(exists(db, "a@ours.example"));
    assert_int_equal(audit_rows(db), before);
    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", NULL), DB_OK);
}

static void does_not_nest(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(db_transaction_commit(fixture->db), DB_BROKEN);
    assert_int_equal(db_transaction_begin(fixture->db), DB_OK);
    assert_int_equal(db_transaction_begin(fixture->db), DB_BROKEN);
    assert_int_equal(db_transaction_commit(fixture->db), DB_OK);
}

static void forgets_what_is_not_committed_at_the_end(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture_open(fixture, DB_WRITE);
    assert_int_equal(db_transaction_begin(db), DB_OK);
    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", NULL), DB_OK);
    db_close(db);
    assert_false(exists(fixture->db, "a@ours.example"));
}

/* A database that fails in the middle of a batch: a trigger of the test's own stands for it. */
static void commits_nothing_after_a_failure(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    assert_int_equal(sqlite3_exec(db->sqlite,
                                  "CREATE TRIGGER fault BEFORE INSERT ON any_address"
                                  " WHEN NEW.local = 'fault'"
                                  " BEGIN SELECT RAISE(ABORT, 'the disk is on fire'); END",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(db_transaction_begin(db), DB_OK);
    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", NULL), DB_OK);
    assert_int_equal(fixture_add(db, fixture->ours, "fault@ours.example", NULL), DB_BROKEN);
    assert_int_equal(fixture_add(db, fixture->ours, "b@ours.example", NULL), DB_BROKEN);
    assert_int_equal(db_transaction_commit(db), DB_BROKEN);
    assert_false(exists(db, "a@ours.example"));
    assert_int_equal(fixture_add(db, fixture->ours, "b@ours.example", NULL), DB_OK);
}

static void is_busy_while_another_one_writes(void **state)
{
    struct fixture *fixture = *state;
    struct db *other = fixture_open(fixture, DB_WRITE);
    sqlite3_busy_timeout(other->sqlite, 1);
    assert_int_equal(db_transaction_begin(fixture->db), DB_OK);
    assert_int_equal(fixture_add(other, fixture->ours, "a@ours.example", NULL), DB_BUSY);
    assert_int_equal(db_transaction_begin(other), DB_BUSY);
    assert_false(exists(other, "a@ours.example"));
    db_transaction_rollback(fixture->db);
    assert_int_equal(fixture_add(other, fixture->ours, "a@ours.example", NULL), DB_OK);
    db_close(other);
}

static void writes_an_audit_row_for_each_change(void **state)
{
    static const char *const actions[] = {"customer.resume", "customer.suspend", "customer.name",
                                          "customer.plan",   "address.resume",   "address.suspend",
                                          "address.name",    "address.invite",   "address.password",
                                          "address.add"};
    static const uint8_t digest[DB_DIGEST_SIZE] = {0};
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_audit audit = {0};
    struct address a = fixture_address("a@ours.example");
    uint64_t ours = fixture->ours;
    db_audit_actor(db, "tester");
    assert_int_equal(fixture_add(db, ours, a.text, NULL), DB_OK);
    assert_int_equal(db_mailaddress_set_hash(db, ours, &a, "x", NULL), DB_OK);
    assert_int_equal(db_mailaddress_invite(db, ours, &a, digest, 1), DB_OK);
    assert_int_equal(db_mailaddress_set_name(db, ours, &a, "A"), DB_OK);
    assert_int_equal(db_mailaddress_set_suspended(db, ours, &a, true, DB_SUSPENDED_AS_CONFIGURED),
                     DB_OK);
    assert_int_equal(db_mailaddress_set_suspended(db, ours, &a, false, DB_SUSPENDED_AS_CONFIGURED),
                     DB_OK);
    assert_int_equal(db_customer_set_plan(db, ours, "chain", DB_OVERPLAN_REFUSE), DB_OK);
    assert_int_equal(db_customer_set_name(db, ours, "renamed"), DB_OK);
    assert_int_equal(db_customer_set_suspended(db, ours, true, DB_SUSPENDED_AS_CONFIGURED), DB_OK);
    assert_int_equal(db_customer_set_suspended(db, ours, false, DB_SUSPENDED_AS_CONFIGURED), DB_OK);
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        assert_int_equal(db_audit_next(db, ours, &audit), DB_OK);
        assert_string_equal(audit.action, actions[i]);
        assert_string_equal(audit.actor, "tester");
        assert_string_equal(audit.object, i < 2 ? "renamed" : i < 4 ? "ours" : a.text);
        assert_true(llabs((long long)audit.time - time(NULL)) < 60);
    }
    assert_int_equal(db_audit_next(db, ours, &audit), DB_OK);
    assert_string_equal(audit.action, "domain.add");
    assert_string_equal(audit.actor, "bellhop");
    db_audit_free(&audit);
}

static void writes_audit_rows_of_the_operator(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_audit audit = {0};
    struct db_plan plan;
    assert_int_equal(db_plan_find(db, "house", &plan), DB_OK);
    plan.poll_seconds++;
    assert_int_equal(db_plan_set(db, &plan), DB_OK);
    assert_int_equal(db_customer_remove(db, fixture->theirs, 0), DB_OK);
    assert_int_equal(db_operator_audit_next(db, &audit), DB_OK);
    assert_string_equal(audit.action, "customer.remove");
    assert_string_equal(audit.object, "theirs");
    assert_int_equal(audit.customer, fixture->theirs);
    assert_int_equal(db_operator_audit_next(db, &audit), DB_OK);
    assert_string_equal(audit.action, "plan.set");
    assert_string_equal(audit.object, "house");
    assert_int_equal(audit.customer, 0);
    db_audit_free(&audit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(is_undone_as_a_whole),
        fixture_test(reads_as_of_one_moment),
        fixture_test(keeps_what_was_not_refused),
        fixture_test(forgets_what_is_rolled_back),
        fixture_test(does_not_nest),
        fixture_test(forgets_what_is_not_committed_at_the_end),
        fixture_test(commits_nothing_after_a_failure),
        fixture_test(is_busy_while_another_one_writes),
        fixture_test(writes_an_audit_row_for_each_change),
        fixture_test(writes_audit_rows_of_the_operator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
