#include "tests/unit/db_fixture.h"

#include <sqlite3.h>
#include <time.h>

#include "db/alias.h"
#include "db/audit.h"
#include "db/drop.h"
#include "db/limit.h"
#include "db/owner.h"
#include "db/plan.h"
#include "db/retention.h"
#include "db/statement.h"

/* Plans, customers, domains, addresses and aliases: what each function says, and to whom. */

static void checks_plans(void **state)
{
    const struct db_plan good = {"suite", 5,    2, 1 << 20, 10, 1 << 20, 0, 0, DB_PROTECTION_NONE,
                                 true,    false};
    struct db_plan bad[11];
    const char *error = "";
    (void)state;
    for (size_t i = 0; i < 11; i++) {
        bad[i] = good;
    }
    strcpy(bad[0].name, "");
    strcpy(bad[1].name, "1suite");
    strcpy(bad[2].name, "the suite");
    bad[3].addresses = 0;
    bad[4].addresses = 101;
    bad[5].domains = 0;
    bad[6].message_octets = 65535;
    bad[7].mailbox_octets = (1 << 20) - 1;
    bad[8].mailbox_messages = 0;
    bad[9].poll_seconds = 86401;
    bad[10].protection = (enum db_protection)3;
    assert_int_equal(db_plan_check(&good, &error), 0);
    for (size_t i = 0; i < 11; i++) {
        error = "";
        assert_int_equal(db_plan_check(&bad[i], &error), -1);
        assert_true(strlen(error) > 0);
    }
}

static void names_protections(void **state)
{
    enum db_protection protection;
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        const char *name = db_protection_name((enum db_protection)i);
        assert_int_equal(db_protection_parse(name, &protection), 0);
        assert_int_equal(protection, i);
    }
    assert_int_equal(db_protection_parse("all", &protection), -1);
}

static void keeps_plans(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_plan plan = {"suite", 5,    2, 1ULL << 40, 10, 1 << 20, 30, 60, DB_PROTECTION_REFUSE,
                           true,    false};
    struct db_plan found = {0};
    assert_int_equal(db_plan_find(db, "suite", &found), DB_NONE);
    assert_int_equal(db_plan_set(db, &plan), DB_NONE);
    assert_int_equal(db_plan_add(db, &plan), DB_OK);
    assert_int_equal(db_plan_add(db, &plan), DB_TAKEN);
    plan.addresses = 6;
    plan.retention_days = 31;
    plan.sending = false;
    assert_int_equal(db_plan_set(db, &plan), DB_OK);
    assert_int_equal(db_plan_find(db, "suite", &found), DB_OK);
    assert_string_equal(found.name, "suite");
    assert_int_equal(found.addresses, 6);
    assert_int_equal(found.domains, 2);
    assert_int_equal(found.mailbox_octets, 1ULL << 40);
    assert_int_equal(found.mailbox_messages, 10);
    assert_int_equal(found.message_octets, 1 << 20);
    assert_int_equal(found.retention_days, 31);
    assert_int_equal(found.poll_seconds, 60);
    assert_int_equal(found.protection, DB_PROTECTION_REFUSE);
    assert_false(found.sending);
    plan.domains = 0;
    assert_int_equal(db_plan_set(db, &plan), DB_BROKEN);
    assert_int_equal(db_plan_add(db, &plan), DB_BROKEN);
}

