#include "tests/unit/db_fixture.h"

#include <time.h>

#include "db/alias.h"
#include "db/apppassword.h"
#include "db/audit.h"
#include "db/drop.h"
#include "db/job.h"
#include "db/limit.h"
#include "db/removal.h"
#include "db/route.h"

/* What was removed and can come back; that it is gone with 0 seconds is in test_db_accounts.c. */

#define KEEP 86400

static bool is_there(struct fixture *fixture, const char *text)
{
    struct address address = fixture_address(text);
    struct db_mailaddress found;
    struct db_login login;
    struct db_route routes[DB_ROUTE_MAX];
    unsigned count;
    enum db_result result = db_mailaddress_find(fixture->db, &address, &found);
    assert_int_equal(db_route_find(fixture->db, &address, routes, &count), result);
    if (result == DB_OK && found.mailbox == 0) {
        assert_int_equal(count, found.targets);
        return true;
    }
    assert_int_equal(db_login_find(fixture->db, &address, &login), result);
    return result == DB_OK;
}

static enum db_result restore(struct fixture *fixture, enum db_removal_kind kind, const char *name)
{
    struct db_removal removal;
    enum db_result result = db_removal_find(fixture->db, 0, kind, name, &removal);
    return result == DB_OK ? db_removal_restore(fixture->db, &removal) : result;
}

static enum db_result drop(struct fixture *fixture, const char *text, uint64_t keep)
{
    struct address address = fixture_address(text);
    return db_mailaddress_remove(fixture->db, fixture->ours, &address, keep);
}

static void add_alias(struct fixture *fixture, const char *text, const char *one, const char *two)
{
    struct address alias = fixture_address(text);
    struct address targets[] = {fixture_address(one), fixture_address(two)};
    assert_int_equal(db_alias_add(fixture->db, fixture->ours, &alias, targets, 2), DB_OK);
}

static unsigned count_removals(struct fixture *fixture)
{
    struct db_removal removal = {0};
    struct db_removal ours = {0};
    unsigned count = 0;
    while (db_operator_removal_next(fixture->db, &removal) == DB_OK) {
        assert_int_equal(db_removal_next(fixture->db, fixture->ours, &ours), DB_OK);
        assert_int_equal(ours.id, removal.id);
        count++;
    }
    ours.id = 0;
    assert_int_equal(db_removal_next(fixture->db, fixture->theirs, &ours), DB_NONE);
    return count;
}

/* With everything: password, app password, aliases, unique-ids by the mailbox's number. */
static void brings_an_address_back_as_it_was(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct address a = fixture_address("a@ours.example");
    const struct db_app_password phone = {.name = "phone", .pop3 = true};
    const uint8_t digest[APPPASSWORD_DIGEST_SIZE] = {8};
    struct db_app_password found;
    struct db_login before, after;
    uint64_t dropped = 0;
    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", NULL), DB_OK);
    assert_int_equal(fixture_add(db, fixture->ours, "b@ours.example", NULL), DB_OK);
    assert_int_equal(db_mailaddress_set_hash(db, fixture->ours, &a, "x", "y"), DB_OK);
    assert_int_equal(db_app_password_add(db, fixture->ours, &a, &phone, digest), DB_OK);
    add_alias(fixture, "alone@ours.example", "a@ours.example", "a@ours.example");
    add_alias(fixture, "both@ours.example", "a@ours.example", "b@ours.example");
    memset(&before, 0, sizeof(before));
    memset(&after, 0, sizeof(after));
    assert_int_equal(db_login_find(db, &a, &before), DB_OK);

    assert_int_equal(drop(fixture, "a@ours.example", KEEP), DB_OK);
    assert_int_equal(drop(fixture, "a@ours.example", KEEP), DB_NONE);
    assert_false(is_there(fixture, "a@ours.example"));
    assert_false(is_there(fixture, "alone@ours.example"));
    assert_true(is_there(fixture, "both@ours.example"));
    assert_int_equal(count_removals(fixture), 1);
    assert_int_equal(db_mailaddress_set_hash(db, fixture->ours, &a, "z", NULL), DB_NONE);
    assert_int_equal(db_drop_next(db, 0, &dropped), DB_NONE);

    assert_int_equal(restore(fixture, DB_REMOVAL_ADDRESS, "a@ours.example"), DB_OK);
    assert_int_equal(count_removals(fixture), 0);
    assert_true(is_there(fixture, "alone@ours.example"));
    assert_true(is_there(fixture, "both@ours.example"));
    assert_int_equal(db_login_find(db, &a, &after), DB_OK);
    assert_true(after.logout > before.logout); /* its sessions were ended */
    after.logout = before.logout;
    assert_memory_equal(&before, &after, sizeof(before));
    assert_int_equal(db_app_password_find(db, before.mailbox, digest, &found), DB_OK);
    assert_int_equal(restore(fixture, DB_REMOVAL_ADDRESS, "a@ours.example"), DB_NONE);
}

