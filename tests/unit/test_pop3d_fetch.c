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

#include "lib/bodies.h"
#include "pop3d/ahead.h"
#include "pop3d/fetch.h"
#include "pop3d/limits.h"
#include "pop3d/regions.h"
#include "pop3d/server.h"
#include "pop3d/session.h"
#include "pop3d/storeclient.h"
#include "tests/unit/scratch.h"

#define SOCKET_PATH "stored.sock"

struct fixture {
    struct event_base *base;
    int listener;
    int stored; /* its end of the connection, or -1 */
    uint8_t *bodies;
    struct storeclient *client;
    struct server server;
    struct session session;
};

/* A session with the mailbox open and one message of so many octets, as LIST says. */
static void fixture_open(struct fixture *fixture, uint64_t octets)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET_PATH};
    const struct store_entry entry = {.uid = 1, .time = 1, .octets = octets};
    const struct store_open open = {0};
    struct session *session = &fixture->session;

    memset(fixture, 0, sizeof(*fixture));
    fixture->session.tongue = tongue_get(0);
    fixture->stored = -1;
    fixture->base = event_base_new();
    fixture->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fixture->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fixture->listener, 4), 0);
    fixture->client = storeclient_new(fixture->base, SOCKET_PATH);
    stream_open(&session->stream, fixture->base, -1, NULL, NULL, NULL);
    session->server = &fixture->server;
    session->state = SESSION_TRANSACTION;
    session->leaving = true; /* no timer is set then */
    assert_int_equal(maildrop_append(&session->maildrop, &entry, 1), 0);
    assert_int_equal(
        storeclient_open(fixture->client, &session->store, &session_store_events, session, &open),
        0);
}

/* stored shares memory: lets the client take it, and returns where stored writes. */
static uint8_t *fixture_share(struct fixture *fixture)
{
    static const uint8_t memory_is[12] = {0, 0, 0, 0, 1, STORE_MEMORY_IS};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec piece = {(void *)(uintptr_t)memory_is, sizeof(memory_is)};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    int memory;

    fixture->stored = accept(fixture->listener, NULL, NULL);
    fixture->bodies = bodies_make(&memory);
    memcpy(CMSG_DATA(&control.header), &memory, sizeof(memory));
    assert_int_equal(sendmsg(fixture->stored, &message, 0), sizeof(memory_is));
    close(memory);
    event_base_loop(fixture->base, EVLOOP_ONCE);
    assert_non_null(storeclient_regions(&fixture->session.store));
    return fixture->bodies;
}

static size_t taken(const struct fixture *fixture)
{
    return regions_taken(storeclient_regions(&fixture->session.store));
}

