#include "tests/unit/db_fixture.h"

#include "db/alias.h"
#include "db/plan.h"
#include "db/removal.h"
#include "db/route.h"

/* Customers with more than their plan allows, catch-alls, and what mailboxes have of their own. */

static struct db_mailaddress found(struct fixture *fixture, const char *text)
{
    struct address address = fixture_address(text);
    struct db_mailaddress found;
    struct db_login login;
    assert_int_equal(db_mailaddress_find(fixture->db, &address, &found), DB_OK);
    if (found.mailbox != 0) {
        assert_int_equal(db_login_find(fixture->db, &address, &login), DB_OK);
        assert_int_equal(login.suspended, found.over_plan || found.suspended);
    }
    return found;
}

static void assert_over(struct fixture *fixture, const char *text, bool over)
{
    struct address address = fixture_address(text);
    struct db_route routes[DB_ROUTE_MAX];
    unsigned count;
    assert_int_equal(found(fixture, text).over_plan, over);
    assert_int_equal(db_route_find(fixture->db, &address, routes, &count), DB_OK);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(routes[i].suspended, over);
    }
}

static enum db_result set_plan(struct fixture *fixture, const char *plan, enum db_overplan over)
{
    return db_customer_set_plan(fixture->db, fixture->ours, plan, over);
}

static void add(struct fixture *fixture, const char *text)
{
    assert_int_equal(fixture_add(fixture->db, fixture->ours, text, NULL), DB_OK);
}

static void drop(struct fixture *fixture, const char *text, uint64_t keep)
{
    struct address address = fixture_address(text);
    assert_int_equal(db_mailaddress_remove(fixture->db, fixture->ours, &address, keep), DB_OK);
}

static void add_plan(struct fixture *fixture, const char *name, unsigned addresses,
                     unsigned domains)
{
    struct db_plan plan;
    assert_int_equal(db_plan_find(fixture->db, "house", &plan), DB_OK);
    snprintf(plan.name, sizeof(plan.name), "%s", name);
    plan.addresses = addresses;
    plan.domains = domains;
    assert_int_equal(db_plan_add(fixture->db, &plan), DB_OK);
}

static void keeps_all_and_adds_nothing(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, "a@ours.example");
    add(fixture, "b@ours.example");
    assert_int_equal(set_plan(fixture, "single", DB_OVERPLAN_REFUSE), DB_LIMIT);
    assert_int_equal(set_plan(fixture, "single", DB_OVERPLAN_KEEP), DB_OK);
    assert_over(fixture, "b@ours.example", false);
    assert_int_equal(fixture_add(fixture->db, fixture->ours, "c@ours.example", NULL), DB_LIMIT);
    assert_int_equal(db_domain_add(fixture->db, fixture->ours, "more.example"), DB_LIMIT);
    drop(fixture, "a@ours.example", 0);
    assert_int_equal(fixture_add(fixture->db, fixture->ours, "c@ours.example", NULL), DB_LIMIT);
    drop(fixture, "b@ours.example", 0);
    add(fixture, "c@ours.example");
    /* The rule was for that plan. */
    assert_int_equal(set_plan(fixture, "house", DB_OVERPLAN_REFUSE), DB_OK);
    add(fixture, "d@ours.example");
    assert_int_equal(set_plan(fixture, "single", DB_OVERPLAN_REFUSE), DB_LIMIT);
}

