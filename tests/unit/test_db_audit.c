#include "tests/unit/db_fixture.h"

#include <sqlite3.h>

#include "db/alias.h"
#include "db/apppassword.h"
#include "db/auditchain.h"
#include "db/domain.h"
#include "db/handle.h"
#include "db/transaction.h"
#include "db/webhook.h"

/* The newest row of ours. */
static struct db_audit newest(struct fixture *fixture)
{
    struct db_audit audit = {0};
    assert_int_equal(db_audit_next(fixture->db, fixture->ours, &audit), DB_OK);
    return audit;
}

/* The newest row's changes, without what differs from run to run: "created" and "changed". */
static void assert_changes(struct fixture *fixture, const char *action, const char *changes)
{
    struct db_audit audit = newest(fixture);
    static const char *const times[] = {",\"created\":", "\"created\":", ",\"changed\":1"};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        char *at;
        while ((at = strstr(audit.changes, times[i])) != NULL) {
            char *end = at + strlen(times[i]);
            end += strspn(end, "0123456789");
            memmove(at, end, strlen(end) + 1);
        }
    }
    assert_string_equal(audit.action, action);
    assert_string_equal(audit.changes, changes);
    db_audit_free(&audit);
}

static void tells_new_rows(void **state)
{
    struct fixture *fixture = *state;
    struct db_mailaddress_new new = {
        .address = fixture_address("a@ours.example"), .name = "An \"A\"", .hash = "secret"};
    assert_changes(fixture, "domain.add",
                   "[{\"of\":\"domain\",\"id\":1,\"after\":{\"name\":\"ours.example\"}}]");
    assert_int_equal(db_mailaddress_add(fixture->db, fixture->ours, &new, NULL), DB_OK);
    assert_changes(
        fixture, "address.add",
        "[{\"of\":\"mailbox\",\"id\":1,\"after\":{\"name\":\"An \\\"A\\\"\",\"suspended\":0,"
        "\"pop3\":1,\"smtp\":1}},"
        "{\"of\":\"address\",\"id\":1,\"after\":{\"domain\":\"ours.example\",\"local\":\"a\","
        "\"mailbox\":1,\"over_plan\":0}},"
        "{\"of\":\"credential\",\"mailbox\":1,\"after\":{\"hash\":\"set\"}}]");
}

static void tells_what_differs(void **state)
{
    struct fixture *fixture = *state;
    struct address a = fixture_address("a@ours.example");
    uint64_t ours = fixture->ours;
    assert_int_equal(fixture_add(fixture->db, ours, a.text, NULL), DB_OK);
    assert_int_equal(db_customer_set_plan(fixture->db, ours, "chain", DB_OVERPLAN_REFUSE), DB_OK);
    assert_changes(fixture, "customer.plan",
                   "[{\"of\":\"customer\",\"id\":1,\"before\":{\"plan\":\"house\"},"
                   "\"after\":{\"plan\":\"chain\"}}]");
    assert_int_equal(db_mailaddress_set_name(fixture->db, ours, &a, "B"), DB_OK);
    assert_changes(fixture, "address.name",
                   "[{\"of\":\"mailbox\",\"id\":1,\"before\":{\"name\":\"\"},"
                   "\"after\":{\"name\":\"B\"}}]");
    assert_int_equal(db_customer_set_suspended(fixture->db, ours, true, DB_SUSPENDED_AS_CONFIGURED),
                     DB_OK);
    assert_changes(fixture, "customer.suspend",
                   "[{\"of\":\"customer\",\"id\":1,\"before\":{\"suspended\":0},"
                   "\"after\":{\"suspended\":1}}]");
}

static void tells_no_secret(void **state)
{
    static const uint8_t digest[DB_DIGEST_SIZE] = "digest";
    struct fixture *fixture = *state;
    struct address a = fixture_address("a@ours.example");
    uint64_t ours = fixture->ours;
    assert_int_equal(fixture_add(fixture->db, ours, a.text, NULL), DB_OK);
    assert_int_equal(db_mailaddress_set_hash(fixture->db, ours, &a, "hash", NULL), DB_OK);
    assert_int_equal(db_mailaddress_set_hash(fixture->db, ours, &a, "other hash", "keys"), DB_OK);
    assert_changes(fixture, "address.password",
                   "[{\"of\":\"credential\",\"mailbox\":1,\"before\":{\"hash\":\"set\","
                   "\"scram\":null},\"after\":{\"hash\":\"changed\",\"scram\":\"changed\"}}]");
    assert_int_equal(db_mailaddress_invite(fixture->db, ours, &a, digest, 7), DB_OK);
    assert_changes(fixture, "address.invite",
                   "[{\"of\":\"invitation\",\"mailbox\":1,\"after\":{\"digest\":\"set\","
                   "\"expires\":7}}]");
}

