/* admin's end of the connection to authd: what comes is checked, written once, and answered. */
#include "tests/unit/db_fixture.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/authlink.h"
#include "db/event.h"
#include "db/handle.h"
#include "lib/authmsg.h"
#include "tests/unit/frame.h"

#define ANNA "anna@ours.example"

struct world {
    struct fixture *fixture;
    struct event_base *base;
    struct db *notes;
    struct authlink *link;
    uint64_t anna;
    int listener;
    int fd; /* authd's end */
    unsigned drained;
    unsigned answers[2]; /* to questions whether authd answers: no, yes */
};

/* Lets the loop run until something has come; returns the octets, 0 at the end. */
static size_t hear(struct world *world, void *octets, size_t size)
{
    for (unsigned i = 0; i < 5000; i++) {
        event_base_loop(world->base, EVLOOP_NONBLOCK);
        ssize_t got = recv(world->fd, octets, size, MSG_DONTWAIT);
        if (got >= 0)
            return (size_t)got;
        usleep(1000);
    }
    fail_msg("nothing was said within 5 seconds");
    return 0;
}

static enum auth_type hear_type(struct world *world, uint32_t *id_r)
{
    struct frame frame;

    if (hear(world, &frame, sizeof(frame)) == 0)
        return 0;
    assert_int_equal(frame.length, 0);
    *id_r = frame.id;
    return frame.type;
}

static void tell(struct world *world, enum auth_type type, uint32_t id, const void *payload,
                 size_t length)
{
    const struct frame frame = {
        .length = (uint32_t)length, .version = 1, .type = (uint8_t)type, .id = id};

    assert_int_equal(send(world->fd, &frame, sizeof(frame), 0), sizeof(frame));
    assert_int_equal(send(world->fd, payload, length, 0), (ssize_t)length);
    event_base_loop(world->base, EVLOOP_NONBLOCK); /* so that there is room for more */
}

static void accept_link(struct world *world)
{
    uint32_t id;

    while ((world->fd = accept4(world->listener, NULL, NULL, SOCK_CLOEXEC)) < 0) {
        event_base_loop(world->base, EVLOOP_NONBLOCK);
        usleep(1000);
    }
    assert_int_equal(hear_type(world, &id), AUTH_PING);
    assert_int_equal(hear_type(world, &id), AUTH_TAKE);
    tell(world, AUTH_PONG, 0, NULL, 0);
}

static int set_up(void **state)
{
    const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "run/auth-control.sock"};
    struct world *world = xcalloc(1, sizeof(*world));

    fixture_set_up((void **)&world->fixture);
    assert_int_equal(fixture_add(world->fixture->db, world->fixture->ours, ANNA, &world->anna),
                     DB_OK);
    assert_int_equal(mkdir("run", 0700), 0);
    world->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(world->listener, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(world->listener, 5), 0);
    world->base = event_base_new();
    world->notes = fixture_open(world->fixture, DB_NOTES);
    world->link = authlink_new(world->base, world->notes);
    accept_link(world);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    void *fixture = world->fixture;

    authlink_free(world->link);
    db_close(world->notes);
    event_base_free(world->base);
    close(world->listener);
    close(world->fd);
    free(world);
    return fixture_tear_down(&fixture);
}

struct event_payload {
    struct auth_event fixed;
    char texts[sizeof(ANNA)];
};

static struct event_payload make_event(const struct world *world, uint64_t id)
{
    struct event_payload payload = {
        .fixed = {.id = id,
                  .time = id / 1000000,
                  .count = 1,
                  .kind = DB_EVENT_LOGIN,
                  .customer = world->fixture->ours,
                  .mailbox = world->anna,
                  .lengths = {[AUTH_TEXT_ADDRESS] = sizeof(ANNA) - 1}},
        .texts = ANNA,
    };
    return payload;
}

static void tell_event(struct world *world, uint32_t batch, uint64_t id)
{
    const struct event_payload payload = make_event(world, id);

    tell(world, AUTH_EVENT, batch, &payload, sizeof(payload.fixed) + sizeof(ANNA) - 1);
}

static unsigned count_events(struct world *world)
{
    struct db_event event = {0};
    unsigned count = 0;

    while (db_event_next(world->fixture->db, world->fixture->ours, &event) == DB_OK)
        count++;
    return count;
}

static void writes_a_batch_and_says_so(void **state)
{
    struct world *world = *state;
    uint32_t id = 0;

    for (uint64_t i = 1; i <= AUTH_BATCH_MAX; i++)
        tell_event(world, 7, i);
    tell(world, AUTH_BATCH, 7, NULL, 0);
    assert_int_equal(hear_type(world, &id), AUTH_WRITTEN);
    assert_int_equal(id, 7);
    assert_int_equal(count_events(world), AUTH_BATCH_MAX);
}