static void suspends_the_newest_and_resumes_them(void **state)
{
    struct fixture *fixture = *state;
    struct address alias = fixture_address("alias@ours.example");
    struct address a = fixture_address("a@ours.example");
    struct address c = fixture_address("c@ours.example");
    add_plan(fixture, "two", 2, 1);
    add(fixture, "a@ours.example");
    add(fixture, "b@ours.example");
    add(fixture, "c@ours.example");
    assert_int_equal(db_alias_add(fixture->db, fixture->ours, &alias, &a, 1), DB_OK);
    assert_int_equal(
        db_mailaddress_set_suspended(fixture->db, fixture->ours, &c, true, DB_SUSPENDED_KEEP),
        DB_OK);
    assert_int_equal(set_plan(fixture, "two", DB_OVERPLAN_SUSPEND), DB_OK);
    assert_over(fixture, "a@ours.example", false);
    assert_over(fixture, "b@ours.example", false);
    assert_over(fixture, "c@ours.example", true);
    assert_over(fixture, "alias@ours.example", true);

    drop(fixture, "b@ours.example", 60);
    assert_false(found(fixture, "c@ours.example").over_plan);
    assert_true(found(fixture, "c@ours.example").suspended);
    assert_over(fixture, "alias@ours.example", true);
    struct db_removal removal;
    assert_int_equal(
        db_removal_find(fixture->db, 0, DB_REMOVAL_ADDRESS, "b@ours.example", &removal), DB_OK);
    assert_int_equal(db_removal_restore(fixture->db, &removal), DB_LIMIT);

    struct db_plan plan;
    assert_int_equal(db_plan_find(fixture->db, "two", &plan), DB_OK);
    plan.addresses = 3;
    assert_int_equal(db_plan_set(fixture->db, &plan), DB_OK);
    assert_over(fixture, "alias@ours.example", false);
    plan.addresses = 1;
    assert_int_equal(db_plan_set(fixture->db, &plan), DB_OK);
    assert_over(fixture, "alias@ours.example", true);
    assert_int_equal(set_plan(fixture, "house", DB_OVERPLAN_REFUSE), DB_OK);
    assert_over(fixture, "alias@ours.example", false);
    assert_true(found(fixture, "c@ours.example").suspended);
}

struct noted {
    char text[200];
    size_t length;
};

static void note_over(void *context, const char *address)
{
    struct noted *all = context;
    all->length +=
        (size_t)snprintf(all->text + all->length, sizeof(all->text) - all->length, "%s ", address);
}

/* The oldest domains and what is in them come first, whatever their names are. */
static void counts_domains_before_addresses(void **state)
{
    struct fixture *fixture = *state;
    struct db_overplan_preview preview;
    struct noted over = {.length = 0};
    add_plan(fixture, "two", 2, 1);
    assert_int_equal(db_domain_add(fixture->db, fixture->ours, "also.example"), DB_OK);
    add(fixture, "x@also.example");
    add(fixture, "a@ours.example");
    add(fixture, "b@ours.example");
    add(fixture, "c@ours.example");
    assert_int_equal(fixture_add(fixture->db, fixture->theirs, "t@theirs.example", NULL), DB_OK);
    assert_int_equal(
        db_overplan_preview(fixture->db, fixture->ours, "two", &preview, note_over, &over), DB_OK);
    assert_string_equal(over.text, "x@also.example c@ours.example ");
    assert_int_equal(preview.addresses, 4);
    assert_int_equal(preview.addresses_allowed, 2);
    assert_int_equal(preview.domains, 2);
    assert_int_equal(preview.domains_allowed, 1);
    over = (struct noted){.length = 0};
    assert_int_equal(
        db_overplan_preview(fixture->db, fixture->ours, "house", &preview, note_over, &over),
        DB_OK);
    assert_string_equal(over.text, "");
    assert_int_equal(
        db_overplan_preview(fixture->db, fixture->ours, "none", &preview, note_over, &over),
        DB_NONE);
    assert_int_equal(set_plan(fixture, "two", DB_OVERPLAN_SUSPEND), DB_OK);
    assert_over(fixture, "x@also.example", true);
    assert_over(fixture, "c@ours.example", true);
    assert_over(fixture, "b@ours.example", false);
    assert_over(fixture, "t@theirs.example", false);
    assert_int_equal(db_domain_remove(fixture->db, fixture->ours, "ours.example", 60), DB_OK);
    assert_over(fixture, "x@also.example", false);
}

static enum db_result route(struct fixture *fixture, const char *text, struct db_route *route_r)
{
    struct address address = fixture_address(text);
    struct db_route routes[DB_ROUTE_MAX];
    unsigned count;
    enum db_result result = db_route_find(fixture->db, &address, routes, &count);
    *route_r = routes[0];
    return result;
}