static void tells_what_plans_have_in_common(void **state)
{
    static const struct {
        unsigned retention, poll;
        struct db_plan_range range;
    } steps[] = {
        /* The plans that there are: no retention; 60, 30 and 0 seconds. */
        {0, 0, {0, 0, 0, 60}},
        {30, 61, {30, 0, 0, 61}},
        {31, 5, {31, 0, 0, 60}},
        {9, 600, {9, 0, 0, 600}},
    };
    struct fixture *fixture = *state;
    struct db_plan plan = {"suite", 5,    2, 1 << 20, 10, 1 << 20, 0, 0, DB_PROTECTION_NONE,
                           true,    false};
    struct db_plan_range range;
    assert_int_equal(db_plan_add(fixture->db, &plan), DB_OK);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        plan.retention_days = steps[i].retention;
        plan.poll_seconds = steps[i].poll;
        assert_int_equal(db_plan_set(fixture->db, &plan), DB_OK);
        assert_int_equal(db_plan_range(fixture->db, &range), DB_OK);
        assert_memory_equal(&range, &steps[i].range, sizeof(range));
    }
    /* With a retention in all of them. */
    struct db_plan each = {0};
    while (db_plan_next(fixture->db, &each) == DB_OK) {
        each.retention_days = 90;
        assert_int_equal(db_plan_set(fixture->db, &each), DB_OK);
    }
    plan.retention_days = 9;
    assert_int_equal(db_plan_set(fixture->db, &plan), DB_OK);
    assert_int_equal(db_plan_range(fixture->db, &range), DB_OK);
    assert_int_equal(range.retention_least, 9);
    assert_int_equal(range.retention_most, 90);
}

static void lists_plans_by_name(void **state)
{
    static const char *const names[] = {"chain", "house", "single"};
    struct fixture *fixture = *state;
    struct db_plan plan = {0};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(db_plan_next(fixture->db, &plan), DB_OK);
        assert_string_equal(plan.name, names[i]);
    }
    assert_int_equal(db_plan_next(fixture->db, &plan), DB_NONE);
}

static void checks_names(void **state)
{
    static const struct {
        const char *name;
        int result;
    } cases[] = {
        {"Ho\xc3\xb4tel \xe2\x82\xac \xf0\x9f\x9b\x8e", 0},
        {"", -1},
        {" x", -1},
        {"x ", -1},
        {"a\nb", -1},
        {"a\x7f", -1},
        {"a\xc2\x85z", -1},
        {"\xe2\x80\xa8", -1},
        {"\xd7\x9e\xe2\x80\x8f!", 0},
        {"a\xe2\x80\xaez", -1},
        {"a\xe2\x81\xa6z", -1},
        {"\xc3", -1},
        {"\xc0\xaf", -1},
        {"\xed\xa0\x80", -1},
        {"\xf4\x90\x80\x80", -1},
        {"\xf8\x88\x80\x80\x80", -1},
        {"\x80", -1},
    };
    char longest[DB_CUSTOMER_NAME_MAX + 2];
    const char *error;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(db_customer_name_check(cases[i].name, &error), cases[i].result);
    }
    memset(longest, 'x', sizeof(longest));
    longest[DB_CUSTOMER_NAME_MAX + 1] = '\0';
    assert_int_equal(db_customer_name_check(longest, &error), -1);
    longest[DB_CUSTOMER_NAME_MAX] = '\0';
    assert_int_equal(db_customer_name_check(longest, &error), 0);
    assert_int_equal(db_mailbox_name_check("", &error), 0);
    assert_int_equal(db_mailbox_name_check("a\tb", &error), -1);
}

