/* RFC 1939 section 3: what ends a session without a QUIT does so without UPDATE. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "lib/acceptor.h"
#include "pop3d/server.h"
#include "pop3d/session.h"

/* Long enough for a slow machine between two commands. */
#define IDLE_SECONDS 2

static const struct timeval idle = {.tv_sec = IDLE_SECONDS};
static const struct timeval never = {.tv_sec = 3600};

static struct child child;
static struct server server;
static int client;

static void on_full(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    (void)context;
}

/* A session that is logged in, with one of two messages marked as deleted. */
static void begin(void)
{
    static const struct store_entry entries[2] = {{.uid = 1, .octets = 10},
                                                  {.uid = 2, .octets = 20}};
    const struct peer unknown = {.text = "unknown"};
    int pair[2];

    child.base = event_base_new();
    conf_default(&child.conf);
    server = (struct server){.child = &child, .session_count = 1};
    server.acceptor = acceptor_new(child.base);
    server.full = evtimer_new(child.base, on_full, NULL);
    for (int i = 0; i < SERVER__TIMEOUTS; i++)
        server.timeouts[i] = i == SERVER_IDLE ? &idle : &never;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    client = pair[0];
    session_start(&server, pair[1], &unknown, false);
    struct session *session = server.sessions;
    assert_int_equal(maildrop_append(&session->maildrop, entries, 2), 0);
    assert_int_equal(maildrop_complete(&session->maildrop), 0);
    session_logged_in(session);
    maildrop_delete(&session->maildrop, 0);
    session_settle(session);
}

static void end(void)
{
    assert_null(server.sessions);
    close(client);
    event_free(server.full);
    acceptor_free(server.acceptor);
    event_base_free(child.base);
}

static void run_for(double seconds)
{
    const struct timeval time = {.tv_sec = (time_t)seconds,
                                 .tv_usec =
                                     (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6)};

    event_base_loopexit(child.base, &time);
    event_base_dispatch(child.base);
}

/* What has come, as a string. */
static const char *heard(bool *closed_r)
{
    static char text[512];
    size_t length = 0;
    ssize_t got;

    while ((got = recv(client, text + length, sizeof(text) - 1 - length, 0)) > 0)
        length += (size_t)got;
    text[length] = '\0';
    *closed_r = got == 0;
    return text;
}

static void silence_ends_it_without_a_word(void **state)
{
    bool closed;
    (void)state;

    begin();
    run_for(0.2);
    assert_string_equal(heard(&closed), "+OK Bellhop ready\r\n+OK 2 messages (30 octets)\r\n");
    assert_false(closed);
    run_for(IDLE_SECONDS + 0.5);
    assert_string_equal(heard(&closed), "");
    assert_true(closed);
    end();
}

static void each_command_postpones_it(void **state)
{
    bool closed;
    (void)state;

    begin();
    for (int i = 0; i < 3; i++) {
        run_for(1.0);
        (void)heard(&closed);
        assert_false(closed);
        assert_int_equal(send(client, "NOOP\r\n", 6, 0), 6);
        run_for(0.1);
        assert_string_equal(heard(&closed), "+OK\r\n");
    }
    run_for(IDLE_SECONDS + 0.5);
    assert_string_equal(heard(&closed), "");
    assert_true(closed);
    end();
}

/* Others have taken over long ago: the next command is answered that the client come again. */
static void a_closing_process_ends_it_at_the_next_command(void **state)
{
    bool closed;
    (void)state;

    begin();
    run_for(0.2);
    (void)heard(&closed);
    server.closing = true;
    run_for(0.1);
    assert_string_equal(heard(&closed), "");
    assert_false(closed);
    assert_int_equal(send(client, "NOOP\r\nNOOP\r\n", 12, 0), 12);
    run_for(0.2);
    assert_string_equal(heard(&closed),
                        "-ERR [SYS/TEMP] the service has been renewed, please connect again\r\n");
    assert_true(closed);
    end();
}

static void a_closing_process_takes_quit(void **state)
{
    bool closed;
    (void)state;

    begin();
    assert_int_equal(send(client, "RSET\r\n", 6, 0), 6);
    run_for(0.2);
    (void)heard(&closed);
    server.closing = true;
    assert_int_equal(send(client, "QUIT\r\n", 6, 0), 6);
    run_for(0.2);
    assert_memory_equal(heard(&closed), "+OK ", 4);
    assert_true(closed);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_ends_it_without_a_word),
        cmocka_unit_test(each_command_postpones_it),
        cmocka_unit_test(a_closing_process_ends_it_at_the_next_command),
        cmocka_unit_test(a_closing_process_takes_quit),
    };

    return cmocka_run_group_tests_name("pop3d autologout", tests, NULL, NULL);
}
