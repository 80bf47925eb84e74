/* What a session does with pieces of messages, against a stored of this file's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "pop3d/fetch.h"
#include "pop3d/limits.h"
#include "pop3d/session.h"
#include "pop3d/storeclient.h"
#include "tests/unit/scratch.h"

#define SOCKET_PATH "stored.sock"

struct fixture {
    struct event_base *base;
    int listener;
    struct storeclient *client;
    struct session session;
};

/* A session with the mailbox open and one message of so many octets, as LIST says. */
static void fixture_open(struct fixture *fixture, uint64_t octets)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET_PATH};
    const struct store_entry entry = {.uid = 1, .time = 1, .octets = octets};
    const struct capability capability = {0};
    struct session *session = &fixture->session;

    memset(fixture, 0, sizeof(*fixture));
    fixture->session.tongue = tongue_get(0);
    fixture->base = event_base_new();
    fixture->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fixture->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fixture->listener, 4), 0);
    fixture->client = storeclient_new(fixture->base, SOCKET_PATH);
    stream_open(&session->stream, fixture->base, -1, NULL, NULL, NULL);
    session->state = SESSION_TRANSACTION;
    session->leaving = true; /* no timer is set then */
    assert_int_equal(maildrop_append(&session->maildrop, &entry, 1), 0);
    assert_int_equal(storeclient_open(fixture->client, &session->store, &session_store_events,
                                      session, &capability),
                     0);
}

static void fixture_close(struct fixture *fixture)
{
    fetches_clear(&fixture->session.fetches);
    maildrop_clear(&fixture->session.maildrop);
    storeclient_close(&fixture->session.store);
    storeclient_free(fixture->client);
    stream_close(&fixture->session.stream);
    close(fixture->listener);
    event_base_free(fixture->base);
}

/* All that has been answered so far. */
static void expect_output(struct fixture *fixture, const char *text)
{
    struct evbuffer *output = session_output(&fixture->session);
    char answered[256];

    assert_int_equal(evbuffer_copyout(output, answered, sizeof(answered)), strlen(text));
    assert_memory_equal(answered, text, strlen(text));
}

static void sends_a_message(void **state)
{
    static const char body[] = "A: b\r\n\r\nc\r\n";
    const struct store_data data = {.length = strlen(body), .top_length = 8};
    struct fixture fixture;
    (void)state;

    fixture_open(&fixture, strlen(body));
    fetch_begin(&fixture.session, 0, false, 0);
    assert_int_equal(fetch_data(&fixture.session, &data, body, strlen(body)), 0);
    expect_output(&fixture, "+OK 11 octets\r\nA: b\r\n\r\nc\r\n.\r\n");
    assert_int_equal(fixture.session.wait, SESSION_READY);
    fixture_close(&fixture);
}

/* TOP's answer may end exactly with a piece; the final dot then comes with the next one. */
static void top_ends_with_a_piece(void **state)
{
    static const char body[] = "A: b\r\n\r\nc\r\nd\r\n";
    const struct store_data data = {.length = 100000, .top_length = 8};
    struct fixture fixture;
    (void)state;

    fixture_open(&fixture, 100000);
    fetch_begin(&fixture.session, 0, true, 2);
    assert_int_equal(fetch_data(&fixture.session, &data, body, strlen(body)), 0);
    expect_output(&fixture, "+OK\r\nA: b\r\n\r\nc\r\nd\r\n");
    fetch_continue(&fixture.session);
    assert_int_equal(fetch_data(&fixture.session, &data, "e\r\n", 3), 0);
    expect_output(&fixture, "+OK\r\nA: b\r\n\r\nc\r\nd\r\n.\r\n");
    assert_int_equal(fixture.session.wait, SESSION_READY);
    fixture_close(&fixture);
}

/* It is stored's message that is wrong, not stored: no other session pays for it. */
static void longer_than_listed_is_damaged(void **state)
{
    const struct store_data data = {.length = 60000, .top_length = 8};
    struct fixture fixture;
    (void)state;

    fixture_open(&fixture, 3);
    fetch_begin(&fixture.session, 0, false, 0);
    assert_int_equal(fetch_data(&fixture.session, &data, "A: b\r\n", 6), 0);
    expect_output(&fixture, "-ERR [SYS/PERM] this message is damaged on the server\r\n");
    assert_int_equal(fixture.session.wait, SESSION_READY);
    fixture_close(&fixture);
}

/* What was not asked for is stored's fault. */
static void more_than_asked_for_breaks_the_rules(void **state)
{
    static const char piece[LIMIT_PIECE + 1];
    const struct store_data data = {.length = 2 * sizeof(piece), .top_length = 8};
    struct fixture fixture;
    (void)state;

    fixture_open(&fixture, 2 * sizeof(piece));
    assert_int_equal(fetch_data(&fixture.session, &data, piece, 1), -1);
    fetch_begin(&fixture.session, 0, false, 0);
    assert_int_equal(fetch_data(&fixture.session, &data, piece, sizeof(piece)), -1);
    assert_int_equal(fetch_data(&fixture.session, &data, piece, 0), -1);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sends_a_message, scratch_enter, scratch_leave),
        cmocka_unit_test_setup_teardown(top_ends_with_a_piece, scratch_enter, scratch_leave),
        cmocka_unit_test_setup_teardown(longer_than_listed_is_damaged, scratch_enter,
                                        scratch_leave),
        cmocka_unit_test_setup_teardown(more_than_asked_for_breaks_the_rules, scratch_enter,
                                        scratch_leave),
    };
    return cmocka_run_group_tests_name("pop3d fetch", tests, NULL, NULL);
}