/*
 * Numbers are no secrets and BLOBs are never told, but a text may be one. One whose name sounds
 * like it is in the list of db/changes.c, or here because it is none.
 */
static void knows_which_texts_are_secret(void **state)
{
    static const char *const known[] = {
        "admin_user.hash",   "credential.hash", "credential.scram", /* secret */
        "job_hash.hash",     "job_hash.scram",                      /* not followed */
        "token_issuer.keys",                                        /* public keys */
    };
    struct fixture *fixture = *state;
    sqlite3_stmt *find;
    assert_int_equal(
        sqlite3_prepare_v2(
            fixture->db->sqlite,
            "SELECT tables.name || '.' || columns.name FROM sqlite_schema AS tables"
            " JOIN pragma_table_info(tables.name) AS columns"
            " WHERE tables.type = 'table' AND columns.type = 'TEXT' AND tables.name NOT IN"
            "     ('audit', 'event', 'mailbox_drop', 'idempotency_key', 'secret')"
            " AND (columns.name LIKE '%hash%' OR columns.name LIKE '%secret%'"
            "     OR columns.name LIKE '%key%' OR columns.name LIKE '%token%'"
            "     OR columns.name LIKE '%scram%' OR columns.name LIKE '%password%')"
            " ORDER BY 1",
            -1, &find, NULL),
        SQLITE_OK);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        assert_int_equal(sqlite3_step(find), SQLITE_ROW);
        assert_string_equal((const char *)sqlite3_column_text(find, 0), known[i]);
    }
    assert_int_equal(sqlite3_step(find), SQLITE_DONE);
    sqlite3_finalize(find);
}

/* By foreign keys and triggers. */
static void tells_what_goes_with_it(void **state)
{
    struct fixture *fixture = *state;
    struct address a = fixture_address("a@ours.example");
    struct address info = fixture_address("info@ours.example");
    uint64_t ours = fixture->ours;
    assert_int_equal(fixture_add(fixture->db, ours, a.text, NULL), DB_OK);
    assert_int_equal(db_mailaddress_set_hash(fixture->db, ours, &a, "hash", NULL), DB_OK);
    assert_int_equal(db_alias_add(fixture->db, ours, &info, &a, 1), DB_OK);
    assert_changes(
        fixture, "alias.add",
        "[{\"of\":\"address\",\"id\":2,\"after\":{\"domain\":\"ours.example\",\"local\":\"info\","
        "\"over_plan\":0}},"
        "{\"of\":\"address_target\",\"address\":2,\"mailbox\":\"a@ours.example\",\"after\":{}}]");
    assert_int_equal(db_mailaddress_remove(fixture->db, ours, &a, 0), DB_OK);
    struct db_audit audit = newest(fixture);
    assert_null(strstr(audit.changes, "outbox"));
    static const char *const gone[] = {
        "{\"of\":\"mailbox\",\"id\":1,", "{\"of\":\"address\",\"id\":1,",
        "{\"of\":\"address\",\"id\":2,", "{\"of\":\"credential\",\"mailbox\":1,",
        "{\"of\":\"address_target\",\"address\":2,\"mailbox\":1,"};
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
        assert_non_null(strstr(audit.changes, gone[i]));
    }
    assert_int_equal(db_audit_next(fixture->db, ours, &audit), DB_OK);
    assert_string_equal(audit.object, info.text);
    assert_string_equal(audit.changes, "");
    db_audit_free(&audit);
}

/* The newest row of the audit and of the events: nothing was written since if they are the same. */
static void assert_same(struct fixture *fixture, uint64_t id, uint64_t event_id)
{
    struct db_audit audit = {0};
    struct db_event event = {0};
    assert_int_equal(db_operator_audit_next(fixture->db, &audit), DB_OK);
    assert_int_equal(audit.id, id);
    assert_int_equal(db_event_next(fixture->db, fixture->ours, &event), DB_OK);
    assert_int_equal(event.id, event_id);
    db_audit_free(&audit);
}