static void keeps_customers(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_customer customer = {0};
    uint64_t id = 0;
    assert_int_equal(db_customer_add(db, "third", "none", &id), DB_NONE);
    assert_int_equal(db_customer_add(db, "ours", "house", &id), DB_TAKEN);
    assert_int_equal(db_customer_add(db, "two\nlines", "house", &id), DB_BROKEN);
    assert_int_equal(db_customer_add(db, "third", "chain", &id), DB_OK);
    assert_int_equal(db_customer_find(db, "third", &customer), DB_OK);
    assert_int_equal(customer.id, id);
    assert_string_equal(customer.plan, "chain");
    assert_false(customer.suspended);
    assert_true(llabs((long long)customer.created - time(NULL)) < 60);

    assert_int_equal(db_customer_set_name(db, id, "ours"), DB_TAKEN);
    assert_int_equal(db_customer_set_name(db, id, "fourth"), DB_OK);
    assert_int_equal(db_customer_set_plan(db, id, "none", DB_OVERPLAN_REFUSE), DB_NONE);
    assert_int_equal(db_customer_set_plan(db, id, "single", DB_OVERPLAN_REFUSE), DB_OK);
    assert_int_equal(db_customer_set_suspended(db, id, true, DB_SUSPENDED_AS_CONFIGURED), DB_OK);
    assert_int_equal(db_customer_set_suspended(db, id, true, DB_SUSPENDED_AS_CONFIGURED), DB_OK);
    assert_int_equal(db_customer_get(db, id, &customer), DB_OK);
    assert_string_equal(customer.name, "fourth");
    assert_string_equal(customer.plan, "single");
    assert_true(customer.suspended);
    assert_int_equal(db_customer_set_suspended(db, id, false, DB_SUSPENDED_AS_CONFIGURED), DB_OK);
    assert_int_equal(db_customer_get(db, id, &customer), DB_OK);
    assert_false(customer.suspended);

    assert_int_equal(db_customer_remove(db, id, 0), DB_OK);
    assert_int_equal(db_customer_remove(db, id, 0), DB_NONE);
    assert_int_equal(db_customer_get(db, id, &customer), DB_NONE);
    assert_int_equal(db_customer_find(db, "fourth", &customer), DB_NONE);
    assert_int_equal(db_customer_set_plan(db, id, "single", DB_OVERPLAN_REFUSE), DB_NONE);
    assert_int_equal(db_customer_set_name(db, id, "fifth"), DB_NONE);
    assert_int_equal(db_customer_set_suspended(db, id, true, DB_SUSPENDED_AS_CONFIGURED), DB_NONE);

    uint64_t next = 0;
    assert_int_equal(db_customer_add(db, "fourth", "single", &next), DB_OK);
    assert_true(next > id);
}

static void lists_customers_with_what_they_use(void **state)
{
    struct fixture *fixture = *state;
    struct db_customer customer = {0};
    assert_int_equal(fixture_add(fixture->db, fixture->theirs, "a@theirs.example", NULL), DB_OK);
    assert_int_equal(db_customer_next(fixture->db, &customer), DB_OK);
    assert_string_equal(customer.name, "ours");
    assert_int_equal(customer.domains, 1);
    assert_int_equal(customer.addresses, 0);
    assert_int_equal(db_customer_next(fixture->db, &customer), DB_OK);
    assert_string_equal(customer.name, "theirs");
    assert_int_equal(customer.addresses, 1);
    assert_int_equal(db_customer_next(fixture->db, &customer), DB_NONE);
}

static void keeps_domains(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_domain domain = {0};
    assert_int_equal(db_domain_add(db, fixture->ours, "ours.example"), DB_TAKEN);
    assert_int_equal(db_domain_add(db, fixture->theirs, "ours.example"), DB_TAKEN);
    assert_int_equal(db_domain_add(db, 999, "free.example"), DB_NONE);
    assert_int_equal(db_domain_add(db, fixture->ours, "also.example"), DB_OK);
    assert_int_equal(fixture_add(db, fixture->ours, "a@also.example", NULL), DB_OK);
    assert_int_equal(db_domain_find(db, "also.example", &domain), DB_OK);
    assert_int_equal(domain.customer, fixture->ours);
    assert_string_equal(domain.customer_name, "ours");
    assert_int_equal(domain.addresses, 1);
    assert_int_equal(db_domain_remove(db, fixture->theirs, "also.example", 0), DB_NONE);
    assert_int_equal(db_domain_remove(db, fixture->ours, "also.example", 0), DB_OK);
    assert_int_equal(db_domain_remove(db, fixture->ours, "also.example", 0), DB_NONE);
    assert_int_equal(db_domain_find(db, "also.example", &domain), DB_NONE);
}

