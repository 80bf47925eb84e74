/* What a client is answered while stored still tells the messages, by a stored of this file's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/acceptor.h"
#include "lib/channel.h"
#include "pop3d/limits.h"
#include "pop3d/server.h"
#include "pop3d/session.h"
#include "pop3d/storeclient.h"
#include "tests/unit/frame.h"
#include "tests/unit/scratch.h"

#define SOCKET_PATH "stored.sock"

static const struct timeval never = {.tv_sec = 3600};

struct fixture {
    struct child child;
    struct server server;
    int listener;
    int stored;
    int client;
    uint32_t id; /* of the session, for stored */
};

/* All that can be done without anybody else: what is sent over these sockets is there at once. */
static void run(struct fixture *fixture)
{
    for (int i = 0; i < 10; i++)
        event_base_loop(fixture->child.base, EVLOOP_NONBLOCK);
}

static void say(struct fixture *fixture, const char *text)
{
    assert_int_equal(send(fixture->client, text, strlen(text), 0), strlen(text));
    run(fixture);
}

/* What has been answered since; with `end`, the connection has ended behind it. */
static void expect(struct fixture *fixture, const char *text, bool end)
{
    char answered[512];
    size_t got = 0;
    ssize_t part;

    while ((part = recv(fixture->client, answered + got, sizeof(answered) - got, MSG_DONTWAIT)) > 0)
        got += (size_t)part;
    answered[got] = '\0';
    assert_string_equal(answered, text);
    assert_int_equal(part, end ? 0 : -1);
    assert_true((fixture->server.sessions == NULL) == end);
}

static void tell(struct fixture *fixture, enum store_type type, const void *payload, size_t length)
{
    const struct frame frame = {(uint32_t)length, 1, (uint8_t)type, 0, fixture->id};

    assert_int_equal(send(fixture->stored, &frame, sizeof(frame), MSG_NOSIGNAL), sizeof(frame));
    assert_int_equal(send(fixture->stored, payload, length, MSG_NOSIGNAL), length);
    run(fixture);
}

static void tell_totals(struct fixture *fixture, enum store_type type, uint32_t messages,
                        uint64_t octets)
{
    const struct store_totals totals = {.messages = messages, .octets = octets};

    tell(fixture, type, &totals, sizeof(totals));
}

/* Messages of 10, 20, 30 octets and so on. */
static void tell_entries(struct fixture *fixture, uint32_t from, uint32_t count)
{
    struct store_entry entries[8];

    for (uint32_t i = 0; i < count; i++)
        entries[i] = (struct store_entry){from + i, 15, UINT64_C(10) * (from + i)};
    tell(fixture, STORE_ENTRIES, entries, count * sizeof(entries[0]));
}

/* The next request that has reached stored. */
static void expect_request(struct fixture *fixture, enum store_type type)
{
    char payload[256];
    struct frame frame;

    assert_int_equal(recv(fixture->stored, &frame, sizeof(frame), MSG_DONTWAIT), sizeof(frame));
    assert_int_equal(frame.type, type);
    assert_int_equal(frame.id, fixture->id);
    if (frame.length > 0)
        assert_int_equal(recv(fixture->stored, payload, frame.length, MSG_DONTWAIT), frame.length);
}

static void on_full(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    (void)context;
}

/* A session whose credentials are good, and whose mailbox stored has been asked to open. */
static int fixture_open(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET_PATH};
    const struct store_open open = {.capability = {.mailbox = 1, .session = 1}};
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    int pair[2];

    assert_int_equal(scratch_enter(state), 0);
    *state = fixture;
    fixture->child.base = event_base_new();
    fixture->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fixture->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fixture->listener, 4), 0);
    fixture->server.child = &fixture->child;
    conf_default(&fixture->child.conf);
    fixture->server.acceptor = acceptor_new(fixture->child.base);
    fixture->server.full = evtimer_new(fixture->child.base, on_full, NULL);
    fixture->server.session_count = 1;
    fixture->server.store = storeclient_new(fixture->child.base, SOCKET_PATH);
    for (int i = 0; i < SERVER__TIMEOUTS; i++)
        fixture->server.timeouts[i] = &never;
    fixture->stored = accept(fixture->listener, NULL, NULL);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    fixture->client = pair[0];
    session_start(&fixture->server, pair[1], &(struct peer){.text = "unknown"}, false);
    struct session *session = fixture->server.sessions;
    assert_int_equal(storeclient_open(fixture->server.store, &session->store, &session_store_events,
                                      session, &open),
                     0);
    session->wait = SESSION_OPENING;
    run(fixture);
    expect(fixture, "+OK Bellhop ready\r\n", false);
    expect_request(fixture, STORE_HELLO);  /* of the connection */
    expect_request(fixture, STORE_MEMORY); /* as well */
    fixture->id = session->store.id;
    expect_request(fixture, STORE_OPEN);
    return 0;
}