static void brings_a_customer_back_and_not_what_went_before(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_customer customer;
    struct db_domain domain;
    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", NULL), DB_OK);
    assert_int_equal(fixture_add(db, fixture->ours, "old@ours.example", NULL), DB_OK);
    assert_int_equal(fixture_add(db, fixture->theirs, "a@theirs.example", NULL), DB_OK);
    assert_int_equal(drop(fixture, "old@ours.example", KEEP), DB_OK);
    assert_int_equal(db_customer_remove(db, fixture->ours, KEEP), DB_OK);

    assert_int_equal(db_customer_find(db, "ours", &customer), DB_NONE);
    assert_int_equal(db_customer_get(db, fixture->ours, &customer), DB_NONE);
    assert_int_equal(db_domain_find(db, "ours.example", &domain), DB_NONE);
    assert_false(is_there(fixture, "a@ours.example"));
    assert_true(is_there(fixture, "a@theirs.example"));
    memset(&customer, 0, sizeof(customer));
    assert_int_equal(db_customer_next(db, &customer), DB_OK);
    assert_string_equal(customer.name, "theirs");
    assert_int_equal(db_customer_next(db, &customer), DB_NONE);
    assert_int_equal(db_domain_add(db, fixture->ours, "more.example"), DB_NONE);
    /* There is no place that it could come back to. */
    assert_int_equal(restore(fixture, DB_REMOVAL_ADDRESS, "old@ours.example"), DB_NONE);
    assert_int_equal(count_removals(fixture), 2);

    assert_int_equal(restore(fixture, DB_REMOVAL_CUSTOMER, "ours"), DB_OK);
    assert_int_equal(db_customer_find(db, "ours", &customer), DB_OK);
    assert_int_equal(customer.id, fixture->ours);
    assert_true(is_there(fixture, "a@ours.example"));
    assert_false(is_there(fixture, "old@ours.example"));
    assert_int_equal(restore(fixture, DB_REMOVAL_ADDRESS, "old@ours.example"), DB_OK);
    assert_true(is_there(fixture, "old@ours.example"));
}

/* A domain that moves on to another customer, and back. */
static void frees_the_names(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_removal removal;
    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", NULL), DB_OK);
    assert_int_equal(drop(fixture, "a@ours.example", KEEP), DB_OK);
    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", NULL), DB_OK);
    assert_int_equal(restore(fixture, DB_REMOVAL_ADDRESS, "a@ours.example"), DB_TAKEN);

    assert_int_equal(db_domain_remove(db, fixture->ours, "ours.example", KEEP), DB_OK);
    assert_int_equal(db_domain_add(db, fixture->theirs, "ours.example"), DB_OK);
    assert_int_equal(fixture_add(db, fixture->theirs, "a@ours.example", NULL), DB_OK);
    assert_int_equal(restore(fixture, DB_REMOVAL_DOMAIN, "ours.example"), DB_TAKEN);
    assert_int_equal(db_domain_remove(db, fixture->theirs, "ours.example", KEEP), DB_OK);

    /* The last one is theirs. */
    assert_int_equal(db_removal_find(db, 0, DB_REMOVAL_DOMAIN, "ours.example", &removal), DB_OK);
    assert_int_equal(removal.customer, fixture->theirs);
    assert_string_equal(removal.customer_name, "theirs");
    assert_int_equal(
        db_removal_find(db, fixture->ours, DB_REMOVAL_DOMAIN, "ours.example", &removal), DB_OK);
    assert_int_equal(removal.customer, fixture->ours);
    assert_int_equal(db_removal_restore(db, &removal), DB_OK);
    assert_true(is_there(fixture, "a@ours.example"));

    assert_int_equal(db_customer_remove(db, fixture->ours, KEEP), DB_OK);
    assert_int_equal(db_customer_set_name(db, fixture->theirs, "ours"), DB_OK);
    assert_int_equal(restore(fixture, DB_REMOVAL_CUSTOMER, "ours"), DB_TAKEN);
}

