/* Events: written once however often they come, bounded, and never another customer's. */
#include "tests/unit/db_fixture.h"

#include <sqlite3.h>
#include <time.h>

#include "db/event.h"
#include "db/handle.h"
#include "db/transaction.h"

#define ANNA "anna@ours.example"

struct world {
    struct fixture *fixture;
    struct db *db;
    uint64_t anna;
    uint64_t bert;
    uint64_t theirs;
    uint64_t now; /* microseconds */
};

static int set_up(void **state)
{
    struct world *world = xcalloc(1, sizeof(*world));
    fixture_set_up((void **)&world->fixture);
    world->db = world->fixture->db;
    world->now = (uint64_t)time(NULL) * 1000000;
    assert_int_equal(fixture_add(world->db, world->fixture->ours, ANNA, &world->anna), DB_OK);
    assert_int_equal(fixture_add(world->db, world->fixture->ours, "b@ours.example", &world->bert),
                     DB_OK);
    assert_int_equal(
        fixture_add(world->db, world->fixture->theirs, "a@theirs.example", &world->theirs), DB_OK);
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

static struct db_event make(const struct world *world, uint64_t id, enum db_event_kind kind)
{
    struct db_event event = {.id = id,
                             .time = id / 1000000,
                             .count = 1,
                             .customer = world->fixture->ours,
                             .mailbox = world->anna,
                             .kind = kind};
    snprintf(event.address, sizeof(event.address), ANNA);
    snprintf(event.remote, sizeof(event.remote), "192.0.2.7");
    return event;
}

static void write_one(struct world *world, uint64_t customer, uint64_t mailbox, uint64_t id,
                      enum db_event_kind kind)
{
    struct db_event event = make(world, id, kind);
    event.customer = customer;
    event.mailbox = mailbox;
    assert_int_equal(db_event_write(world->db, &event), DB_OK);
}

static unsigned count_rows(struct world *world, uint64_t customer, uint64_t mailbox,
                           enum db_event_kind kind)
{
    struct db_event event = {0};
    unsigned count = 0;
    uint64_t last = INT64_MAX;
    while (db_event_mailbox_next(world->db, customer, mailbox, &event) == DB_OK) {
        assert_true(event.id < last);
        last = event.id;
        count += event.kind == kind;
    }
    return count;
}

static unsigned count_all(struct world *world, uint64_t customer)
{
    struct db_event event = {0};
    unsigned count = 0;
    while (db_event_next(world->db, customer, &event) == DB_OK) {
        assert_int_equal(event.customer, customer);
        count++;
    }
    return count;
}

static void is_read_as_it_was_written(void **state)
{
    struct world *world = *state;
    struct db_event event = make(world, world->now, DB_EVENT_REFUSED);
    struct db_event read = {0};
    snprintf(event.protocol, sizeof(event.protocol), "pop3");
    snprintf(event.mechanism, sizeof(event.mechanism), "PLAIN");
    snprintf(event.credential, sizeof(event.credential), "Anna's phone");
    snprintf(event.reason, sizeof(event.reason), "wrong password");
    assert_int_equal(db_event_write(world->db, &event), DB_OK);
    assert_int_equal(db_event_next(world->db, world->fixture->ours, &read), DB_OK);
    snprintf(event.customer_name, sizeof(event.customer_name), "ours");
    assert_memory_equal(&event, &read, sizeof(read));
    assert_int_equal(db_event_next(world->db, world->fixture->ours, &read), DB_NONE);
    memset(&read, 0, sizeof(read));
    assert_int_equal(db_event_mailbox_next(world->db, world->fixture->ours, world->anna, &read),
                     DB_OK);
    assert_memory_equal(&event, &read, sizeof(read));
}

/* What comes again after a crash, and what has happened again. */
static void is_one_row_however_often_it_comes(void **state)
{
    struct world *world = *state;
    struct db_event event = make(world, world->now, DB_EVENT_LOGIN);
    struct db_event read = {0};
    assert_int_equal(db_event_write(world->db, &event), DB_OK);
    event.count = 17;
    event.time += 600;
    assert_int_equal(db_event_write(world->db, &event), DB_OK);
    assert_int_equal(db_event_write(world->db, &event), DB_OK);
    event.count = 1; /* an older state of it does not undo a newer one */
    event.time -= 600;
    assert_int_equal(db_event_write(world->db, &event), DB_OK);
    assert_int_equal(count_all(world, world->fixture->ours), 1);
    assert_int_equal(db_event_next(world->db, world->fixture->ours, &read), DB_OK);
    assert_int_equal(read.count, 17);
    assert_int_equal(read.time, world->now / 1000000 + 600);
}

static void belongs_to_the_customer_of_the_domain(void **state)
{
    struct world *world = *state;
    struct db_event event = make(world, world->now, DB_EVENT_REFUSED);
    event.customer = event.mailbox = 0;
    snprintf(event.address, sizeof(event.address), "nobody@theirs.example");
    assert_int_equal(db_event_write(world->db, &event), DB_OK);
    assert_int_equal(count_all(world, world->fixture->theirs), 1);
    assert_int_equal(count_all(world, world->fixture->ours), 0);
    event.id++;
    snprintf(event.address, sizeof(event.address), "nobody@nowhere.example");
    assert_int_equal(db_event_write(world->db, &event), DB_NONE);
}

static void goes_nowhere_with_anothers_mailbox(void **state)
{
    struct world *world = *state;
    struct db_event event = make(world, world->now, DB_EVENT_LOGIN);
    event.mailbox = world->theirs;
    assert_int_equal(db_event_write(world->db, &event), DB_NONE);
    event.customer = 999;
    event.mailbox = 0;
    assert_int_equal(db_event_write(world->db, &event), DB_NONE);
    assert_int_equal(count_all(world, world->fixture->ours), 0);
    assert_int_equal(count_all(world, world->fixture->theirs), 0);
}

/* A mailbox that is guessed at keeps its logins, and takes nobody else's. */
static void pushes_out_only_its_own_kind(void **state)
{
    struct world *world = *state;
    uint64_t ours = world->fixture->ours;
    assert_int_equal(db_transaction_begin(world->db), DB_OK);
    write_one(world, ours, world->anna, world->now, DB_EVENT_LOGIN);
    write_one(world, ours, world->bert, world->now + 1, DB_EVENT_REFUSED);
    write_one(world, world->fixture->theirs, world->theirs, world->now + 2, DB_EVENT_REFUSED);
    for (uint64_t i = 0; i < DB_EVENT_MAILBOX_MAX + 100; i++) {
        write_one(world, ours, world->anna, world->now + 3 + i,
                  i % 2 == 0 ? DB_EVENT_REFUSED : DB_EVENT_BLOCKED);
        write_one(world, ours, 0, world->now + 100000 + i, DB_EVENT_REFUSED);
    }
    assert_int_equal(db_transaction_commit(world->db), DB_OK);
    assert_int_equal(count_rows(world, ours, world->anna, DB_EVENT_LOGIN), 1);
    assert_int_equal(count_rows(world, ours, world->anna, DB_EVENT_REFUSED) +
                         count_rows(world, ours, world->anna, DB_EVENT_BLOCKED),
                     DB_EVENT_MAILBOX_MAX);
    assert_int_equal(count_rows(world, ours, 0, DB_EVENT_REFUSED), DB_EVENT_MAILBOX_MAX);
    assert_int_equal(count_rows(world, ours, world->bert, DB_EVENT_REFUSED), 1);
    assert_int_equal(count_all(world, world->fixture->theirs), 1);
}

static void prunes_what_is_too_old(void **state)
{
    struct world *world = *state;
    uint64_t days = (uint64_t)86400 * 1000000;
    uint64_t customer = 0;
    bool more;
    write_one(world, world->fixture->ours, world->anna, world->now - (DB_EVENT_DAYS + 1) * days,
              DB_EVENT_LOGIN);
    write_one(world, world->fixture->ours, world->anna, world->now - (DB_EVENT_DAYS - 1) * days,
              DB_EVENT_LOGIN);
    write_one(world, world->fixture->theirs, world->theirs, world->now - (DB_EVENT_DAYS + 2) * days,
              DB_EVENT_REFUSED);
    assert_int_equal(db_event_prune(world->db, &customer, &more), DB_OK);
    assert_int_equal(customer, world->fixture->ours);
    assert_false(more);
    assert_int_equal(count_all(world, world->fixture->ours), 1);
    assert_int_equal(count_all(world, world->fixture->theirs), 1);
    assert_int_equal(db_event_prune(world->db, &customer, &more), DB_OK);
    assert_int_equal(customer, world->fixture->theirs);
    assert_int_equal(count_all(world, world->fixture->theirs), 0);
    assert_int_equal(db_event_prune(world->db, &customer, &more), DB_NONE);
}

/* Within the change, and gone with it. */
static void a_change_by_command_is_an_event(void **state)
{
    struct world *world = *state;
    struct address anna = fixture_address(ANNA);
    uint64_t ours = world->fixture->ours;
    struct db_event event = {0};
    assert_int_equal(db_mailaddress_set_hash(world->db, ours, &anna, "x", NULL), DB_OK);
    assert_int_equal(
        db_mailaddress_set_suspended(world->db, ours, &anna, true, DB_SUSPENDED_AS_CONFIGURED),
        DB_OK);
    for (int suspended = 2; suspended-- > 0;)
        assert_int_equal(
            db_customer_set_suspended(world->db, ours, suspended, DB_SUSPENDED_AS_CONFIGURED),
            DB_OK);
    assert_int_equal(db_mailaddress_set_hash(world->db, ours, &anna, NULL, NULL), DB_OK);
    assert_int_equal(db_transaction_begin(world->db), DB_OK);
    assert_int_equal(db_mailaddress_set_hash(world->db, ours, &anna, "y", NULL), DB_OK);
    db_transaction_rollback(world->db);

    assert_int_equal(db_event_next(world->db, ours, &event), DB_OK);
    assert_int_equal(event.kind, DB_EVENT_NO_PASSWORD);
    assert_int_equal(db_event_next(world->db, ours, &event), DB_OK);
    assert_int_equal(event.kind, DB_EVENT_RESUMED);
    assert_int_equal(event.mailbox, 0);
    assert_int_equal(db_event_next(world->db, ours, &event), DB_OK);
    assert_int_equal(event.kind, DB_EVENT_SUSPENDED);
    assert_int_equal(db_event_next(world->db, ours, &event), DB_OK);
    assert_int_equal(event.kind, DB_EVENT_SUSPENDED);
    assert_int_equal(event.mailbox, world->anna);
    assert_int_equal(db_event_next(world->db, ours, &event), DB_OK);
    assert_int_equal(event.kind, DB_EVENT_PASSWORD);
    assert_string_equal(event.address, ANNA);
    assert_string_equal(event.protocol, "bellhop");
    assert_string_equal(event.credential, "password");
    assert_in_range(event.time, world->now / 1000000, world->now / 1000000 + 60);
    assert_int_equal(db_event_next(world->db, ours, &event), DB_NONE);
    assert_int_equal(count_all(world, world->fixture->theirs), 0);
}

/* However many rings there are: mailboxes that were removed count too. */
static void prunes_what_is_too_much(void **state)
{
    struct world *world = *state;
    uint64_t ours = world->fixture->ours;
    uint64_t customer = 0;
    bool more = true;
    char sql[512];
    snprintf(sql, sizeof(sql),
             "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number"
             "    WHERE n < %d)"
             "INSERT INTO event SELECT %lld + n, 1, %d, 1000 + n / 900, '', 'login', 0, '', '', '',"
             "    '', '', 1 FROM number",
             DB_EVENT_CUSTOMER_MAX + 1500, (long long)world->now, (int)ours);
    assert_int_equal(sqlite3_exec(world->db->sqlite, sql, NULL, NULL, NULL), SQLITE_OK);
    write_one(world, world->fixture->theirs, world->theirs, world->now, DB_EVENT_LOGIN);
    assert_int_equal(db_event_prune(world->db, &customer, &more), DB_OK);
    assert_true(more);
    customer = 0;
    assert_int_equal(db_event_prune(world->db, &customer, &more), DB_OK);
    assert_false(more);
    assert_int_equal(count_all(world, ours), DB_EVENT_CUSTOMER_MAX);
    assert_int_equal(db_event_prune(world->db, &customer, &more), DB_OK);
    assert_int_equal(count_all(world, world->fixture->theirs), 1);
}

#define world_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        world_test(is_read_as_it_was_written),
        world_test(is_one_row_however_often_it_comes),
        world_test(belongs_to_the_customer_of_the_domain),
        world_test(goes_nowhere_with_anothers_mailbox),
        world_test(pushes_out_only_its_own_kind),
        world_test(prunes_what_is_too_old),
        world_test(prunes_what_is_too_much),
        world_test(a_change_by_command_is_an_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
