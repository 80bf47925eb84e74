/* Who may come in, by where from and how many there are. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/metrics.h"
#include "pop3d/admission.h"
#include "pop3d/limits.h"
#include "pop3d/server.h"
#include "pop3d/session.h"

static struct child child;
static struct server server;
static struct session sessions[64];
static unsigned count;

static void begin(uint64_t most, uint64_t from_one)
{
    memset(&server, 0, sizeof(server));
    memset(sessions, 0, sizeof(sessions));
    count = 0;
    server.child = &child;
    child.conf.pop3_sessions = most;
    child.conf.pop3_address_sessions = from_one;
}

static enum reply come(const char *from)
{
    struct sockaddr_in six_less = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct session *session = &sessions[count++];

    session->server = &server;
    server.session_count++;
    if (inet_pton(AF_INET, from, &six_less.sin_addr) == 1) {
        peer_set(&session->peer, (struct sockaddr *)&six_less);
    } else {
        assert_int_equal(inet_pton(AF_INET6, from, &six.sin6_addr), 1);
        peer_set(&session->peer, (struct sockaddr *)&six);
    }
    return admission_enter(session);
}

static void leave(unsigned number)
{
    admission_leave(&sessions[number]);
    server.session_count--;
}

static void leave_all(void)
{
    for (unsigned i = 0; i < count; i++)
        leave(i);
    assert_null(server.admission.origins);
    assert_int_equal(server.admission.strangers, 0);
}

static void an_address_has_its_share(void **state)
{
    static const struct {
        const char *first, *second;
        bool one; /* they count together */
    } pairs[] = {
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.1", "::ffff:192.0.2.1", true},
        {"2001:db8::1", "2001:db8::2", true},
        {"2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true},
        {"2001:db8::1", "2001:db8:0:1::1", false},
        {"127.0.0.1", "127.0.0.1", false},
        {"::1", "::1", false},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        begin(100, 1);
        assert_int_equal(come(pairs[i].first), REPLY_GREETING);
        enum reply second = come(pairs[i].second);
        if ((second == REPLY_ADDRESS_FULL) != pairs[i].one ||
            (!pairs[i].one && second != REPLY_GREETING))
            fail_msg("%s and %s: %d", pairs[i].first, pairs[i].second, (int)second);
        leave_all();
    }
}

static void who_leaves_makes_room(void **state)
{
    (void)state;
    begin(100, 2);
    assert_int_equal(come("192.0.2.1"), REPLY_GREETING);
    assert_int_equal(come("192.0.2.1"), REPLY_GREETING);
    assert_int_equal(come("192.0.2.1"), REPLY_ADDRESS_FULL);
    leave(2);
    leave(0);
    sessions[0] = sessions[2] = (struct session){0};
    assert_int_equal(come("192.0.2.1"), REPLY_GREETING);
    leave(1);
    leave(3);
    assert_null(server.admission.origins);
}

static enum reply become(unsigned number, const char *client)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct peer peer;

    assert_int_equal(inet_pton(AF_INET, client, &address.sin_addr), 1);
    peer_set(&peer, (struct sockaddr *)&address);
    return admission_rename(&sessions[number], &peer);
}

/* Who speaks for others counts for nobody, and then for whom it has named. */
static void a_proxy_counts_for_its_clients(void **state)
{
    (void)state;
    begin(100, 1);
    assert_int_equal(come("127.0.0.1"), REPLY_GREETING);
    assert_int_equal(come("127.0.0.1"), REPLY_GREETING);
    assert_int_equal(come("192.0.2.9"), REPLY_GREETING);
    assert_int_equal(become(0, "192.0.2.1"), REPLY_OK);
    assert_int_equal(become(1, "192.0.2.1"), REPLY_ADDRESS_FULL);
    assert_int_equal(become(2, "127.0.0.2"), REPLY_OK);
    assert_int_equal(come("192.0.2.9"), REPLY_GREETING);
    assert_int_equal(come("192.0.2.1"), REPLY_ADDRESS_FULL);
    leave_all();
}

static void strangers_cannot_take_all(void **state)
{
    (void)state;
    begin(40, 100);
    for (int i = 0; i < 30; i++)
        assert_int_equal(come("192.0.2.1"), REPLY_GREETING);
    assert_int_equal(come("192.0.2.2"), REPLY_FULL);
    admission_know(&sessions[0]);
    admission_know(&sessions[0]);
    admission_know(&sessions[30]); /* no matter who */
    assert_int_equal(come("192.0.2.2"), REPLY_GREETING);
    leave_all();
}

static void no_more_than_there_is_room_for(void **state)
{
    (void)state;
    begin(3, 100);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(come("192.0.2.1"), REPLY_GREETING);
        admission_know(&sessions[i]);
    }
    assert_int_equal(come("192.0.2.1"), REPLY_FULL);
    leave_all();
}

/* Who waits for a handshake to be told costs memory, so only some may. */
static void few_wait_to_be_told(void **state)
{
    (void)state;
    begin(1000, 1);
    server.admission.refused = LIMIT_REFUSALS - 1;
    assert_int_equal(come("192.0.2.1"), REPLY_GREETING);
    assert_true(admission_can_tell(&sessions[0]));
    assert_int_equal(come("192.0.2.1"), REPLY_ADDRESS_FULL);
    assert_true(admission_can_tell(&sessions[1]));
    assert_int_equal(come("192.0.2.1"), REPLY_ADDRESS_FULL);
    assert_false(admission_can_tell(&sessions[2]));
    assert_int_equal(come("192.0.2.2"), REPLY_GREETING);
    assert_true(admission_can_tell(&sessions[3]));
    leave(1);
    assert_true(admission_can_tell(&sessions[2]));
    leave(2);
    assert_int_equal(server.admission.refused, LIMIT_REFUSALS - 1);
    leave(0);
    leave(3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_has_its_share),
        cmocka_unit_test(who_leaves_makes_room),
        cmocka_unit_test(a_proxy_counts_for_its_clients),
        cmocka_unit_test(strangers_cannot_take_all),
        cmocka_unit_test(no_more_than_there_is_room_for),
        cmocka_unit_test(few_wait_to_be_told),
    };

    return cmocka_run_group_tests_name("pop3d admission", tests, NULL, NULL);
}