static void lists_domains(void **state)
{
    static const char *const all[] = {"also.example", "ours.example", "theirs.example"};
    struct fixture *fixture = *state;
    struct db_domain domain = {0};
    assert_int_equal(db_domain_add(fixture->db, fixture->ours, "also.example"), DB_OK);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(db_operator_domain_next(fixture->db, &domain), DB_OK);
        assert_string_equal(domain.name, all[i]);
    }
    assert_int_equal(db_operator_domain_next(fixture->db, &domain), DB_NONE);
    domain = (struct db_domain){0};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(db_domain_next(fixture->db, fixture->ours, &domain), DB_OK);
        assert_string_equal(domain.name, all[i]);
    }
    assert_int_equal(db_domain_next(fixture->db, fixture->ours, &domain), DB_NONE);
}

static void keeps_addresses(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_mailaddress found = {0};
    uint64_t mailbox = 0;
    uint64_t until = (uint64_t)time(NULL) + 3600;
    static const uint8_t digest[DB_DIGEST_SIZE] = {1, 2, 3};
    struct db_mailaddress_new new = {.address = fixture_address("guest@ours.example"),
                                     .name = "The guest",
                                     .invitation = digest,
                                     .invited_until = until};

    assert_int_equal(db_mailaddress_add(db, fixture->theirs, &new, NULL), DB_NONE);
    assert_int_equal(db_mailaddress_add(db, fixture->ours, &new, &mailbox), DB_OK);
    assert_int_equal(db_mailaddress_add(db, fixture->ours, &new, NULL), DB_TAKEN);
    assert_int_equal(db_mailaddress_find(db, &new.address, &found), DB_OK);
    assert_int_equal(found.customer, fixture->ours);
    assert_string_equal(found.customer_name, "ours");
    assert_string_equal(found.text, "guest@ours.example");
    assert_int_equal(found.mailbox, mailbox);
    assert_string_equal(found.name, "The guest");
    assert_false(found.password);
    assert_int_equal(found.invited_until, until);
    assert_int_equal(found.targets, 0);

    assert_int_equal(db_mailaddress_set_hash(db, fixture->theirs, &new.address, "x", NULL),
                     DB_NONE);
    assert_int_equal(db_mailaddress_set_hash(db, fixture->ours, &new.address, "$argon2id$x", NULL),
                     DB_OK);
    assert_int_equal(db_mailaddress_set_name(db, fixture->theirs, &new.address, ""), DB_NONE);
    assert_int_equal(db_mailaddress_set_name(db, fixture->ours, &new.address, "a\tb"), DB_BROKEN);
    assert_int_equal(db_mailaddress_set_name(db, fixture->ours, &new.address, "Guest"), DB_OK);
    assert_int_equal(db_mailaddress_set_suspended(db, fixture->theirs, &new.address, true,
                                                  DB_SUSPENDED_AS_CONFIGURED),
                     DB_NONE);
    assert_int_equal(db_mailaddress_set_suspended(db, fixture->ours, &new.address, true,
                                                  DB_SUSPENDED_AS_CONFIGURED),
                     DB_OK);
    assert_int_equal(db_mailaddress_find(db, &new.address, &found), DB_OK);
    assert_true(found.password);
    assert_true(found.suspended);
    assert_string_equal(found.name, "Guest");
    assert_int_equal(found.invited_until, 0);

    assert_int_equal(db_mailaddress_invite(db, fixture->theirs, &new.address, digest, until),
                     DB_NONE);
    assert_int_equal(db_mailaddress_invite(db, fixture->ours, &new.address, digest, until), DB_OK);
    assert_int_equal(db_mailaddress_invite(db, fixture->ours, &new.address, digest, 1), DB_OK);
    assert_int_equal(db_mailaddress_find(db, &new.address, &found), DB_OK);
    assert_int_equal(found.invited_until, 0);
    assert_int_equal(db_mailaddress_set_hash(db, fixture->ours, &new.address, NULL, NULL), DB_OK);
    assert_int_equal(db_mailaddress_find(db, &new.address, &found), DB_OK);
    assert_false(found.password);
    assert_int_equal(found.invited_until, 0);

    assert_int_equal(db_mailaddress_remove(db, fixture->theirs, &new.address, 0), DB_NONE);
    assert_int_equal(db_mailaddress_remove(db, fixture->ours, &new.address, 0), DB_OK);
    assert_int_equal(db_mailaddress_remove(db, fixture->ours, &new.address, 0), DB_NONE);
    assert_int_equal(db_mailaddress_find(db, &new.address, &found), DB_NONE);
    assert_int_equal(db_mailaddress_set_hash(db, fixture->ours, &new.address, "x", NULL), DB_NONE);
}