static int fixture_close(void **state)
{
    struct fixture *fixture = *state;

    if (fixture->server.sessions != NULL) {
        session_end(fixture->server.sessions, SESSION_TERMINATED);
        session_settle(fixture->server.sessions);
    }
    storeclient_free(fixture->server.store);
    event_free(fixture->server.full);
    acceptor_free(fixture->server.acceptor);
    close(fixture->listener);
    close(fixture->client);
    close(fixture->stored);
    event_base_free(fixture->child.base);
    free(fixture);
    *state = NULL;
    return scratch_leave(state);
}

#define TWO         "+OK 2 messages (30 octets)\r\n"
#define LIST_TWO    TWO "1 10\r\n2 20\r\n.\r\n"
#define AWAY        "-ERR [SYS/TEMP] the mailbox cannot be reached now, try again later\r\n"
#define UNAVAILABLE "-ERR [SYS/TEMP] logins are not possible now, try again later\r\n"
#define NOT_REMOVED "-ERR [SYS/TEMP] some deleted messages not removed\r\n"

static void a_small_mailbox_is_told_whole(void **state)
{
    struct fixture *fixture = *state;

    say(fixture, "STAT\r\nLIST\r\n");
    tell_entries(fixture, 1, 2);
    expect(fixture, "", false);
    tell_totals(fixture, STORE_OPENED, 2, 30);
    expect(fixture, TWO "+OK 2 30\r\n" LIST_TWO, false);
}

static void what_needs_no_list_does_not_wait(void **state)
{
    struct fixture *fixture = *state;

    tell_totals(fixture, STORE_OPENING, 2, 30);
    expect(fixture, TWO, false);
    say(fixture, "STAT\r\nNOOP\r\nRSET\r\nLIST 1 2\r\n");
    expect(fixture,
           "+OK 2 30\r\n+OK\r\n+OK no message is marked as deleted\r\n"
           "-ERR wrong arguments for this command\r\n",
           false);
    tell_entries(fixture, 1, 1);
    say(fixture, "STAT\r\n");
    expect(fixture, "+OK 2 30\r\n", false);
}

static void answers_keep_the_order_of_their_commands(void **state)
{
    static const struct {
        const char *command, *answer;
    } cases[] = {
        {"LIST", LIST_TWO},
        {"LIST 1", "+OK 1 10\r\n"},
        {"UIDL 2", "+OK 2 2.f\r\n"},
        {"DELE 3", "-ERR no such message\r\n"},
        {"RETR x", "-ERR not a number\r\n"},
        {"TOP 3 1", "-ERR no such message\r\n"},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char line[64], expected[256];
        tell_totals(fixture, STORE_OPENING, 2, 30);
        snprintf(line, sizeof(line), "STAT\r\n%s\r\nSTAT\r\n", cases[i].command);
        say(fixture, line);
        expect(fixture, TWO "+OK 2 30\r\n", false);
        tell_entries(fixture, 1, 2);
        expect(fixture, "", false);
        tell_totals(fixture, STORE_OPENED, 2, 30);
        snprintf(expected, sizeof(expected), "%s+OK 2 30\r\n", cases[i].answer);
        expect(fixture, expected, false);
        if (i + 1 < sizeof(cases) / sizeof(cases[0])) {
            fixture_close(state);
            fixture_open(state);
            fixture = *state;
        }
    }
}