/* It was written, and the answer did not come: the same again, over a new connection. */
static void writes_a_thing_once(void **state)
{
    struct world *world = *state;
    uint32_t id;

    for (unsigned i = 0; i < 2; i++) {
        tell_event(world, 1, 5);
        tell(world, AUTH_BATCH, 1, NULL, 0);
        assert_int_equal(hear_type(world, &id), AUTH_WRITTEN);
        close(world->fd);
        accept_link(world);
    }
    assert_int_equal(count_events(world), 1);
}

/* A batch that was cut off is no batch. */
static void forgets_half_a_batch(void **state)
{
    struct world *world = *state;
    uint32_t id;

    tell_event(world, 1, 5);
    close(world->fd);
    accept_link(world);
    tell_event(world, 2, 6);
    tell(world, AUTH_BATCH, 2, NULL, 0);
    assert_int_equal(hear_type(world, &id), AUTH_WRITTEN);
    assert_int_equal(count_events(world), 1);
}

static void waits_for_another_writer(void **state)
{
    struct world *world = *state;
    struct sqlite3 *other = world->fixture->db->sqlite;
    char octet;
    uint32_t id;

    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    tell_event(world, 1, 5);
    tell(world, AUTH_BATCH, 1, NULL, 0);
    for (unsigned i = 0; i < 10; i++) {
        event_base_loop(world->base, EVLOOP_ONCE);
        assert_int_equal(recv(world->fd, &octet, 1, MSG_DONTWAIT), -1);
    }
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(hear_type(world, &id), AUTH_WRITTEN);
    assert_int_equal(count_events(world), 1);
}