/* A refused address leaves no mailbox behind, and no id comes twice. */
static void never_reuses_a_mailbox(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct address address = fixture_address("a@ours.example");
    uint64_t first = 0;
    uint64_t second = 0;
    uint64_t dropped = 0;
    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", &first), DB_OK);
    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", NULL), DB_TAKEN);
    assert_int_equal(db_drop_next(db, 0, &dropped), DB_NONE);
    assert_int_equal(db_mailaddress_remove(db, fixture->ours, &address, 0), DB_OK);
    assert_int_equal(db_drop_next(db, 0, &dropped), DB_OK);
    assert_int_equal(dropped, first);
    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", &second), DB_OK);
    assert_true(second > first);
}

static void lists_addresses(void **state)
{
    static const char *const all[] = {"z@also.example", "\"a@b\"@ours.example", "a@ours.example",
                                      "b@ours.example", "a@theirs.example"};
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_mailaddress found = {0};
    assert_int_equal(db_domain_add(db, fixture->ours, "also.example"), DB_OK);
    for (size_t i = 5; i-- > 0;) {
        assert_int_equal(fixture_add(db, i == 4 ? fixture->theirs : fixture->ours, all[i], NULL),
                         DB_OK);
    }
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(db_operator_mailaddress_next(db, &found), DB_OK);
        assert_string_equal(found.text, all[i]);
    }
    assert_int_equal(db_operator_mailaddress_next(db, &found), DB_NONE);
    found = (struct db_mailaddress){0};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(db_mailaddress_next(db, fixture->ours, &found), DB_OK);
        assert_string_equal(found.text, all[i]);
    }
    assert_int_equal(db_mailaddress_next(db, fixture->ours, &found), DB_NONE);
}

/* What SQLite does for the address behind this one. */
static int cost_behind(struct db *db, uint64_t customer, const char *text)
{
    enum statement_id id =
        customer != 0 ? STATEMENT_MAILADDRESS_BEHIND : STATEMENT_OPERATOR_MAILADDRESS_BEHIND;
    struct db_mailaddress found = {0};
    snprintf(found.text, sizeof(found.text), "%s", text);
    sqlite3_stmt_status(statement_get(db, id), SQLITE_STMTSTATUS_VM_STEP, 1);
    assert_int_equal(customer != 0 ? db_mailaddress_next(db, customer, &found)
                                   : db_operator_mailaddress_next(db, &found),
                     DB_OK);
    return sqlite3_stmt_status(statement_get(db, id), SQLITE_STMTSTATUS_VM_STEP, 1);
}

static void goes_on_in_a_domain_at_no_cost_of_what_was_before(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    for (unsigned i = 10; i < 25; i++) {
        char text[32];
        snprintf(text, sizeof(text), "%u@ours.example", i);
        assert_int_equal(fixture_add(db, fixture->ours, text, NULL), DB_OK);
    }
    for (unsigned i = 0; i < 2; i++) {
        uint64_t customer = i == 0 ? 0 : fixture->ours;
        assert_int_equal(cost_behind(db, customer, "10@ours.example"),
                         cost_behind(db, customer, "23@ours.example"));
    }
}