static void who_has_said_all_is_still_answered(void **state)
{
    struct fixture *fixture = *state;

    tell_totals(fixture, STORE_OPENING, 2, 30);
    say(fixture, "LIST\r\nQUIT\r\n");
    shutdown(fixture->client, SHUT_WR);
    run(fixture);
    expect(fixture, TWO, false);
    tell_entries(fixture, 1, 2);
    tell_totals(fixture, STORE_OPENED, 2, 30);
    expect(fixture, LIST_TWO "+OK goodbye\r\n", true);
}

static void quit_does_not_wait(void **state)
{
    struct fixture *fixture = *state;
    char nothing;

    tell_totals(fixture, STORE_OPENING, 2, 30);
    tell_entries(fixture, 1, 1);
    say(fixture, "QUIT\r\n");
    expect(fixture, TWO "+OK goodbye\r\n", true);
    expect_request(fixture, STORE_CLOSE);
    tell_entries(fixture, 2, 1); /* was on its way */
    tell_totals(fixture, STORE_OPENED, 2, 30);
    assert_int_equal(recv(fixture->stored, &nothing, 1, MSG_DONTWAIT), -1); /* it goes on */
}

static void who_goes_away_gives_the_mailbox_back(void **state)
{
    struct fixture *fixture = *state;

    tell_totals(fixture, STORE_OPENING, 2, 30);
    expect(fixture, TWO, false);
    shutdown(fixture->client, SHUT_RDWR);
    run(fixture);
    assert_null(fixture->server.sessions);
    expect_request(fixture, STORE_CLOSE);
}

/* What STAT has said must be true: a session to which it was not goes on no further. */
static void other_totals_than_announced_end_the_session(void **state)
{
    static const struct {
        uint32_t messages;
        uint64_t octets;
    } announced[] = {{1, 30}, {3, 30}, {2, 29}, {2, 31}, {0, 0}};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(announced) / sizeof(announced[0]); i++) {
        char expected[64];
        tell_totals(fixture, STORE_OPENING, announced[i].messages, announced[i].octets);
        say(fixture, "LIST\r\n");
        tell_entries(fixture, 1, 2);
        tell_totals(fixture, STORE_OPENED, 2, 30);
        snprintf(expected, sizeof(expected), "+OK %u messages (%u octets)\r\n",
                 announced[i].messages, (unsigned)announced[i].octets);
        expect(fixture, expected, true);
        expect_request(fixture, STORE_CLOSE);
        fixture_close(state);
        fixture_open(state);
        fixture = *state;
    }
}

/* Totals that are not those of the entries before them are stored's bug: it is not believed. */
static void other_totals_than_told_end_the_connection(void **state)
{
    struct fixture *fixture = *state;

    tell_totals(fixture, STORE_OPENING, 2, 30);
    say(fixture, "LIST\r\n");
    tell_entries(fixture, 1, 1);
    tell_totals(fixture, STORE_OPENED, 2, 30);
    expect(fixture, TWO AWAY, true);
}

static void a_second_announcement_ends_the_connection(void **state)
{
    struct fixture *fixture = *state;

    tell_totals(fixture, STORE_OPENING, 2, 30);
    tell_totals(fixture, STORE_OPENING, 2, 30);
    say(fixture, "LIST\r\n");
    expect(fixture, TWO AWAY, true);
}

static void a_list_that_fails_is_told_to_who_needs_it(void **state)
{
    static const struct store_failed broken = {.result = STORE_BROKEN};
    struct fixture *fixture = *state;

    for (int waits = 0; waits < 2; waits++) {
        tell_totals(fixture, STORE_OPENING, 2, 30);
        if (waits)
            say(fixture, "LIST\r\n");
        tell_entries(fixture, 1, 1);
        tell(fixture, STORE_FAILED, &broken, sizeof(broken));
        if (!waits)
            say(fixture, "STAT\r\nLIST\r\n");
        expect(fixture, waits ? TWO AWAY : TWO "+OK 2 30\r\n" AWAY, true);
        fixture_close(state);
        fixture_open(state);
        fixture = *state;
    }
}

static void stored_may_end_in_the_middle(void **state)
{
    struct fixture *fixture = *state;

    tell_totals(fixture, STORE_OPENING, 2, 30);
    tell_entries(fixture, 1, 1);
    shutdown(fixture->stored, SHUT_RDWR);
    run(fixture);
    say(fixture, "STAT\r\nNOOP\r\nUIDL\r\n");
    expect(fixture, TWO "+OK 2 30\r\n+OK\r\n" AWAY, true);
}