static void what_changes_nothing_leaves_no_trace(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct address a = fixture_address("a@ours.example");
    struct address info = fixture_address("info@ours.example");
    const struct db_mailbox_settings settings = {.pop3 = true, .smtp = true};
    uint64_t ours = fixture->ours;
    struct db_event event = {0};
    struct db_plan plan;
    assert_int_equal(fixture_add(db, ours, a.text, NULL), DB_OK);
    assert_int_equal(db_alias_add(db, ours, &info, &a, 1), DB_OK);
    assert_int_equal(db_mailaddress_set_name(db, ours, &a, "B"), DB_OK);
    assert_int_equal(db_domain_set_catch_all(db, ours, "ours.example", &a), DB_OK);
    assert_int_equal(db_mailaddress_set_suspended(db, ours, &a, true, DB_SUSPENDED_DEFER), DB_OK);
    assert_int_equal(db_customer_set_suspended(db, ours, true, DB_SUSPENDED_DEFER), DB_OK);
    assert_int_equal(db_plan_find(db, "house", &plan), DB_OK);
    struct db_audit audit = newest(fixture);
    assert_int_equal(db_event_next(db, ours, &event), DB_OK);
    for (int within = 0; within < 2; within++) {
        if (within) {
            assert_int_equal(db_transaction_begin(db), DB_OK);
        }
        assert_int_equal(db_plan_set(db, &plan), DB_OK);
        assert_int_equal(db_alias_set(db, ours, &info, &a, 1), DB_OK);
        assert_int_equal(db_mailaddress_set_name(db, ours, &a, "B"), DB_OK);
        assert_int_equal(db_mailaddress_set_settings(db, ours, &a, &settings), DB_OK);
        assert_int_equal(db_domain_set_catch_all(db, ours, "ours.example", &a), DB_OK);
        assert_int_equal(db_mailaddress_set_suspended(db, ours, &a, true, DB_SUSPENDED_DEFER),
                         DB_OK);
        assert_int_equal(db_customer_set_suspended(db, ours, true, DB_SUSPENDED_DEFER), DB_OK);
        assert_int_equal(db_customer_set_plan(db, ours, "house", DB_OVERPLAN_REFUSE), DB_OK);
        assert_int_equal(db_customer_set_name(db, ours, "ours"), DB_OK);
        assert_int_equal(db_customer_set_language(db, ours, LANGUAGE_EN), DB_OK);
        if (within) {
            assert_int_equal(db_transaction_commit(db), DB_OK);
        }
        assert_same(fixture, audit.id, event.id);
    }
    db_audit_free(&audit);
}