static void counts_only_what_is_there(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_limit limit;
    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", NULL), DB_OK);
    assert_int_equal(db_customer_set_plan(db, fixture->ours, "single", DB_OVERPLAN_REFUSE), DB_OK);
    assert_int_equal(drop(fixture, "a@ours.example", KEEP), DB_OK);
    assert_int_equal(fixture_add(db, fixture->ours, "b@ours.example", NULL), DB_OK);
    assert_int_equal(restore(fixture, DB_REMOVAL_ADDRESS, "a@ours.example"), DB_LIMIT);
    db_limit_get(db, &limit);
    assert_int_equal(limit.kind, DB_LIMIT_ADDRESSES);
    assert_int_equal(limit.used, 1);
    assert_int_equal(drop(fixture, "b@ours.example", 0), DB_OK);
    assert_int_equal(restore(fixture, DB_REMOVAL_ADDRESS, "a@ours.example"), DB_OK);

    assert_int_equal(db_domain_remove(db, fixture->ours, "ours.example", KEEP), DB_OK);
    assert_int_equal(db_domain_add(db, fixture->ours, "new.example"), DB_OK);
    assert_int_equal(restore(fixture, DB_REMOVAL_DOMAIN, "ours.example"), DB_LIMIT);
    db_limit_get(db, &limit);
    assert_int_equal(limit.kind, DB_LIMIT_DOMAINS);
}

/* An alias in a domain that went later comes back with that domain, not with its target. */
static void leaves_what_has_no_place_to_what_removed_that(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", NULL), DB_OK);
    assert_int_equal(db_domain_add(db, fixture->ours, "also.example"), DB_OK);
    add_alias(fixture, "alias@also.example", "a@ours.example", "a@ours.example");
    assert_int_equal(drop(fixture, "a@ours.example", KEEP), DB_OK);
    assert_int_equal(db_domain_remove(db, fixture->ours, "also.example", KEEP), DB_OK);
    assert_int_equal(restore(fixture, DB_REMOVAL_ADDRESS, "a@ours.example"), DB_OK);
    assert_false(is_there(fixture, "alias@also.example"));
    assert_int_equal(restore(fixture, DB_REMOVAL_DOMAIN, "also.example"), DB_OK);
    assert_true(is_there(fixture, "alias@also.example"));
}

/* Whoever comes back gets no mail of an alias that was given other targets meanwhile. */
static void gives_no_alias_back_that_has_gone_on(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct address alias = fixture_address("both@ours.example");
    struct address b = fixture_address("b@ours.example");
    struct db_mailaddress found;
    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", NULL), DB_OK);
    assert_int_equal(fixture_add(db, fixture->ours, "b@ours.example", NULL), DB_OK);
    add_alias(fixture, "both@ours.example", "a@ours.example", "b@ours.example");
    assert_int_equal(drop(fixture, "a@ours.example", KEEP), DB_OK);
    assert_int_equal(db_alias_set(db, fixture->ours, &alias, &b, 1), DB_OK);
    assert_int_equal(restore(fixture, DB_REMOVAL_ADDRESS, "a@ours.example"), DB_OK);
    assert_int_equal(db_mailaddress_find(db, &alias, &found), DB_OK);
    assert_int_equal(found.targets, 1);
}