static void add_three(struct fixture *fixture, uint64_t mailboxes_r[3])
{
    static const char *const names[] = {"a@ours.example", "b@ours.example", "c@also.example"};
    assert_int_equal(db_domain_add(fixture->db, fixture->ours, "also.example"), DB_OK);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(fixture_add(fixture->db, fixture->ours, names[i], &mailboxes_r[i]), DB_OK);
    }
}

static void keeps_aliases(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    uint64_t mailboxes[3];
    struct db_mailaddress found;
    struct address alias = fixture_address("all@ours.example");
    struct address target = {0};
    struct address targets[] = {fixture_address("c@also.example"),
                                fixture_address("a@ours.example"),
                                fixture_address("a@ours.example")};
    struct address foreign = fixture_address("a@theirs.example");
    add_three(fixture, mailboxes);
    assert_int_equal(fixture_add(db, fixture->theirs, "a@theirs.example", NULL), DB_OK);

    assert_int_equal(db_alias_add(db, fixture->ours, &alias, targets, 0), DB_BROKEN);
    assert_int_equal(db_alias_add(db, fixture->ours, &alias, &foreign, 1), DB_NONE);
    assert_int_equal(db_alias_add(db, fixture->theirs, &alias, &foreign, 1), DB_NONE);
    assert_int_equal(db_mailaddress_find(db, &alias, &found), DB_NONE);
    assert_int_equal(db_alias_add(db, fixture->ours, &alias, targets, 3), DB_OK);
    assert_int_equal(db_alias_add(db, fixture->ours, &alias, targets, 3), DB_TAKEN);
    assert_int_equal(db_mailaddress_find(db, &alias, &found), DB_OK);
    assert_int_equal(found.mailbox, 0);
    assert_int_equal(found.targets, 2);
    assert_int_equal(db_mailaddress_set_hash(db, fixture->ours, &alias, "x", NULL), DB_NONE);

    assert_int_equal(db_alias_target_next(db, fixture->theirs, &alias, &target), DB_NONE);
    assert_int_equal(db_alias_target_next(db, fixture->ours, &alias, &target), DB_OK);
    assert_string_equal(target.text, "c@also.example");
    assert_int_equal(db_alias_target_next(db, fixture->ours, &alias, &target), DB_OK);
    assert_string_equal(target.text, "a@ours.example");
    assert_int_equal(db_alias_target_next(db, fixture->ours, &alias, &target), DB_NONE);

    targets[0] = fixture_address("b@ours.example");
    assert_int_equal(db_alias_set(db, fixture->theirs, &alias, &foreign, 1), DB_NONE);
    assert_int_equal(db_alias_set(db, fixture->ours, &alias, &foreign, 1), DB_NONE);
    assert_int_equal(db_alias_set(db, fixture->ours, &targets[0], targets, 1), DB_NONE);
    assert_int_equal(db_alias_set(db, fixture->ours, &alias, targets, 1), DB_OK);
    target = (struct address){0};
    assert_int_equal(db_alias_target_next(db, fixture->ours, &alias, &target), DB_OK);
    assert_string_equal(target.text, "b@ours.example");
    assert_int_equal(db_alias_target_next(db, fixture->ours, &alias, &target), DB_NONE);

    uint64_t dropped;
    assert_int_equal(db_mailaddress_remove(db, fixture->ours, &alias, 0), DB_OK);
    assert_int_equal(db_drop_next(db, 0, &dropped), DB_NONE);
    assert_int_equal(db_mailaddress_find(db, &targets[0], &found), DB_OK);
}

