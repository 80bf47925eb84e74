#include "tests/unit/db_fixture.h"

#include <sqlite3.h>
#include <time.h>

#include "db/event.h"
#include "db/handle.h"
#include "db/outbox.h"
#include "db/transaction.h"

static const uint8_t secret[DB_WEBHOOK_SECRET_SIZE] = {7};

static const char url[] = "https://panel.example/hook";

static struct db_webhook add(struct fixture *fixture, uint64_t customer)
{
    struct db_webhook webhook;
    uint64_t id;
    assert_int_equal(db_webhook_add(fixture->db, customer, url, "*", secret, &id), DB_OK);
    assert_int_equal(db_operator_webhook_find(fixture->db, id, &webhook), DB_OK);
    return webhook;
}

/* The types of what it is told of after `cursor`, with a blank behind each. */
static void assert_events(struct fixture *fixture, const struct db_webhook *webhook,
                          uint64_t cursor, const char *types)
{
    char found[512] = "";
    struct db_outbox outbox = {0};
    while (db_outbox_next(fixture->db, webhook, cursor, &outbox) == DB_OK) {
        assert_true(outbox.cursor > cursor);
        cursor = outbox.cursor;
        size_t length = strlen(found);
        snprintf(found + length, sizeof(found) - length, "%s ", outbox.type);
    }
    assert_string_equal(found, types);
}