static void catches_only_what_nobody_has(void **state)
{
    struct fixture *fixture = *state;
    struct address a = fixture_address("a@ours.example");
    struct address foreign = fixture_address("a@theirs.example");
    struct db_domain domain;
    struct db_route caught;
    struct db_plan plan;
    uint64_t mailbox;
    assert_int_equal(fixture_add(fixture->db, fixture->ours, "a@ours.example", &mailbox), DB_OK);
    add(fixture, "b@ours.example");
    add(fixture, "gone@ours.example");
    assert_int_equal(fixture_add(fixture->db, fixture->theirs, "a@theirs.example", NULL), DB_OK);
    struct db *db = fixture->db;
    assert_int_equal(db_domain_set_catch_all(db, fixture->ours, "ours.example", &foreign), DB_NONE);
    assert_int_equal(db_domain_set_catch_all(db, fixture->theirs, "ours.example", &a), DB_NONE);
    assert_int_equal(db_domain_set_catch_all(db, fixture->ours, "ours.example", &a), DB_OK);
    assert_int_equal(db_domain_find(db, "ours.example", &domain), DB_OK);
    assert_string_equal(domain.catch_all, "a@ours.example");

    /* Where the plan permits it. */
    assert_int_equal(route(fixture, "nobody@ours.example", &caught), DB_NONE);
    assert_int_equal(db_plan_find(db, "house", &plan), DB_OK);
    plan.catch_all = true;
    assert_int_equal(db_plan_set(db, &plan), DB_OK);
    assert_int_equal(route(fixture, "nobody@ours.example", &caught), DB_OK);
    assert_int_equal(caught.mailbox, mailbox);
    assert_int_equal(route(fixture, "nobody@theirs.example", &caught), DB_NONE);
    assert_int_equal(route(fixture, "nobody@nowhere.example", &caught), DB_NONE);

    /* An address has its own mail, and what was sent to a person is nobody else's. */
    struct address b = fixture_address("b@ours.example");
    assert_int_equal(db_mailaddress_set_suspended(db, fixture->ours, &b, true, DB_SUSPENDED_REFUSE),
                     DB_OK);
    assert_int_equal(route(fixture, "b@ours.example", &caught), DB_OK);
    assert_true(caught.suspended && caught.mailbox != mailbox);
    assert_int_equal(caught.suspended_mail, DB_SUSPENDED_REFUSE);
    drop(fixture, "gone@ours.example", 60);
    assert_int_equal(route(fixture, "gone@ours.example", &caught), DB_NONE);

    drop(fixture, "a@ours.example", 60);
    assert_int_equal(route(fixture, "nobody@ours.example", &caught), DB_NONE);
    struct db_removal removal;
    assert_int_equal(db_removal_find(db, 0, DB_REMOVAL_ADDRESS, "a@ours.example", &removal), DB_OK);
    assert_int_equal(db_removal_restore(db, &removal), DB_OK);
    assert_int_equal(route(fixture, "nobody@ours.example", &caught), DB_OK);
    assert_int_equal(db_domain_set_catch_all(db, fixture->ours, "ours.example", NULL), DB_OK);
    assert_int_equal(route(fixture, "nobody@ours.example", &caught), DB_NONE);
}

static void limits_a_mailbox_within_its_plan(void **state)
{
    struct fixture *fixture = *state;
    struct address a = fixture_address("a@ours.example");
    struct db_mailbox_settings settings = {
        .octets = UINT64_C(1) << 30, .language_given = true, .language = LANGUAGE_FR, .smtp = true};
    struct db_login login;
    struct db_route limited;
    struct db_plan plan;
    add(fixture, "a@ours.example");
    assert_int_equal(db_mailaddress_set_settings(fixture->db, fixture->theirs, &a, &settings),
                     DB_NONE);
    assert_int_equal(db_mailaddress_set_settings(fixture->db, fixture->ours, &a, &settings), DB_OK);
    assert_int_equal(route(fixture, "a@ours.example", &limited), DB_OK);
    assert_int_equal(limited.quota_octets, UINT64_C(1) << 30);
    assert_int_equal(db_login_find(fixture->db, &a, &login), DB_OK);
    assert_int_equal(login.language, LANGUAGE_FR);
    assert_true(login.sending && !login.fetching);

    assert_int_equal(db_plan_find(fixture->db, "house", &plan), DB_OK);
    settings.octets = plan.mailbox_octets + 1;
    assert_int_equal(db_mailaddress_set_settings(fixture->db, fixture->ours, &a, &settings),
                     DB_LIMIT);
    plan.mailbox_octets = plan.message_octets;
    assert_int_equal(db_plan_set(fixture->db, &plan), DB_OK);
    assert_int_equal(route(fixture, "a@ours.example", &limited), DB_OK);
    assert_int_equal(limited.quota_octets, plan.mailbox_octets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(keeps_all_and_adds_nothing),
        fixture_test(suspends_the_newest_and_resumes_them),
        fixture_test(counts_domains_before_addresses),
        fixture_test(catches_only_what_nobody_has),
        fixture_test(limits_a_mailbox_within_its_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