static void purges_for_good(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_removal removal;
    struct db_audit audit = {0};
    uint64_t mailbox, other, dropped = 0;
    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", &mailbox), DB_OK);
    assert_int_equal(fixture_add(db, fixture->ours, "b@ours.example", &other), DB_OK);
    assert_int_equal(drop(fixture, "a@ours.example", KEEP), DB_OK);
    assert_int_equal(db_removal_due(db, &removal), DB_NONE);
    assert_int_equal(db_operator_removal_next(db, &(struct db_removal){0}), DB_OK);
    assert_int_equal(db_removal_find(db, 0, DB_REMOVAL_ADDRESS, "a@ours.example", &removal), DB_OK);
    assert_true(removal.purge == removal.time + KEEP);
    assert_int_equal(db_removal_purge(db, &removal), DB_OK);
    assert_int_equal(db_removal_purge(db, &removal), DB_NONE);
    assert_int_equal(db_removal_restore(db, &removal), DB_NONE);
    assert_int_equal(db_drop_next(db, 0, &dropped), DB_OK);
    assert_int_equal(dropped, mailbox);
    assert_int_equal(db_audit_next(db, fixture->ours, &audit), DB_OK);
    assert_string_equal(audit.action, "address.purge");
    assert_string_equal(audit.object, "a@ours.example");
    db_audit_free(&audit);

    assert_int_equal(drop(fixture, "b@ours.example", KEEP), DB_OK);
    assert_int_equal(db_customer_remove(db, fixture->ours, KEEP), DB_OK);
    assert_int_equal(db_removal_find(db, 0, DB_REMOVAL_CUSTOMER, "ours", &removal), DB_OK);
    assert_int_equal(db_removal_purge(db, &removal), DB_OK);
    assert_int_equal(count_removals(fixture), 0);
    assert_int_equal(db_drop_next(db, mailbox, &dropped), DB_OK);
    assert_int_equal(dropped, other);
}

/* Of a domain that is gone, and with it what had been removed there before. */
static void purges_what_is_left_of_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_removal domain, address;
    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", NULL), DB_OK);
    assert_int_equal(drop(fixture, "a@ours.example", KEEP), DB_OK);
    assert_int_equal(db_domain_remove(db, fixture->ours, "ours.example", KEEP), DB_OK);
    assert_int_equal(db_removal_find(db, 0, DB_REMOVAL_DOMAIN, "ours.example", &domain), DB_OK);
    assert_int_equal(db_removal_purge(db, &domain), DB_OK);
    assert_int_equal(count_removals(fixture), 1);
    assert_int_equal(db_removal_find(db, 0, DB_REMOVAL_ADDRESS, "a@ours.example", &address), DB_OK);
    assert_int_equal(db_removal_purge(db, &address), DB_OK);
    assert_int_equal(count_removals(fixture), 0);
    assert_int_equal(db_removal_due(db, &address), DB_NONE);
}

