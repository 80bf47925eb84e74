#include "tests/unit/db_fixture.h"

#include <sqlite3.h>

#include "db/apppassword.h"
#include "db/handle.h"
#include "db/issuer.h"
#include "db/login.h"
#include "db/logout.h"
#include "db/note.h"

/* Two mailboxes of ours, a with a password and an app password, and one of theirs. */
struct world {
    struct fixture *fixture;
    struct db *db;
    uint64_t customer;
    struct address a;
    uint64_t mailbox_a, mailbox_b, theirs;
};

static const struct db_app_password phone = {.name = "phone", .pop3 = true, .smtp = true};
static const struct db_app_password sender = {.name = "sender", .smtp = true};

static int set_up(void **state)
{
    const uint8_t one[APPPASSWORD_DIGEST_SIZE] = {1}, two[APPPASSWORD_DIGEST_SIZE] = {2};
    struct world *world = xcalloc(1, sizeof(*world));
    fixture_set_up((void **)&world->fixture);
    world->db = world->fixture->db;
    world->customer = world->fixture->ours;
    world->a = fixture_address("a@ours.example");
    assert_int_equal(fixture_add(world->db, world->customer, "a@ours.example", &world->mailbox_a),
                     DB_OK);
    assert_int_equal(fixture_add(world->db, world->customer, "b@ours.example", &world->mailbox_b),
                     DB_OK);
    assert_int_equal(
        fixture_add(world->db, world->fixture->theirs, "a@theirs.example", &world->theirs), DB_OK);
    assert_int_equal(db_mailaddress_set_hash(world->db, world->customer, &world->a, "x", NULL),
                     DB_OK);
    assert_int_equal(db_app_password_add(world->db, world->customer, &world->a, &phone, one),
                     DB_OK);
    assert_int_equal(db_app_password_add(world->db, world->customer, &world->a, &sender, two),
                     DB_OK);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    void *fixture = world->fixture;
    free(world);
    return fixture_tear_down(&fixture);
}

static uint64_t newest_at_login(const struct world *world)
{
    struct db_login login;
    assert_int_equal(db_login_find(world->db, &world->a, &login), DB_OK);
    return login.logout;
}

/* The logouts behind `after`, of which a session is ended whose login knew that number. */
static size_t logouts(const struct world *world, uint64_t after, struct db_logout *found_r)
{
    size_t count;
    enum db_result result = db_logout_list(world->db, after, found_r, 8, &count);
    assert_int_equal(result, count > 0 ? DB_OK : DB_NONE);
    return count;
}

static void suspend_customer(const struct world *world, bool suspended)
{
    assert_int_equal(db_customer_set_suspended(world->db, world->customer, suspended,
                                               DB_SUSPENDED_AS_CONFIGURED),
                     DB_OK);
}

static void suspend_mailbox(const struct world *world, bool suspended)
{
    assert_int_equal(db_mailaddress_set_suspended(world->db, world->customer, &world->a, suspended,
                                                  DB_SUSPENDED_AS_CONFIGURED),
                     DB_OK);
}

static void set_password(const struct world *world)
{
    assert_int_equal(db_mailaddress_set_hash(world->db, world->customer, &world->a, "other", NULL),
                     DB_OK);
}

static void remove_password(const struct world *world)
{
    assert_int_equal(db_mailaddress_set_hash(world->db, world->customer, &world->a, NULL, NULL),
                     DB_OK);
}

static void remove_phone(const struct world *world)
{
    assert_int_equal(db_app_password_remove(world->db, world->customer, &world->a, "phone"), DB_OK);
}

static void remove_sender(const struct world *world)
{
    assert_int_equal(db_app_password_remove(world->db, world->customer, &world->a, "sender"),
                     DB_OK);
}

/* What authd has written at a login ends nobody's session. */
static void upgrade_hash(const struct world *world)
{
    assert_int_equal(db_note_upgrade(world->db, world->customer, world->mailbox_a, "x", "y"),
                     DB_OK);
    assert_int_equal(db_note_scram(world->db, world->customer, world->mailbox_a, "y", "z"), DB_OK);
}