static void fixture_close(struct fixture *fixture)
{
    fetches_clear(&fixture->session.fetches);
    ahead_clear(&fixture->session);
    maildrop_clear(&fixture->session.maildrop);
    storeclient_close(&fixture->session.store);
    storeclient_free(fixture->client);
    stream_close(&fixture->session.stream);
    close(fixture->listener);
    close(fixture->stored);
    bodies_detach(fixture->bodies);
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

/* What stored knows of a message is not looked for in it, and what it does not know is. */
static void sends_the_form_that_stored_tells(void **state)
{
    static const char body[] = "A: \xc3\xbc\r\n\r\nc\r\n";
    static const struct {
        enum store_form form;
        bool utf8;
        const char *answer;
    } forms[] = {
        {STORE_FORM_UNKNOWN, false, "+OK\r\nA: =?utf-8?b?w7w=?=\r\n\r\nc\r\n.\r\n"},
        {STORE_FORM_SURROGATE, false, "+OK 26 octets\r\nA: =?utf-8?b?w7w=?=\r\n\r\nc\r\n.\r\n"},
        {STORE_FORM_SURROGATE, true, "+OK 12 octets\r\nA: \xc3\xbc\r\n\r\nc\r\n.\r\n"},
        {STORE_FORM_ORIGINAL, false, "+OK 12 octets\r\nA: \xc3\xbc\r\n\r\nc\r\n.\r\n"},
    };
    static const struct store_growth growth = {.growth = 14};
    (void)state;

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        const struct store_data data = {
            .length = strlen(body), .top_length = 9, .form = (uint8_t)forms[i].form};
        struct fixture fixture;
        assert_int_equal(unlink(SOCKET_PATH), i > 0 ? 0 : -1);
        fixture_open(&fixture, strlen(body));
        fixture.session.utf8 = forms[i].utf8;
        if (forms[i].form == STORE_FORM_SURROGATE && !forms[i].utf8)
            assert_int_equal(maildrop_add_growths(&fixture.session.maildrop, &growth, 1), 0);
        fetch_begin(&fixture.session, 0, false, 0);
        assert_int_equal(fetch_data(&fixture.session, &data, body, strlen(body)), 0);
        expect_output(&fixture, forms[i].answer);
        fixture_close(&fixture);
    }
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

/* A body of so many octets, with a header section of 8. */
static void fill(uint8_t *body, size_t length)
{
    memset(body, 'x', length);
    memcpy(body, "A: b\r\n\r\n", 8);
    memcpy(body + length - 2, "\r\n", 2);
}

/* What was lent to the output lies where stored has put it until it is sent. */
static void sends_out_of_the_memory(void **state)
{
    const struct store_data data = {.length = 10000, .top_length = 8};
    struct fixture fixture;
    char answered[11000];
    (void)state;

    fixture_open(&fixture, 10000);
    fill(fixture_share(&fixture), 10000);
    fetch_begin(&fixture.session, 0, false, 0);
    assert_true(taken(&fixture) >= 10000);
    assert_int_equal(fetch_data(&fixture.session, &data, NULL, 10000), 0);
    assert_true(taken(&fixture) >= 10000);
    struct evbuffer *output = session_output(&fixture.session);
    assert_int_equal(evbuffer_remove(output, answered, sizeof(answered)), 10021);
    assert_memory_equal(answered, "+OK 10000 octets\r\nA: b\r\n", 24);
    assert_memory_equal(answered + 10012, "xxxx\r\n.\r\n", 9);
    assert_int_equal(taken(&fixture), 0);
    fixture_close(&fixture);
}

/* A client that does not read costs a copy in its own output, and nobody else's memory. */
static void what_a_client_does_not_take_is_copied(void **state)
{
    const struct store_data data = {.length = 60000, .top_length = 8};
    struct fixture fixture;
    int fds[2];
    (void)state;

    fixture_open(&fixture, 60000);
    struct stream *stream = &fixture.session.stream;
    uint8_t *bodies = fixture_share(&fixture);
    fill(bodies, 60000);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    while (write(fds[0], bodies, 1000) > 0)
        continue;
    stream_close(stream);
    stream_open(stream, fixture.base, fds[0], NULL, NULL, NULL);
    fetch_begin(&fixture.session, 0, false, 0);
    assert_int_equal(fetch_data(&fixture.session, &data, NULL, 60000), 0);
    assert_true(taken(&fixture) >= 60000);
    stream_send(stream, STREAM_NOW);
    assert_int_equal(taken(&fixture), 0);
    assert_int_equal(stream_waiting(stream), 60021);
    memset(bodies, 'y', 60000);
    /* It is known to be behind now. */
    fetch_begin(&fixture.session, 0, false, 0);
    assert_int_equal(fetch_data(&fixture.session, &data, NULL, 60000), 0);
    assert_int_equal(taken(&fixture), 0);
    const char *first = (const char *)evbuffer_pullup(stream->output, -1);
    assert_memory_equal(first, "+OK 60000 octets\r\nA: b\r\n\r\nxx", 28);
    assert_int_equal(first[50000], 'x');
    assert_memory_equal(first + 60021, "+OK 60000 octets\r\nyy", 20);
    fixture_close(&fixture);
    close(fds[0]);
    close(fds[1]);
}

/* The same where nothing stands before or behind the piece any more. */
static void a_piece_by_itself_is_copied_too(void **state)
{
    const struct store_data data = {.length = 500000, .top_length = 8};
    static char taken_by_client[LIMIT_OUTPUT];
    struct fixture fixture;
    int fds[2], room = 1;
    (void)state;

    fixture_open(&fixture, 500000);
    struct stream *stream = &fixture.session.stream;
    uint8_t *bodies = fixture_share(&fixture);
    fill(bodies, LIMIT_PIECE);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
    stream_close(stream);
    stream_open(stream, fixture.base, fds[0], NULL, NULL, NULL);
    fetch_begin(&fixture.session, 0, false, 0);
    assert_int_equal(fetch_data(&fixture.session, &data, NULL, LIMIT_PIECE), 0);
    assert_true(taken(&fixture) >= LIMIT_PIECE);
    stream_send(stream, STREAM_NOW);
    assert_in_range(stream_waiting(stream), 1, LIMIT_PIECE - 1);
    assert_int_equal(taken(&fixture), 0);
    memset(bodies, 'y', LIMIT_PIECE);
    ssize_t sent = read(fds[1], taken_by_client, sizeof(taken_by_client));
    size_t waiting = stream_waiting(stream);
    assert_int_equal((size_t)sent + waiting, LIMIT_PIECE + strlen("+OK 500000 octets\r\n"));
    const char *first = (const char *)evbuffer_pullup(stream->output, -1);
    assert_int_equal(first[0], 'x');
    assert_memory_equal(first + waiting - 3, "x\r\n", 3);
    fixture_close(&fixture);
    close(fds[0]);
    close(fds[1]);
}

static void an_end_gives_back_what_was_asked_for(void **state)
{
    struct fixture fixture;
    (void)state;

    fixture_open(&fixture, 10000);
    fixture_share(&fixture);
    fetch_begin(&fixture.session, 0, false, 0);
    assert_true(taken(&fixture) > 0);
    fetches_clear(&fixture.session.fetches);
    assert_int_equal(taken(&fixture), 0);
    fixture_close(&fixture);
}

/* Octets in a message where a place was named, or the other way about. */
static void an_answer_of_the_other_kind_breaks_the_rules(void **state)
{
    const struct store_data data = {.length = 11, .top_length = 8};
    struct fixture fixture;
    (void)state;

    fixture_open(&fixture, 11);
    fetch_begin(&fixture.session, 0, false, 0);
    assert_int_equal(fetch_data(&fixture.session, &data, NULL, 11), -1);
    fetches_clear(&fixture.session.fetches);
    fixture_share(&fixture);
    fetch_begin(&fixture.session, 0, false, 0);
    assert_int_equal(fetch_data(&fixture.session, &data, "A: b\r\n\r\nc\r\n", 11), -1);
    assert_int_equal(fetch_data(&fixture.session, &data, NULL, 100000), -1);
    fixture_close(&fixture);
}

/* --- reading ahead */

#define MESSAGES 30
#define LENGTH   3000

/* A mailbox of MESSAGES messages, and memory. */
static void open_many(struct fixture *fixture)
{
    struct store_entry entries[MESSAGES - 1];

    fixture_open(fixture, LENGTH);
    for (uint32_t i = 0; i < MESSAGES - 1; i++)
        entries[i] = (struct store_entry){.uid = 2 + i, .time = 1, .octets = LENGTH};
    assert_int_equal(maildrop_append(&fixture->session.maildrop, entries, MESSAGES - 1), 0);
    fixture_share(fixture);
}

/* A RETR, as the client has sent nothing behind it. Whether it was answered from what was there. */
static bool retrieve(struct fixture *fixture, uint32_t message)
{
    struct session *session = &fixture->session;
    struct evbuffer *output = session_output(session);

    assert_int_equal(session->aheads.waiting, 0);
    assert_true(fetch_may_begin(session));
    evbuffer_drain(output, evbuffer_get_length(output));
    bool there = fetch_from_ahead(session, message);
    if (!there)
        fetch_begin(session, message, false, 0);
    ahead_ask(session);
    return there;
}

static int answer(struct session *session, const struct store_data *data)
{
    return session->fetches.expected > 0 ? fetch_data(session, data, NULL, LENGTH)
                                         : ahead_data(session, data, NULL, LENGTH);
}

/* stored answers that one and what was read ahead. Returns how many the latter were. */
static unsigned answer_all(struct fixture *fixture)
{
    const struct store_data data = {.length = LENGTH, .top_length = 8};
    struct session *session = &fixture->session;
    unsigned count = session->aheads.waiting;

    assert_int_equal(answer(session, &data), 0);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(answer(session, &data), 0);
    assert_int_equal(session->wait, SESSION_READY);
    return count;
}

/* As many as have come in order: 1, 3, 7, then 8 at once. */
static void reads_ahead_as_much_as_was_read_in_order(void **state)
{
    static const unsigned ahead[MESSAGES] = {[1] = 1, [3] = 3, [7] = 7, [15] = 8, [24] = 5};
    struct fixture fixture;
    (void)state;

    open_many(&fixture);
    for (uint32_t i = 0; i < MESSAGES; i++) {
        bool asked = i == 0 || ahead[i] > 0;
        assert_int_equal(retrieve(&fixture, i), !asked);
        if (asked)
            assert_int_equal(answer_all(&fixture), ahead[i]);
    }
    assert_null(fixture.session.aheads.queue);
    fixture_close(&fixture);
}

static void what_is_not_asked_for_is_given_back(void **state)
{
    struct fixture fixture;
    (void)state;

    open_many(&fixture);
    for (uint32_t i = 0; i < 4; i++)
        if (!retrieve(&fixture, i))
            answer_all(&fixture);
    assert_non_null(fixture.server.aheads); /* 4, 5, 6 */
    assert_true(retrieve(&fixture, 5));
    assert_false(retrieve(&fixture, 20));
    assert_null(fixture.server.aheads);
    assert_int_equal(answer_all(&fixture), 0);
    assert_false(retrieve(&fixture, 21));
    assert_int_equal(answer_all(&fixture), 1);
    ahead_clear(&fixture.session);
    struct evbuffer *output = session_output(&fixture.session);
    evbuffer_drain(output, evbuffer_get_length(output));
    assert_int_equal(taken(&fixture), 0);
    fixture_close(&fixture);
}

/* Nothing else is asked for meanwhile: stored's answers do not say what they are to. */
static void waits_for_what_it_reads_ahead(void **state)
{
    const struct store_data data = {.length = LENGTH, .top_length = 8};
    struct fixture fixture;
    struct session *session = &fixture.session;
    (void)state;

    open_many(&fixture);
    retrieve(&fixture, 0);
    answer_all(&fixture);
    retrieve(&fixture, 1);
    assert_int_equal(answer(session, &data), 0);
    assert_int_equal(session->wait, SESSION_READY);
    assert_false(fetch_may_begin(session));
    /* What cannot be read is asked for again, when its RETR comes. */
    assert_int_equal(ahead_failed(session), 0);
    assert_true(fetch_may_begin(session));
    assert_false(retrieve(&fixture, 2));
    assert_int_equal(session->fetches.count, 1);
    assert_int_equal(answer_all(&fixture), 2);
    assert_int_equal(ahead_data(session, &data, NULL, LENGTH), -1);
    assert_int_equal(ahead_failed(session), -1);
    fixture_close(&fixture);
}

static void a_wrong_answer_ahead_breaks_the_rules(void **state)
{
    const struct store_data data = {.length = 100000, .top_length = 8};
    struct fixture fixture;
    (void)state;

    open_many(&fixture);
    retrieve(&fixture, 0);
    answer_all(&fixture);
    retrieve(&fixture, 1);
    assert_int_equal(fetch_data(&fixture.session,
                                &(struct store_data){.length = LENGTH, .top_length = 8}, NULL,
                                LENGTH),
                     0);
    assert_int_equal(ahead_data(&fixture.session, &data, "x", 1), -1);
    assert_int_equal(ahead_data(&fixture.session, &data, NULL, 50000), -1);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sends_a_message, scratch_enter, scratch_leave),
        cmocka_unit_test_setup_teardown(sends_the_form_that_stored_tells, scratch_enter,
                                        scratch_leave),
        cmocka_unit_test_setup_teardown(top_ends_with_a_piece, scratch_enter, scratch_leave),
        cmocka_unit_test_setup_teardown(longer_than_listed_is_damaged, scratch_enter,
                                        scratch_leave),
        cmocka_unit_test_setup_teardown(sends_out_of_the_memory, scratch_enter, scratch_leave),
        cmocka_unit_test_setup_teardown(what_a_client_does_not_take_is_copied, scratch_enter,
                                        scratch_leave),
        cmocka_unit_test_setup_teardown(a_piece_by_itself_is_copied_too, scratch_enter,
                                        scratch_leave),
        cmocka_unit_test_setup_teardown(an_end_gives_back_what_was_asked_for, scratch_enter,
                                        scratch_leave),
        cmocka_unit_test_setup_teardown(an_answer_of_the_other_kind_breaks_the_rules, scratch_enter,
                                        scratch_leave),
        cmocka_unit_test_setup_teardown(reads_ahead_as_much_as_was_read_in_order, scratch_enter,
                                        scratch_leave),
        cmocka_unit_test_setup_teardown(what_is_not_asked_for_is_given_back, scratch_enter,
                                        scratch_leave),
        cmocka_unit_test_setup_teardown(waits_for_what_it_reads_ahead, scratch_enter,
                                        scratch_leave),
        cmocka_unit_test_setup_teardown(a_wrong_answer_ahead_breaks_the_rules, scratch_enter,
                                        scratch_leave),
        cmocka_unit_test_setup_teardown(more_than_asked_for_breaks_the_rules, scratch_enter,
                                        scratch_leave),
    };
    return cmocka_run_group_tests_name("pop3d fetch", tests, NULL, NULL);
}