static void checks_urls(void **state)
{
    static const struct {
        const char *url;
        int result;
    } rows[] = {
        {"https://a.example", 0},
        {"https://a.example/hook?token=1", 0},
        {"https://[2001:db8::1]:8443/", 0},
        {"http://192.0.2.1:8080/x@y", 0},
        {"", -1},
        {"https://", -1},
        {"https:///path", -1},
        {"https://:443/", -1},
        {"ftp://a.example/", -1},
        {"HTTPS://a.example/", -1},
        {"https://user@a.example/", -1},
        {"https://user:password@a.example/", -1},
        {"https://a.example/#part", -1},
        {"https://a.example/a b", -1},
        {"https://a.example/\n", -1},
        {"https://a.example/\xc3\xa4", -1},
        {"https://a.example:1/", 0},
        {"https://a", -1}, /* what the table takes has two octets more than "https://" */
        {"http://a", -1},
        {"https://ab", 0},
        {"https://a.example:65535", 0},
        {"https://a.example:0/", -1},
        {"https://a.example:65536/", -1},
        {"https://a.example:/", -1},
        {"https://a.example:8x/", -1},
        {"https://[2001:db8::1]:99999/", -1},
        {"https://[fe80::1%25eth0]/", -1},
        {"https://[2001:db8::1]/%25", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *error = NULL;
        if (db_webhook_url_check(rows[i].url, &error) != rows[i].result) {
            fail_msg("%s", rows[i].url);
        }
        assert_int_equal(error != NULL, rows[i].result != 0);
    }
}

static void knows_what_it_wants(void **state)
{
    static const struct {
        const char *events;
        bool known;
        bool wanted; /* address.add */
    } rows[] = {
        {"*", true, true},
        {"address.add", true, true},
        {"address.*", true, true},
        {"alias.add,address.*", true, true},
        {"customer.*,address.add", true, true},
        {"address.a", false, false},
        {"add", false, false},
        {"address.adds", false, false},
        {"customer.*,login.blocked", true, false},
    };
    static const struct {
        const char *events;
        const char *instead;
    } wrong[] = {
        {"", "there is no such type of events; there are *, customer.*, domain.*"},
        {",", "there is no such type"},
        {"*,", "there is no such type"},
        {"address.add,,*", "there is no such type"},
        {"*,address.ad", "\"address.ad\"; there are address.*, address.add, address.invite"},
        {"alias.", "\"alias.\"; there are alias.*, alias.add, alias.set"},
        {"alias", "\"alias\"; there are *, customer.*"},
        {"ali*", "\"ali*\"; there are *, customer.*"},
        {"Address.add", "\"Address.add\"; there are *, customer.*"},
        {"address.\xff", "no such type of events; there are address.*"},
        {"webhook.test", "webhook.replay, webhook.disable, webhook.remove"},
    };
    char error[DB_EVENTTYPE_ERROR_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(db_webhook_events_check(rows[i].events, error), rows[i].known ? 0 : -1);
        if (db_eventtype_wants(rows[i].events, "address.add") != rows[i].wanted) {
            fail_msg("%s", rows[i].events);
        }
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (db_webhook_events_check(wrong[i].events, error) == 0 ||
            strstr(error, wrong[i].instead) == NULL) {
            fail_msg("%s: %s", wrong[i].events, error);
        }
    }
}

/* None of a sentence is cut off: also where the wrong type is as long as one that is repeated. */
static void tells_all_of_a_kind(void **state)
{
    char error[DB_EVENTTYPE_ERROR_SIZE];
    (void)state;
    for (const char *const *type = db_eventtypes; *type != NULL; type++) {
        char wrong[42];
        size_t kind = strcspn(*type, ".*");
        memset(wrong, 'x', 40);
        wrong[40] = '\0';
        if (kind > 0) {
            memcpy(wrong, *type, kind + 1);
        }
        assert_int_equal(db_eventtype_check(*type, error), 0);
        assert_int_equal(db_eventtype_check(wrong, error), -1);
        assert_non_null(strstr(error, wrong));
        assert_non_null(strstr(error, *type));
        assert_true(strlen(error) < sizeof(error) - 1);
    }
}

/* Each of what is its own, the operator of all; of nobody else's existence. */
static void tells_each_of_its_own(void **state)
{
    struct fixture *fixture = *state;
    uint64_t ours = fixture->ours;
    struct db_plan plan;
    struct db_webhook hook = add(fixture, ours);
    assert_events(fixture, &hook, 0, "webhook.add ");
    assert_events(fixture, &hook, hook.cursor, "webhook.add ");
    assert_int_equal(fixture_add(fixture->db, fixture->theirs, "a@theirs.example", NULL), DB_OK);
    assert_events(fixture, &hook, 0, "webhook.add ");
    struct db_webhook operators = add(fixture, 0);
    assert_int_equal(fixture_add(fixture->db, fixture->theirs, "b@theirs.example", NULL), DB_OK);
    assert_int_equal(fixture_add(fixture->db, ours, "a@ours.example", NULL), DB_OK);
    assert_int_equal(db_plan_find(fixture->db, "house", &plan), DB_OK);
    assert_int_equal(db_plan_set(fixture->db, &plan), DB_OK); /* as it is: nothing to tell of */
    plan.poll_seconds++;
    assert_int_equal(db_plan_set(fixture->db, &plan), DB_OK);
    assert_events(fixture, &hook, 0, "webhook.add address.add ");
    assert_events(fixture, &operators, operators.cursor,
                  "webhook.add address.add address.add plan.set ");
    uint64_t count, first;
    assert_int_equal(db_outbox_waiting(fixture->db, &operators, &count, &first), DB_OK);
    assert_int_equal(count, 4);
    assert_int_equal(db_outbox_waiting(fixture->db, &hook, &count, &first), DB_OK);
    assert_int_equal(count, 2);
    assert_true(first > hook.cursor && first < operators.cursor + 1);
    hook.cursor = INT64_MAX;
    assert_int_equal(db_outbox_waiting(fixture->db, &hook, &count, &first), DB_NONE);
}

static void tells_what_the_audit_says(void **state)
{
    struct fixture *fixture = *state;
    struct db_webhook hook = add(fixture, fixture->ours);
    struct db_outbox outbox = {0};
    db_audit_actor(fixture->db, "key panel");
    db_audit_source(fixture->db, "192.0.2.1", "0123abcd");
    assert_int_equal(db_customer_set_plan(fixture->db, fixture->ours, "chain", DB_OVERPLAN_REFUSE),
                     DB_OK);
    assert_int_equal(db_outbox_next(fixture->db, &hook, 0, &outbox), DB_OK);
    assert_int_equal(db_outbox_next(fixture->db, &hook, outbox.cursor, &outbox), DB_OK);
    assert_string_equal(outbox.type, "customer.plan");
    assert_string_equal(outbox.object, "ours");
    assert_string_equal(outbox.customer_name, "ours");
    assert_string_equal(outbox.actor, "key panel");
    assert_string_equal(outbox.remote, "192.0.2.1");
    assert_string_equal(outbox.request, "0123abcd");
    assert_string_equal(outbox.detail,
                        "[{\"of\":\"customer\",\"id\":1,\"before\":{\"plan\":\"house\"},"
                        "\"after\":{\"plan\":\"chain\"}}]");
    assert_true(llabs((long long)outbox.time - time(NULL)) < 60);
    db_outbox_free(&outbox);
}

static void tells_of_blocked_logins(void **state)
{
    struct fixture *fixture = *state;
    struct db_webhook hook = add(fixture, fixture->ours);
    struct db_webhook other = add(fixture, fixture->theirs);
    struct db_outbox outbox = {0};
    struct db_event event = {.id = 7,
                             .time = 7,
                             .count = 1,
                             .kind = DB_EVENT_BLOCKED,
                             .address = "a@ours.example",
                             .remote = "192.0.2.\"1",
                             .protocol = "pop3",
                             .reason = "guessing"};
    assert_int_equal(db_event_write(fixture->db, &event), DB_OK);
    event.count = 2;
    assert_int_equal(db_event_write(fixture->db, &event), DB_OK);
    assert_events(fixture, &hook, 0, "webhook.add login.blocked ");
    assert_events(fixture, &other, 0, "webhook.add ");
    assert_int_equal(db_outbox_next(fixture->db, &hook, 0, &outbox), DB_OK);
    assert_int_equal(db_outbox_next(fixture->db, &hook, outbox.cursor, &outbox), DB_OK);
    assert_string_equal(outbox.object, "a@ours.example");
    assert_string_equal(outbox.detail, "{\"remote\":\"192.0.2.\\\"1\",\"protocol\":\"pop3\","
                                       "\"reason\":\"guessing\"}");
    db_outbox_free(&outbox);
}

/* An undone change is told to nobody. */
static void goes_with_the_transaction(void **state)
{
    struct fixture *fixture = *state;
    struct db_webhook hook = add(fixture, fixture->ours);
    assert_int_equal(db_transaction_begin(fixture->db), DB_OK);
    assert_int_equal(fixture_add(fixture->db, fixture->ours, "a@ours.example", NULL), DB_OK);
    db_transaction_rollback(fixture->db);
    assert_int_equal(db_domain_add(fixture->db, fixture->ours, "theirs.example"), DB_TAKEN);
    assert_events(fixture, &hook, hook.cursor, "webhook.add ");
}

static void moves_on_and_back(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_webhook hook = add(fixture, fixture->ours);
    uint64_t newest;
    uint8_t found[2][DB_WEBHOOK_SECRET_SIZE];
    unsigned count;
    assert_int_equal(db_webhook_secrets(db, hook.id, found, &count), DB_OK);
    assert_int_equal(count, 1);
    assert_memory_equal(found[0], secret, sizeof(secret));
    assert_int_equal(db_outbox_newest(db, &newest), DB_OK);
    assert_int_equal(db_webhook_failed(db, &hook, 100, 110, "it does not answer", 0), DB_OK);
    assert_int_equal(db_webhook_failed(db, &hook, 110, 130, "it does not answer", 0), DB_OK);
    assert_int_equal(db_operator_webhook_find(db, hook.id, &hook), DB_OK);
    assert_int_equal(hook.failing, 100);
    assert_int_equal(hook.failures, 2);
    assert_int_equal(hook.next, 130);
    assert_string_equal(hook.failure, "it does not answer");
    assert_int_equal(db_webhook_give_up(db, &hook, 200), DB_OK);
    assert_int_equal(db_webhook_told(db, &hook, newest, 204), DB_NONE);
    assert_int_equal(db_webhook_replay(db, fixture->theirs, hook.id, 5), DB_NONE);
    assert_int_equal(db_webhook_replay(db, 0, hook.id, 5), DB_NONE);
    assert_int_equal(db_webhook_replay(db, fixture->ours, hook.id, 5), DB_OK);
    /* Who was telling it meanwhile does not move it. */
    assert_int_equal(db_webhook_told(db, &hook, newest, 204), DB_NONE);
    assert_int_equal(db_operator_webhook_find(db, hook.id, &hook), DB_OK);
    assert_int_equal(hook.cursor, 5);
    assert_int_equal(hook.disabled, 0);
    assert_int_equal(hook.failing, 0);
    assert_int_equal(db_webhook_told(db, &hook, newest, 204), DB_OK);
    assert_int_equal(db_operator_webhook_find(db, hook.id, &hook), DB_OK);
    assert_int_equal(hook.cursor, newest);
    assert_events(fixture, &hook, 0, "webhook.add webhook.disable webhook.replay ");
}

static void is_switched_off_and_on(void **state)
{
    static const bool off = false;
    static const bool on = true;
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_webhook hook = add(fixture, fixture->ours);
    struct db_webhook operators = add(fixture, 0);
    assert_int_equal(db_webhook_failed(db, &hook, 100, 110, "it does not answer", 500), DB_OK);
    assert_int_equal(db_webhook_set(db, 0, hook.id, NULL, NULL, &off), DB_NONE);
    assert_int_equal(db_webhook_set(db, fixture->theirs, hook.id, NULL, "*", NULL), DB_NONE);
    assert_int_equal(db_webhook_set(db, fixture->ours, hook.id, NULL, "address.add", NULL), DB_OK);
    assert_int_equal(db_operator_webhook_find(db, hook.id, &hook), DB_OK);
    assert_string_equal(hook.events, "address.add");
    assert_string_equal(hook.url, url);
    assert_int_equal(hook.failing, 100);
    assert_int_equal(hook.status, 500);
    assert_int_equal(hook.answered, 100);
    assert_int_equal(db_webhook_disable_all(db), DB_OK);
    assert_int_equal(db_operator_webhook_find(db, operators.id, &operators), DB_OK);
    assert_int_equal(db_operator_webhook_find(db, hook.id, &hook), DB_OK);
    assert_true(hook.disabled != 0 && operators.disabled != 0);
    assert_int_equal(hook.failing, 0);
    assert_int_equal(db_webhook_told(db, &hook, hook.cursor + 1, 204), DB_NONE);
    assert_int_equal(db_webhook_set(db, 0, operators.id, "https://b.example/", NULL, &on), DB_OK);
    assert_int_equal(db_operator_webhook_find(db, operators.id, &operators), DB_OK);
    assert_int_equal(operators.disabled, 0);
    assert_string_equal(operators.url, "https://b.example/");
    assert_string_equal(operators.events, "*");
    assert_events(fixture, &hook, 0, "webhook.add webhook.set webhook.disable ");
    assert_events(fixture, &operators, operators.cursor,
                  "webhook.add webhook.set webhook.disable webhook.disable webhook.set ");
}

static void has_two_secrets_for_a_time(void **state)
{
    struct fixture *fixture = *state;
    struct db_webhook hook = add(fixture, fixture->ours);
    uint8_t other[DB_WEBHOOK_SECRET_SIZE] = {9};
    uint8_t found[2][DB_WEBHOOK_SECRET_SIZE];
    uint64_t later = (uint64_t)time(NULL) + 100;
    unsigned count;
    assert_int_equal(db_webhook_renew(fixture->db, 0, hook.id, other, later), DB_NONE);
    assert_int_equal(db_webhook_renew(fixture->db, fixture->ours, hook.id, other, later), DB_OK);
    assert_int_equal(db_webhook_secrets(fixture->db, hook.id, found, &count), DB_OK);
    assert_int_equal(count, 2);
    assert_memory_equal(found[0], other, sizeof(other));
    assert_memory_equal(found[1], secret, sizeof(secret));
    assert_int_equal(db_webhook_renew(fixture->db, fixture->ours, hook.id, secret, 1), DB_OK);
    assert_int_equal(db_webhook_secrets(fixture->db, hook.id, found, &count), DB_OK);
    assert_int_equal(count, 1);
    assert_memory_equal(found[0], secret, sizeof(secret));
}

static void belongs_to_its_customer(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_webhook hook = add(fixture, fixture->ours);
    struct db_webhook operators = add(fixture, 0);
    struct db_webhook found = {0};
    uint64_t id;
    assert_int_equal(db_webhook_add(db, fixture->ours, url, "*", secret, &id), DB_TAKEN);
    assert_int_equal(db_webhook_add(db, 0, url, "*", secret, &id), DB_TAKEN);
    assert_int_equal(db_webhook_add(db, 999, url, "*", secret, &id), DB_NONE);
    assert_int_equal(db_webhook_next(db, fixture->theirs, &found), DB_NONE);
    assert_int_equal(db_webhook_next(db, fixture->ours, &found), DB_OK);
    assert_int_equal(found.id, hook.id);
    assert_int_equal(db_webhook_next(db, fixture->ours, &found), DB_NONE);
    assert_int_equal(db_webhook_remove(db, fixture->theirs, hook.id), DB_NONE);
    assert_int_equal(db_webhook_remove(db, fixture->ours, operators.id), DB_NONE);
    assert_int_equal(db_webhook_remove(db, 0, hook.id), DB_NONE);
    assert_int_equal(db_webhook_remove(db, fixture->ours, hook.id), DB_OK);
    assert_int_equal(db_webhook_remove(db, 0, operators.id), DB_OK);
    assert_int_equal(db_operator_webhook_next(db, &(struct db_webhook){0}), DB_NONE);
}

static void has_a_limit(void **state)
{
    struct fixture *fixture = *state;
    struct db_limit limit;
    uint64_t id;
    for (unsigned i = 0; i <= DB_WEBHOOKS_MAX; i++) {
        char each[64];
        snprintf(each, sizeof(each), "https://%u.example/", i);
        assert_int_equal(db_webhook_add(fixture->db, fixture->ours, each, "*", secret, &id),
                         i < DB_WEBHOOKS_MAX ? DB_OK : DB_LIMIT);
    }
    db_limit_get(fixture->db, &limit);
    assert_int_equal(limit.kind, DB_LIMIT_WEBHOOKS);
    assert_int_equal(db_webhook_add(fixture->db, fixture->theirs, url, "*", secret, &id), DB_OK);
}

/* Old events go, but the newest one stays, so that the next has a higher cursor. */
static void forgets_what_is_old(void **state)
{
    struct fixture *fixture = *state;
    struct db_webhook hook = add(fixture, fixture->ours);
    uint64_t newest;
    uint64_t again;
    uint64_t later = (uint64_t)time(NULL) + (uint64_t)(DB_OUTBOX_DAYS + 1) * 86400;
    assert_int_equal(fixture_add(fixture->db, fixture->ours, "a@ours.example", NULL), DB_OK);
    assert_int_equal(db_outbox_newest(fixture->db, &newest), DB_OK);
    assert_int_equal(db_outbox_prune(fixture->db, (uint64_t)time(NULL)), DB_NONE);
    assert_int_equal(db_outbox_prune(fixture->db, later), DB_OK);
    assert_int_equal(db_outbox_prune(fixture->db, later), DB_NONE);
    assert_events(fixture, &hook, 0, "address.add ");
    assert_int_equal(db_outbox_newest(fixture->db, &again), DB_OK);
    assert_int_equal(again, newest);
}

/* Cursors grow also when the clock is set back. */
static void grows_against_the_clock(void **state)
{
    struct fixture *fixture = *state;
    struct db_webhook hook = add(fixture, fixture->ours);
    assert_int_equal(sqlite3_exec(fixture->db->sqlite,
                                  "INSERT INTO outbox VALUES (9000000000000000, 9000000000, 1,"
                                  " 'later', '', NULL, '')",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(fixture_add(fixture->db, fixture->ours, "a@ours.example", NULL), DB_OK);
    assert_events(fixture, &hook, 9000000000000000, "address.add ");
    hook = add(fixture, fixture->theirs);
    assert_true(hook.cursor > 9000000000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checks_urls),           cmocka_unit_test(knows_what_it_wants),
        cmocka_unit_test(tells_all_of_a_kind),   fixture_test(tells_each_of_its_own),
        fixture_test(tells_what_the_audit_says), fixture_test(tells_of_blocked_logins),
        fixture_test(goes_with_the_transaction), fixture_test(moves_on_and_back),
        fixture_test(is_switched_off_and_on),    fixture_test(has_two_secrets_for_a_time),
        fixture_test(belongs_to_its_customer),   fixture_test(has_a_limit),
        fixture_test(forgets_what_is_old),       fixture_test(grows_against_the_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