static void suspend_customer_now(const struct world *world)
{
    suspend_customer(world, true);
}

static void suspend_mailbox_now(const struct world *world)
{
    suspend_mailbox(world, true);
}

static void remove_mailbox(const struct world *world)
{
    assert_int_equal(db_mailaddress_remove(world->db, world->customer, &world->a, 0), DB_OK);
}

static void remove_domain(const struct world *world)
{
    assert_int_equal(db_domain_remove(world->db, world->customer, "ours.example", 0), DB_OK);
}

static void remove_customer(const struct world *world)
{
    assert_int_equal(db_customer_remove(world->db, world->customer, 0), DB_OK);
}

static void remove_mailbox_for_a_time(const struct world *world)
{
    assert_int_equal(db_mailaddress_remove(world->db, world->customer, &world->a, 9), DB_OK);
}

static void remove_customer_for_a_time(const struct world *world)
{
    assert_int_equal(db_customer_remove(world->db, world->customer, 9), DB_OK);
}

static void move_to_a_small_plan(const struct world *world)
{
    assert_int_equal(
        db_customer_set_plan(world->db, world->customer, "single", DB_OVERPLAN_SUSPEND), DB_OK);
}

static void switch_pop3_off(const struct world *world)
{
    const struct db_mailbox_settings settings = {.smtp = true};
    assert_int_equal(db_mailaddress_set_settings(world->db, world->customer, &world->a, &settings),
                     DB_OK);
}

static void remove_issuer(const struct world *world)
{
    const struct db_issuer issuer = {
        .issuer = "https://login.example", .audience = "mail", .claim = "email"};
    assert_int_equal(db_issuer_add(world->db, world->customer, &issuer), DB_OK);
    assert_int_equal(db_issuer_remove(world->db, world->customer, issuer.issuer), DB_OK);
}

/* Each change with how many of the two mailboxes of ours it logs out. */
static const struct {
    const char *what;
    void (*change)(const struct world *world);
    size_t count;
} changes[] = {
    {"a hash made anew", upgrade_hash, 0},
    {"an app password for sending removed", remove_sender, 0},
    {"an app password removed", remove_phone, 1},
    {"a token issuer removed", remove_issuer, 2},
    {"POP3 switched off", switch_pop3_off, 1},
    {"too many for the plan", move_to_a_small_plan, 1},
    {"a mailbox removed for a time", remove_mailbox_for_a_time, 1},
    {"a customer removed for a time", remove_customer_for_a_time, 2},
    {"a password set", set_password, 1},
    {"a password removed", remove_password, 1},
    {"a mailbox suspended", suspend_mailbox_now, 1},
    {"a customer suspended", suspend_customer_now, 2},
    {"an address removed", remove_mailbox, 1},
    {"a domain removed", remove_domain, 2},
    {"a customer removed", remove_customer, 2},
};

static uint64_t newest(const struct world *world)
{
    struct db_logout found[8];
    size_t count = logouts(world, 0, found);
    return count > 0 ? found[count - 1].number : 0;
}

static void check_change(struct world *world, size_t at)
{
    struct db_logout found[8];
    uint64_t before = newest(world);
    changes[at].change(world);
    size_t count = logouts(world, before, found);
    if (count != changes[at].count) {
        fail_msg("%s: %zu logouts", changes[at].what, count);
    }
    for (size_t i = 0; i < count; i++) {
        assert_true(found[i].mailbox == world->mailbox_a || found[i].mailbox == world->mailbox_b);
    }
}

static void what_ends_a_login_is_a_logout(void **state)
{
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        check_change(*state, i);
        tear_down(state);
        set_up(state);
    }
}