/* The newest audit rows of ours, newest first. */
static void assert_audit(struct fixture *fixture, const char *const (*rows)[2], size_t count)
{
    struct db_audit audit = {0};
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(db_audit_next(fixture->db, fixture->ours, &audit), DB_OK);
        assert_string_equal(audit.action, rows[i][0]);
        assert_string_equal(audit.object, rows[i][1]);
        assert_int_equal(audit.customer, fixture->ours);
    }
    db_audit_free(&audit);
}

static void removes_an_alias_with_its_last_target(void **state)
{
    static const char *const rows[][2] = {
        {"address.remove", "a@ours.example"},
        {"address.remove", "only@also.example"},
        {"alias.add", "both@ours.example"},
    };
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    uint64_t mailboxes[3];
    struct db_mailaddress found;
    struct address both = fixture_address("both@ours.example");
    struct address only = fixture_address("only@also.example");
    struct address targets[] = {fixture_address("a@ours.example"),
                                fixture_address("b@ours.example")};
    add_three(fixture, mailboxes);
    assert_int_equal(db_alias_add(db, fixture->ours, &only, targets, 1), DB_OK);
    assert_int_equal(db_alias_add(db, fixture->ours, &both, targets, 2), DB_OK);
    assert_int_equal(db_mailaddress_remove(db, fixture->ours, &targets[0], 0), DB_OK);
    assert_int_equal(db_mailaddress_find(db, &only, &found), DB_NONE);
    assert_int_equal(db_mailaddress_find(db, &both, &found), DB_OK);
    assert_int_equal(found.targets, 1);
    assert_audit(fixture, rows, 3);
}

static void removes_a_domain_with_all_in_it(void **state)
{
    static const char *const rows[][2] = {
        {"domain.remove", "ours.example"},
        {"address.remove", "only@also.example"},
        {"alias.add", "only@also.example"},
    };
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    uint64_t mailboxes[3];
    uint64_t dropped = 0;
    struct db_mailaddress found;
    struct address only = fixture_address("only@also.example");
    struct address kept = fixture_address("c@also.example");
    struct address targets[] = {fixture_address("a@ours.example"),
                                fixture_address("b@ours.example")};
    add_three(fixture, mailboxes);
    assert_int_equal(db_alias_add(db, fixture->ours, &only, targets, 2), DB_OK);
    assert_int_equal(db_domain_remove(db, fixture->ours, "ours.example", 0), DB_OK);
    assert_int_equal(db_mailaddress_find(db, &targets[0], &found), DB_NONE);
    assert_int_equal(db_mailaddress_find(db, &only, &found), DB_NONE);
    assert_int_equal(db_mailaddress_find(db, &kept, &found), DB_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(db_drop_next(db, dropped, &dropped), DB_OK);
        assert_int_equal(dropped, mailboxes[i]);
    }
    assert_int_equal(db_drop_next(db, dropped, &dropped), DB_NONE);
    assert_audit(fixture, rows, 3);
}

static void removes_a_customer_with_all_it_has(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    uint64_t mailboxes[3];
    uint64_t theirs = 0;
    uint64_t dropped = 0;
    struct db_domain domain;
    struct db_mailaddress found = {0};
    struct address alias = fixture_address("all@ours.example");
    struct address targets[] = {fixture_address("a@ours.example"),
                                fixture_address("c@also.example")};
    add_three(fixture, mailboxes);
    assert_int_equal(fixture_add(db, fixture->theirs, "a@theirs.example", &theirs), DB_OK);
    assert_int_equal(db_alias_add(db, fixture->ours, &alias, targets, 2), DB_OK);
    assert_int_equal(db_mailaddress_set_hash(db, fixture->ours, &targets[0], "x", NULL), DB_OK);
    assert_int_equal(db_customer_remove(db, fixture->ours, 0), DB_OK);
    assert_int_equal(db_domain_find(db, "ours.example", &domain), DB_NONE);
    assert_int_equal(db_operator_mailaddress_next(db, &found), DB_OK);
    assert_string_equal(found.text, "a@theirs.example");
    assert_int_equal(db_operator_mailaddress_next(db, &found), DB_NONE);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(db_drop_next(db, dropped, &dropped), DB_OK);
        assert_int_equal(dropped, mailboxes[i]);
    }
    assert_int_equal(db_drop_next(db, dropped, &dropped), DB_NONE);
    assert_int_equal(db_drop_done(db, mailboxes[1]), DB_OK);
    assert_int_equal(db_drop_done(db, mailboxes[1]), DB_NONE);
    assert_int_equal(db_drop_next(db, mailboxes[0], &dropped), DB_OK);
    assert_int_equal(dropped, mailboxes[2]);
}