static void tells_what_is_due(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_removal removal;
    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", NULL), DB_OK);
    assert_int_equal(drop(fixture, "a@ours.example", 1), DB_OK);
    assert_int_equal(db_removal_find(db, 0, DB_REMOVAL_ADDRESS, "a@ours.example", &removal), DB_OK);
    while ((uint64_t)time(NULL) < removal.purge) {
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    assert_int_equal(db_removal_due(db, &removal), DB_OK);
    assert_string_equal(removal.name, "a@ours.example");
    assert_int_equal(removal.kind, DB_REMOVAL_ADDRESS);
    assert_int_equal(db_removal_purge(db, &removal), DB_OK);
    assert_int_equal(db_removal_due(db, &removal), DB_NONE);
}

/* What is due comes back no more, as part of it may be gone. */
static void purges_in_parts(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_removal removal, due;
    uint64_t mailboxes[3], dropped = 0;
    bool last;
    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", &mailboxes[0]), DB_OK);
    assert_int_equal(fixture_add(db, fixture->ours, "b@ours.example", &mailboxes[1]), DB_OK);
    assert_int_equal(fixture_add(db, fixture->ours, "c@ours.example", &mailboxes[2]), DB_OK);
    assert_int_equal(fixture_add(db, fixture->theirs, "a@theirs.example", NULL), DB_OK);
    assert_int_equal(db_domain_remove(db, fixture->ours, "ours.example", 1), DB_OK);
    assert_int_equal(db_removal_find(db, 0, DB_REMOVAL_DOMAIN, "ours.example", &removal), DB_OK);
    while (db_removal_due(db, &due) != DB_OK) {
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    assert_int_equal(db_removal_restore(db, &removal), DB_NONE);
    assert_int_equal(count_removals(fixture), 0); /* to be restored */
    assert_int_equal(db_removal_purge_part(db, &due, 2, &last), DB_OK);
    assert_false(last);
    assert_int_equal(db_removal_due(db, &due), DB_OK);
    assert_true(due.id == removal.id && due.purge == 0);
    assert_int_equal(db_removal_purge_part(db, &due, 2, &last), DB_OK);
    assert_true(last);
    assert_int_equal(db_removal_due(db, &due), DB_NONE);
    assert_int_equal(db_removal_purge_part(db, &due, 2, &last), DB_NONE);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(db_drop_next(db, dropped, &dropped), DB_OK);
        assert_int_equal(dropped, mailboxes[i]);
    }
    assert_int_equal(db_drop_next(db, dropped, &dropped), DB_NONE);
}

/* A customer with a job of 3 parts and 3 errors, which has ended or not. */
static uint64_t add_job(struct fixture *fixture, bool ended)
{
    struct db *db = fixture->db;
    struct db_job job = {.customer = fixture->ours, .format = DB_JOB_CSV};
    assert_int_equal(db_job_begin(db, &job), DB_OK);
    for (unsigned i = 1; i <= 3; i++) {
        const struct db_job_error error = {
            .row = i, .number = 1, .line = i, .code = "address", .reason = "it is none"};
        assert_int_equal(db_job_add_part(db, job.id, i, "rows", 4), DB_OK);
        assert_int_equal(db_job_add_error(db, job.id, &error), DB_OK);
    }
    assert_int_equal(db_job_start(db, fixture->ours, job.id), DB_OK);
    if (ended) {
        assert_int_equal(db_job_end(db, &job, DB_JOB_FAILED), DB_OK);
    }
    return job.id;
}

static unsigned count_errors(struct db *db, uint64_t job)
{
    struct db_job_error error = {0};
    unsigned count = 0;
    while (db_job_error_next(db, job, &error) == DB_OK) {
        count++;
    }
    return count;
}

/* Of uploads there may be gigabytes. */
static void purges_ended_jobs_in_parts(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    uint64_t ended = add_job(fixture, true);
    uint64_t open = add_job(fixture, false);
    struct db_removal due;
    unsigned parts = 1;
    bool last;
    assert_int_equal(db_customer_remove(db, fixture->ours, 1), DB_OK);
    while (db_removal_due(db, &due) != DB_OK) {
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    assert_int_equal(db_removal_purge_part(db, &due, 4, &last), DB_OK);
    while (!last && parts < 10) {
        assert_int_equal(count_errors(db, open), 3);
        assert_int_equal(db_removal_purge_part(db, &due, 4, &last), DB_OK);
        parts++;
    }
    assert_in_range(parts, 2, 5);
    assert_int_equal(count_errors(db, ended) + count_errors(db, open), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(brings_an_address_back_as_it_was),
        fixture_test(brings_a_customer_back_and_not_what_went_before),
        fixture_test(frees_the_names),
        fixture_test(counts_only_what_is_there),
        fixture_test(leaves_what_has_no_place_to_what_removed_that),
        fixture_test(gives_no_alias_back_that_has_gone_on),
        fixture_test(purges_for_good),
        fixture_test(tells_what_is_due),
        fixture_test(purges_in_parts),
        fixture_test(purges_ended_jobs_in_parts),
        fixture_test(purges_what_is_left_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