static void counts_what_is_too_much(void **state)
{
    struct fixture *fixture = *state;
    char sql[256];
    snprintf(sql, sizeof(sql),
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
             " INSERT INTO any_mailbox (customer, name, created) SELECT 1, '', 1 FROM n",
             DB_CHANGES_MAX + 7);
    assert_int_equal(sqlite3_exec(fixture->db->sqlite, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(db_customer_remove(fixture->db, fixture->ours, 0), DB_OK);
    struct db_audit audit = newest(fixture);
    const char *more = ",{\"more\":11}]"; /* the customer and its domain count twice */
    assert_string_equal(audit.changes + strlen(audit.changes) - strlen(more), more);
    db_audit_free(&audit);
}

/* What was there before a column was has its default, though SQLite tells NULL. */
static void knows_rows_that_are_older_than_a_column(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(
        sqlite3_exec(fixture->db->sqlite,
                     "ALTER TABLE any_mailbox ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'", NULL,
                     NULL, NULL),
        SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(fixture->db->sqlite,
                     "ALTER TABLE any_domain ADD COLUMN rank INTEGER NOT NULL DEFAULT 3", NULL,
                     NULL, NULL),
        SQLITE_OK);
    struct db *db = fixture_open(fixture, DB_WRITE);
    assert_int_equal(change_begin(db), DB_OK);
    assert_int_equal(sqlite3_exec(db->sqlite,
                                  "UPDATE any_domain SET name = 'new.example' WHERE id = 1", NULL,
                                  NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(change_end(db, DB_OK, "test", fixture->ours, ""), DB_OK);
    assert_changes(fixture, "test",
                   "[{\"of\":\"domain\",\"id\":1,\"before\":{\"name\":\"ours.example\"},"
                   "\"after\":{\"name\":\"new.example\"}}]");
    assert_int_equal(change_begin(db), DB_OK);
    assert_int_equal(
        sqlite3_exec(db->sqlite, "UPDATE any_domain SET rank = 4 WHERE id = 2", NULL, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(change_end(db, DB_OK, "test", fixture->ours, ""), DB_OK);
    assert_changes(fixture, "test",
                   "[{\"of\":\"domain\",\"id\":2,\"before\":{\"rank\":3},\"after\":{\"rank\":4}}]");
    db_close(db);
}

static void says_who_and_from_where(void **state)
{
    struct fixture *fixture = *state;
    db_audit_actor(fixture->db, "key panel");
    db_audit_source(fixture->db, "192.0.2.1", "0123abcd");
    assert_int_equal(db_customer_set_plan(fixture->db, fixture->ours, "chain", DB_OVERPLAN_REFUSE),
                     DB_OK);
    struct db_audit audit = newest(fixture);
    assert_string_equal(audit.actor, "key panel");
    assert_string_equal(audit.remote, "192.0.2.1");
    assert_string_equal(audit.request, "0123abcd");
    db_audit_free(&audit);
}

/* An undone change leaves neither a row nor something that the next one would tell. */
static void forgets_what_is_undone(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    uint64_t ours = fixture->ours;
    assert_int_equal(db_transaction_begin(db), DB_OK);
    assert_int_equal(fixture_add(db, ours, "a@ours.example", NULL), DB_OK);
    assert_int_equal(fixture_add(db, ours, "a@ours.example", NULL), DB_TAKEN);
    assert_int_equal(db_customer_set_plan(db, ours, "chain", DB_OVERPLAN_REFUSE), DB_OK);
    assert_int_equal(db_transaction_commit(db), DB_OK);
    assert_changes(fixture, "customer.plan",
                   "[{\"of\":\"customer\",\"id\":1,\"before\":{\"plan\":\"house\"},"
                   "\"after\":{\"plan\":\"chain\"}}]");
}

static void wants_an_audit_row_for_each_change(void **state)
{
    struct fixture *fixture = *state;
    struct sqlite3_stmt *set = statement_get(fixture->db, STATEMENT_CUSTOMER_SET_NAME);
    statement_bind_number(set, 1, fixture->ours);
    statement_bind_text(set, 2, "renamed");
    assert_int_equal(statement_change(fixture->db, set), DB_BROKEN);
}

/* --- chains */

/* What is wrong with the whole audit; empty: nothing. */
static void check(struct fixture *fixture, uint64_t customer, char *error_r, size_t error_size)
{
    struct auditchain *chain = auditchain_new(customer == 0);
    struct db_audit audit = {0};
    enum db_result result = DB_OK;
    int wrong = 0;
    error_r[0] = '\0';
    while (wrong == 0 && result == DB_OK) {
        result = customer == 0 ? db_operator_audit_follow(fixture->db, &audit)
                               : db_audit_follow(fixture->db, customer, &audit);
        wrong = result == DB_OK ? auditchain_check(chain, &audit, error_r, error_size) : 0;
    }
    assert_true(wrong != 0 || result == DB_NONE);
    db_audit_free(&audit);
    auditchain_free(chain);
}

static void tamper(struct fixture *fixture, const char *sql)
{
    char *error = NULL;
    sqlite3_exec(fixture->db->sqlite,
                 "DROP TRIGGER IF EXISTS audit_stays; DROP TRIGGER IF EXISTS audit_is_kept", NULL,
                 NULL, NULL);
    if (sqlite3_exec(fixture->db->sqlite, sql, NULL, NULL, &error) != SQLITE_OK) {
        fail_msg("%s: %s", sql, error);
    }
}

/* Ours: customer.add, domain.add; theirs the same in between; then as many more of ours. */
static void make_rows(struct fixture *fixture)
{
    struct db_plan plan;
    assert_int_equal(db_plan_find(fixture->db, "house", &plan), DB_OK);
    assert_int_equal(db_customer_set_plan(fixture->db, fixture->ours, "chain", DB_OVERPLAN_REFUSE),
                     DB_OK);
    plan.poll_seconds++;
    assert_int_equal(db_plan_set(fixture->db, &plan), DB_OK);
    assert_int_equal(db_customer_set_plan(fixture->db, fixture->ours, "house", DB_OVERPLAN_REFUSE),
                     DB_OK);
}

static void chains_what_is_written(void **state)
{
    struct fixture *fixture = *state;
    char error[512];
    make_rows(fixture);
    check(fixture, 0, error, sizeof(error));
    assert_string_equal(error, "");
    check(fixture, fixture->ours, error, sizeof(error));
    assert_string_equal(error, "");
    check(fixture, fixture->theirs, error, sizeof(error));
    assert_string_equal(error, "");
}

static void names_the_first_wrong_row(void **state)
{
    static const struct {
        const char *sql;
        const char *whole; /* of the operator's check; empty: nothing wrong */
        const char *ours;  /* of the customer's */
    } rows[] = {
        {"UPDATE audit SET actor = 'x' WHERE customer = 1 AND number = 2", "row 2 of customer 1 ",
         "row 2 of customer 1 "},
        {"UPDATE audit SET changes = replace(changes, 'house', 'single') WHERE customer = 1 AND"
         " number = 3",
         "row 3 of customer 1 ", "row 3 of customer 1 "},
        {"UPDATE audit SET time = time + 1 WHERE customer IS NULL", "row 1 of customer 0 ", ""},
        {"UPDATE audit SET customer = 3, number = 1 WHERE customer = 1 AND number = 4",
         "row 1 of customer 3 ", ""},
        {"UPDATE audit SET digest = NULL, chain = NULL WHERE customer = 1 AND number = 3",
         "row 3 of customer 1 ", "row 3 of customer 1 "},
        {"DELETE FROM audit WHERE customer = 1 AND number = 2", "row 2 of customer 2 ",
         "row 3 of customer 1 "},
        /* All of a customer, and what nobody's chain but the operator's knows. */
        {"DELETE FROM audit WHERE customer = 2", "row 2 of customer 1 ", ""},
        /* The newest are missed by nobody: what has been noted elsewhere shows it. */
        {"DELETE FROM audit WHERE customer = 1 AND number = 4", "", ""},
    };
    struct fixture *fixture = *state;
    make_rows(fixture);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char error[512];
        tamper(fixture, "BEGIN");
        tamper(fixture, rows[i].sql);
        check(fixture, 0, error, sizeof(error));
        if (strncmp(error, rows[i].whole, strlen(rows[i].whole)) != 0 ||
            (rows[i].whole[0] == '\0' && error[0] != '\0')) {
            fail_msg("%s: all: %s", rows[i].sql, error);
        }
        check(fixture, fixture->ours, error, sizeof(error));
        if (strncmp(error, rows[i].ours, strlen(rows[i].ours)) != 0 ||
            (rows[i].ours[0] == '\0' && error[0] != '\0')) {
            fail_msg("%s: ours: %s", rows[i].sql, error);
        }
        tamper(fixture, "ROLLBACK");
    }
}

static void refuses_to_change_the_audit(void **state)
{
    struct fixture *fixture = *state;
    static const char *const attempts[] = {"DELETE FROM audit WHERE id = 1",
                                           "UPDATE audit SET actor = 'x' WHERE id = 1"};
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
        assert_int_equal(sqlite3_exec(fixture->db->sqlite, attempts[i], NULL, NULL, NULL),
                         SQLITE_CONSTRAINT_TRIGGER);
    }
}

static void keeps_a_removed_customers_chain(void **state)
{
    struct fixture *fixture = *state;
    char error[512];
    assert_int_equal(db_customer_remove(fixture->db, fixture->ours, 0), DB_OK);
    assert_changes(fixture, "customer.remove",
                   "[{\"of\":\"domain\",\"id\":1,\"before\":{\"name\":\"ours.example\"}},"
                   "{\"of\":\"customer\",\"id\":1,\"before\":{\"name\":\"ours\",\"plan\":\"house\","
                   "\"suspended\":0,\"language\":\"en\",\"over_plan\":\"refuse\"}}]");
    check(fixture, fixture->ours, error, sizeof(error));
    assert_string_equal(error, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(tells_new_rows),
        fixture_test(tells_what_differs),
        fixture_test(tells_no_secret),
        fixture_test(knows_which_texts_are_secret),
        fixture_test(tells_what_goes_with_it),
        fixture_test(what_changes_nothing_leaves_no_trace),
        fixture_test(counts_what_is_too_much),
        fixture_test(knows_rows_that_are_older_than_a_column),
        fixture_test(says_who_and_from_where),
        fixture_test(forgets_what_is_undone),
        fixture_test(wants_an_audit_row_for_each_change),
        fixture_test(chains_what_is_written),
        fixture_test(names_the_first_wrong_row),
        fixture_test(refuses_to_change_the_audit),
        fixture_test(keeps_a_removed_customers_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