/* Who resumes, or suspends again what is suspended, ends nothing. */
static void only_the_step_into_suspension_counts(void **state)
{
    struct world *world = *state;
    struct db_logout found[8];
    suspend_customer(world, true);
    suspend_mailbox(world, true);
    uint64_t newest = newest_at_login(world);
    assert_true(newest > 0);
    suspend_customer(world, true);
    suspend_mailbox(world, true);
    suspend_customer(world, false);
    suspend_mailbox(world, false);
    assert_int_equal(logouts(world, newest, found), 0);
    /* A mailbox has its newest logout alone. */
    assert_int_equal(logouts(world, 0, found), 2);
    suspend_mailbox(world, true);
    assert_int_equal(logouts(world, 0, found), 2);
    assert_int_equal(found[1].mailbox, world->mailbox_a);
    assert_int_equal(found[1].number, newest + 1);
}

static void ends_what_somebody_wants_ended(void **state)
{
    struct world *world = *state;
    const struct address theirs = fixture_address("a@theirs.example");
    struct db_logout_range range = {0};
    struct db_logout found[8];
    assert_int_equal(db_logout_mailbox(world->db, world->customer, &theirs, &range), DB_NONE);
    assert_int_equal(db_logout_mailbox(world->db, world->customer, &world->a, &range), DB_OK);
    assert_int_equal(range.first, range.last);
    assert_int_equal(range.last, newest_at_login(world));
    uint64_t before = range.last;
    assert_int_equal(db_logout_customer(world->db, world->customer, &range), DB_OK);
    assert_int_equal(range.first, before + 1);
    assert_int_equal(range.last, before + 2);
    assert_int_equal(logouts(world, before, found), 2);
    assert_int_equal(db_logout_customer(world->db, 999, &range), DB_NONE);

    struct db_audit audit = {0};
    assert_int_equal(db_audit_next(world->db, world->customer, &audit), DB_OK);
    assert_string_equal(audit.action, "session.end");
    assert_string_equal(audit.object, "ours");
    assert_int_equal(db_audit_next(world->db, world->customer, &audit), DB_OK);
    assert_string_equal(audit.action, "session.end");
    assert_string_equal(audit.object, "a@ours.example");
    db_audit_free(&audit);
}

/* A number does not come again, or a login from before it would not be ended. */
static void forgets_what_is_old_and_no_number(void **state)
{
    struct world *world = *state;
    struct db_logout_range range;
    struct db_logout found[8];
    assert_int_equal(db_logout_customer(world->db, world->customer, &range), DB_OK);
    assert_int_equal(db_logout_forget(world->db, range.last), DB_NONE);
    assert_int_equal(sqlite3_exec(world->db->sqlite, "UPDATE logout SET created = created - 61",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(db_logout_forget(world->db, range.first), DB_OK);
    assert_int_equal(logouts(world, 0, found), 1);
    assert_int_equal(db_logout_forget(world->db, range.last), DB_OK);
    assert_int_equal(logouts(world, 0, found), 0);
    assert_int_equal(newest_at_login(world), 0);
    uint64_t last = range.last;
    assert_int_equal(db_logout_mailbox(world->db, world->customer, &world->a, &range), DB_OK);
    assert_int_equal(range.first, last + 1);
}

static void lists_in_parts(void **state)
{
    struct world *world = *state;
    struct db_logout_range range;
    struct db_logout found[8];
    size_t count;
    assert_int_equal(db_logout_customer(world->db, world->customer, &range), DB_OK);
    assert_int_equal(db_logout_list(world->db, 0, found, 1, &count), DB_OK);
    assert_int_equal(count, 1);
    assert_int_equal(found[0].number, range.first);
    assert_int_equal(db_logout_list(world->db, found[0].number, found, 8, &count), DB_OK);
    assert_int_equal(count, 1);
    assert_int_equal(found[0].number, range.last);
    assert_int_equal(db_logout_list(world->db, range.last, found, 8, &count), DB_NONE);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_ends_a_login_is_a_logout),
        CASE(only_the_step_into_suspension_counts),
        CASE(ends_what_somebody_wants_ended),
        CASE(forgets_what_is_old_and_no_number),
        CASE(lists_in_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