/* As by the autologout: no word, and nothing of a message's end. stored gets its close all the
 * same.
 */
static void a_session_that_stored_ends_ends_without_a_word(void **state)
{
    static const char piece[] = "A: b\r\n\r\n";
    const struct store_totals one = {.messages = 1, .octets = 300000};
    const struct store_entry entry = {1, 15, 300000};
    struct {
        struct store_data data;
        char piece[sizeof(piece) - 1];
    } read = {.data = {.length = 300000, .top_length = 8}};
    struct fixture *fixture = *state;

    memcpy(read.piece, piece, sizeof(read.piece));
    for (int fetches = 0; fetches < 2; fetches++) {
        tell(fixture, STORE_ENTRIES, &entry, sizeof(entry));
        tell(fixture, STORE_OPENED, &one, sizeof(one));
        expect(fixture, "+OK 1 messages (300000 octets)\r\n", false);
        if (fetches) {
            say(fixture, "RETR 1\r\nNOOP\r\n");
            expect_request(fixture, STORE_READ);
            tell(fixture, STORE_DATA, &read, sizeof(read.data) + sizeof(read.piece));
            expect_request(fixture, STORE_READ);
        } else {
            say(fixture, "DELE 1\r\n");
        }
        tell(fixture, STORE_ENDED, NULL, 0);
        expect(fixture, fetches ? "+OK 300000 octets\r\nA: b\r\n\r\n" : "+OK marked as deleted\r\n",
               true);
        expect_request(fixture, STORE_CLOSE);
        tell(fixture, STORE_ENDED, NULL, 0); /* it crossed the close */
        fixture_close(state);
        fixture_open(state);
        fixture = *state;
    }
}

/* A login is answered, and what is being deleted is told to be uncertain. */
static void who_waits_for_an_answer_has_one_when_stored_ends_the_session(void **state)
{
    struct fixture *fixture = *state;

    tell(fixture, STORE_ENDED, NULL, 0);
    expect(fixture, UNAVAILABLE, false);
    expect_request(fixture, STORE_CLOSE);
    say(fixture, "STAT\r\n");
    expect(fixture, "-ERR unknown command here\r\n", false);
    fixture_close(state);
    fixture_open(state);
    fixture = *state;
    tell_entries(fixture, 1, 2);
    tell_totals(fixture, STORE_OPENED, 2, 30);
    say(fixture, "DELE 1\r\nQUIT\r\n");
    expect_request(fixture, STORE_EXPUNGE);
    tell(fixture, STORE_ENDED, NULL, 0);
    expect(fixture, TWO "+OK marked as deleted\r\n" NOT_REMOVED, true);
    expect_request(fixture, STORE_CLOSE);
}

static void too_many_messages_are_no_login(void **state)
{
    struct fixture *fixture = *state;

    tell_totals(fixture, STORE_OPENING, LIMIT_MESSAGES + 1, 30);
    expect(fixture,
           "-ERR [SYS/PERM] this mailbox has too many messages to be opened, ask your provider\r\n",
           false);
    expect_request(fixture, STORE_CLOSE);
    say(fixture, "STAT\r\n");
    expect(fixture, "-ERR unknown command here\r\n", false);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_small_mailbox_is_told_whole),
        CASE(what_needs_no_list_does_not_wait),
        CASE(answers_keep_the_order_of_their_commands),
        CASE(who_has_said_all_is_still_answered),
        CASE(quit_does_not_wait),
        CASE(who_goes_away_gives_the_mailbox_back),
        CASE(other_totals_than_announced_end_the_session),
        CASE(other_totals_than_told_end_the_connection),
        CASE(a_second_announcement_ends_the_connection),
        CASE(a_list_that_fails_is_told_to_who_needs_it),
        CASE(stored_may_end_in_the_middle),
        CASE(a_session_that_stored_ends_ends_without_a_word),
        CASE(who_waits_for_an_answer_has_one_when_stored_ends_the_session),
        CASE(too_many_messages_are_no_login),
    };
    return cmocka_run_group_tests_name("pop3d opening", tests, NULL, NULL);
}