/* Two customers on different plans: only one of them has its old mail removed. */
static void tells_whose_mail_is_kept_for_a_time(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_retention retention = {0};
    uint64_t mailboxes[3];
    struct db_plan plan;

    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", &mailboxes[0]), DB_OK);
    assert_int_equal(fixture_add(db, fixture->theirs, "a@theirs.example", &mailboxes[1]), DB_OK);
    assert_int_equal(fixture_add(db, fixture->ours, "b@ours.example", &mailboxes[2]), DB_OK);
    assert_int_equal(db_retention_next(db, &retention), DB_NONE);
    assert_int_equal(db_plan_find(db, "chain", &plan), DB_OK);
    plan.retention_days = 30;
    assert_int_equal(db_plan_set(db, &plan), DB_OK);
    assert_int_equal(db_retention_next(db, &retention), DB_NONE);
    assert_int_equal(db_customer_set_plan(db, fixture->ours, "chain", DB_OVERPLAN_REFUSE), DB_OK);
    for (size_t i = 0; i < 3; i += 2) {
        assert_int_equal(db_retention_next(db, &retention), DB_OK);
        assert_int_equal(retention.mailbox, mailboxes[i]);
        assert_int_equal(retention.days, 30);
    }
    assert_int_equal(db_retention_next(db, &retention), DB_NONE);
}

static void tells_whose_a_mailbox_is(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    uint64_t mine, other;
    struct db_owner owner;

    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", &mine), DB_OK);
    assert_int_equal(fixture_add(db, fixture->theirs, "a@theirs.example", &other), DB_OK);
    assert_int_equal(db_customer_set_language(db, fixture->theirs, LANGUAGE_NL), DB_OK);
    assert_int_equal(db_owner_find(db, mine, &owner), DB_OK);
    assert_string_equal(owner.address.text, "a@ours.example");
    assert_string_equal(owner.address.domain, "ours.example");
    assert_int_equal(owner.language, LANGUAGE_EN);
    assert_int_equal(db_owner_find(db, other, &owner), DB_OK);
    assert_string_equal(owner.address.text, "a@theirs.example");
    assert_int_equal(owner.language, LANGUAGE_NL);
    assert_int_equal(db_owner_find(db, other + 1, &owner), DB_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checks_plans),
        cmocka_unit_test(names_protections),
        fixture_test(keeps_plans),
        fixture_test(lists_plans_by_name),
        fixture_test(tells_what_plans_have_in_common),
        cmocka_unit_test(checks_names),
        fixture_test(keeps_customers),
        fixture_test(lists_customers_with_what_they_use),
        fixture_test(keeps_domains),
        fixture_test(lists_domains),
        fixture_test(keeps_addresses),
        fixture_test(never_reuses_a_mailbox),
        fixture_test(lists_addresses),
        fixture_test(goes_on_in_a_domain_at_no_cost_of_what_was_before),
        fixture_test(keeps_aliases),
        fixture_test(removes_an_alias_with_its_last_target),
        fixture_test(removes_a_domain_with_all_in_it),
        fixture_test(removes_a_customer_with_all_it_has),
        fixture_test(tells_whose_mail_is_kept_for_a_time),
        fixture_test(tells_whose_a_mailbox_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