static char *column(struct world *world, const char *sql)
{
    static char text[300];
    struct sqlite3_stmt *statement;

    assert_int_equal(sqlite3_prepare_v2(world->fixture->db->sqlite, sql, -1, &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    const unsigned char *value = sqlite3_column_text(statement, 0);
    snprintf(text, sizeof(text), "%s", value != NULL ? (const char *)value : "NULL");
    sqlite3_finalize(statement);
    return text;
}

/* What belongs to another hash than the stored one is left out. */
static void notes_go_with_the_stored_hash(void **state)
{
    struct world *world = *state;
    struct address anna = fixture_address(ANNA);
    uint64_t ours = world->fixture->ours;
    struct auth_upgrade upgrade = {ours, world->anna, "old", "new"};
    struct auth_scram scram = {ours, world->anna, "old", "keys of the old one"};
    uint32_t id;

    assert_int_equal(db_mailaddress_set_hash(world->fixture->db, ours, &anna, "old", NULL), DB_OK);
    tell(world, AUTH_UPGRADE, 1, &upgrade, sizeof(upgrade));
    tell(world, AUTH_SCRAM, 1, &scram, sizeof(scram));
    tell(world, AUTH_BATCH, 1, NULL, 0);
    assert_int_equal(hear_type(world, &id), AUTH_WRITTEN);
    assert_string_equal(column(world, "SELECT hash FROM credential"), "new");
    assert_string_equal(column(world, "SELECT scram FROM credential"), "NULL");

    snprintf(scram.hash, sizeof(scram.hash), "new");
    snprintf(upgrade.new_hash, sizeof(upgrade.new_hash), "newer");
    tell(world, AUTH_SCRAM, 2, &scram, sizeof(scram));
    tell(world, AUTH_UPGRADE, 2, &upgrade, sizeof(upgrade));
    upgrade.customer = world->fixture->theirs;
    snprintf(upgrade.old_hash, sizeof(upgrade.old_hash), "new");
    tell(world, AUTH_UPGRADE, 2, &upgrade, sizeof(upgrade));
    tell(world, AUTH_BATCH, 2, NULL, 0);
    assert_int_equal(hear_type(world, &id), AUTH_WRITTEN);
    assert_string_equal(column(world, "SELECT hash FROM credential"), "new");
    assert_string_equal(column(world, "SELECT scram FROM credential"), "keys of the old one");
}

enum break_rule {
    TYPE,
    KIND,
    NO_ID,
    NO_COUNT,
    TOO_SHORT,
    TEXT_TOO_LONG,
    TEXT_BEHIND_THE_END,
    TEXT_LEFT_OVER,
    NUL_IN_TEXT,
    NO_NUL,
    TOO_MANY,
    RULES
};

static void break_rule(struct world *world, enum break_rule rule)
{
    struct event_payload payload = make_event(world, 5);
    size_t length = sizeof(payload.fixed) + sizeof(ANNA) - 1;
    struct auth_scram scram = {1, 1, "", ""};

    switch (rule) {
    case TYPE: tell(world, AUTH_FLUSH, 1, NULL, 0); return;
    case KIND: payload.fixed.kind = DB_EVENT__MAX; break;
    case NO_ID: payload.fixed.id = 0; break;
    case NO_COUNT: payload.fixed.count = 0; break;
    case TOO_SHORT: length = sizeof(payload.fixed) - 1; break;
    case TEXT_TOO_LONG: payload.fixed.lengths[AUTH_TEXT_ADDRESS] = 60000; break;
    case TEXT_BEHIND_THE_END: payload.fixed.lengths[AUTH_TEXT_REASON] = 1; break;
    case TEXT_LEFT_OVER: payload.fixed.lengths[AUTH_TEXT_ADDRESS]--; break;
    case NUL_IN_TEXT: payload.texts[3] = '\0'; break;
    case NO_NUL:
        memset(scram.keys, 'x', sizeof(scram.keys));
        tell(world, AUTH_SCRAM, 1, &scram, sizeof(scram));
        return;
    case TOO_MANY:
        for (uint64_t i = 1; i <= AUTH_BATCH_MAX; i++)
            tell_event(world, 1, i);
        break;
    case RULES: break;
    }
    tell(world, AUTH_EVENT, 1, &payload, length);
}

/* The connection ends, nothing is written, and the next one is as good as any. */
static void hangs_up_on_who_breaks_the_rules(void **state)
{
    struct world *world = *state;
    uint32_t id;

    for (enum break_rule rule = 0; rule < RULES; rule++) {
        break_rule(world, rule);
        if (hear_type(world, &id) != 0)
            fail_msg("rule %u", rule);
        close(world->fd);
        accept_link(world);
        assert_int_equal(count_events(world), 0);
    }
}

static void on_drained(void *context)
{
    struct world *world = context;

    world->drained++;
}

/* One that retires writes on until authd has gone, or another one writes. */
static void drains_until_it_is_not_needed(void **state)
{
    struct world *world = *state;
    uint32_t id;

    authlink_drain(world->link, on_drained, world);
    tell_event(world, 1, 5);
    tell(world, AUTH_BATCH, 1, NULL, 0);
    assert_int_equal(hear_type(world, &id), AUTH_WRITTEN);
    assert_int_equal(count_events(world), 1);
    assert_int_equal(world->drained, 0);
    shutdown(world->fd, SHUT_RDWR);
    while (world->drained == 0)
        event_base_loop(world->base, EVLOOP_ONCE);
    assert_int_equal(world->drained, 1);
}

static void drains_until_it_is_replaced(void **state)
{
    struct world *world = *state;

    tell(world, AUTH_TAKEN, 0, NULL, 0);
    assert_int_equal(world->drained, 0);
    authlink_drain(world->link, on_drained, world);
    while (world->drained == 0)
        event_base_loop(world->base, EVLOOP_ONCE);
    assert_int_equal(world->drained, 1);
}

static void on_answer(void *context, bool answered)
{
    struct world *world = context;

    world->answers[answered]++;
}

static void ping(struct world *world)
{
    authlink_ping(world->link, (struct authlink_caller){on_answer, world});
}

/* Two who ask at once cost one question; one who asks while there is no connection waits for it. */
static void tells_whether_authd_answers(void **state)
{
    struct world *world = *state;
    uint32_t id = 0;

    ping(world);
    ping(world);
    assert_int_equal(hear_type(world, &id), AUTH_PING);
    tell(world, AUTH_PONG, id, NULL, 0);
    assert_int_equal(world->answers[true], 2);
    close(world->fd);
    ping(world);
    accept_link(world);
    assert_int_equal(world->answers[true], 3);
    ping(world);
    while (world->answers[false] == 0)
        event_base_loop(world->base, EVLOOP_ONCE);
    ping(world);
    authlink_settle(world->link);
    assert_int_equal(world->answers[true], 3);
    assert_int_equal(world->answers[false], 2);
}

#define world_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        world_test(writes_a_batch_and_says_so),    world_test(writes_a_thing_once),
        world_test(forgets_half_a_batch),          world_test(waits_for_another_writer),
        world_test(notes_go_with_the_stored_hash), world_test(hangs_up_on_who_breaks_the_rules),
        world_test(drains_until_it_is_not_needed), world_test(drains_until_it_is_replaced),
        world_test(tells_whether_authd_answers),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
