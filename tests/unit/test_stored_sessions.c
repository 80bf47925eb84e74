/* The list of sessions, and how others end them, through the store's sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "stored/commit.h"
#include "stored/mailbox.h"
#include "tests/unit/service.h"

#define BODY "Subject: test\r\n\r\ntext\r\n"

static void deliver(uint64_t mailbox, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(peer_deliver(mailbox, BODY, strlen(BODY), 0), STORE_OK);
}

/* Tells stored of one logout over a connection of its own; how many sessions have ended. */
static uint32_t log_out(uint64_t mailbox, uint64_t number)
{
    const struct store_logout logout = {.mailbox = mailbox, .number = number};
    struct store_logged_out out = {.sessions = 99};
    int fd = peer_connect(CONTROL_FD);

    peer_tell(fd, STORE_LOGOUT, 1, &logout, sizeof(logout));
    assert_int_equal(peer_hear(fd, &out, sizeof(out)), STORE_LOGGED_OUT);
    close(fd);
    return out.sessions;
}

static void open_session(int fd, uint32_t id, uint64_t mailbox, int messages)
{
    peer_ask_open(fd, id, mailbox);
    assert_int_equal(peer_opened(fd), messages);
}

static void read_message(int fd, uint32_t id)
{
    const struct store_read request = {.room = 4096, .place = STORE_NO_PLACE};

    peer_tell(fd, STORE_READ, id, &request, sizeof(request));
}

static void expunge(int fd, uint32_t id, uint32_t message)
{
    peer_tell(fd, STORE_EXPUNGE, id, &message, sizeof(message));
}

static void assert_open(int fd)
{
    peer_tell(fd, STORE_HELLO, 0, NULL, 0);
    assert_int_equal(peer_hear(fd, NULL, 0), STORE_HELLO_IS);
}

/* Only a later logout ends a session, and only that of its mailbox. */
static void a_logout_ends_the_sessions_that_have_not_known_of_it(void **state)
{
    int fd = peer_connect(FRONT_FD);
    (void)state;

    deliver(1, 2);
    open_session(fd, 1, 1, 2);
    open_session(fd, 2, 2, 0);
    assert_int_equal(log_out(1, PEER_LOGOUT), 0);
    assert_int_equal(log_out(3, UINT64_MAX), 0);
    assert_false(peer_has_answer(fd));
    assert_int_equal(log_out(1, PEER_LOGOUT + 1), 1);
    assert_int_equal(peer_hear(fd, NULL, 0), STORE_ENDED);
    assert_int_equal(peer_open_anew(1), 2);
    assert_int_equal(log_out(1, PEER_LOGOUT + 1), 0);
    peer_tell(fd, STORE_CLOSE, 1, NULL, 0);
    open_session(fd, 1, 1, 2);
    assert_int_equal(log_out(2, UINT64_MAX), 1);
    assert_int_equal(peer_hear(fd, NULL, 0), STORE_ENDED);
    close(fd);
}

/* It may have asked before it heard of the end. */
static void what_a_front_asks_of_an_ended_session_comes_to_nothing(void **state)
{
    int fd = peer_connect(FRONT_FD);
    (void)state;

    deliver(1, 2);
    open_session(fd, 1, 1, 2);
    assert_int_equal(log_out(1, UINT64_MAX), 1);
    assert_int_equal(peer_hear(fd, NULL, 0), STORE_ENDED);
    read_message(fd, 1);
    expunge(fd, 1, 0);
    expunge(fd, 1, 9);
    assert_open(fd);
    assert_int_equal(peer_open_anew(1), 2);
    /* Its id is taken until it is closed. */
    peer_tell(fd, STORE_CLOSE, 1, NULL, 0);
    read_message(fd, 1);
    assert_int_equal(peer_hear(fd, NULL, 0), 0);
    close(fd);
}

static void a_front_may_end_with_an_ended_session(void **state)
{
    int fd = peer_connect(FRONT_FD);
    (void)state;

    open_session(fd, 1, 1, 0);
    assert_int_equal(log_out(1, UINT64_MAX), 1);
    close(fd);
    service_run(1);
    assert_int_equal(peer_open_anew(1), 0);
}

/* What is on its way into the log is answered, and the lock stays until then; nothing follows. */
static void what_is_being_expunged_is_answered_before_the_end(void **state)
{
    int fd = peer_connect(FRONT_FD);
    (void)state;

    deliver(1, 3);
    open_session(fd, 1, 1, 3);
    expunge(fd, 1, 0);
    while (commits_waiting(store.commits) == 0)
        event_base_loop(child.base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
    struct mailbox *mailbox = mailbox_find(store.mailboxes, 1);
    assert_int_equal(log_out(1, UINT64_MAX), 1);
    expunge(fd, 1, 1);
    assert_int_equal(peer_hear(fd, NULL, 0), STORE_EXPUNGED);
    assert_int_equal(peer_hear(fd, NULL, 0), STORE_ENDED);
    assert_false(mailbox->locked);
    assert_int_equal(peer_open_anew(1), 2);
    close(fd);
}

static void who_waits_for_the_lock_is_refused_where_its_login_is_older(void **state)
{
    struct store_failed failed = {0};
    int holds = peer_connect(FRONT_FD), waits = peer_connect(FRONT_FD);
    (void)state;

    open_session(holds, 1, 1, 0);
    peer_ask_open(waits, 1, 1);
    service_run(1);
    assert_int_equal(log_out(1, PEER_LOGOUT), 0);
    assert_false(peer_has_answer(waits));
    assert_int_equal(log_out(1, PEER_LOGOUT + 1), 1);
    assert_int_equal(peer_hear(waits, &failed, sizeof(failed)), STORE_FAILED);
    assert_int_equal(failed.result, STORE_BUSY);
    assert_int_equal(peer_hear(holds, NULL, 0), STORE_ENDED);
    close(holds);
    close(waits);
}

/* The owner did not leave, so a plan's time between two logins is not waited for. */
static void who_was_logged_out_may_come_back_at_once(void **state)
{
    int fd = peer_connect(FRONT_FD);
    (void)state;

    peer_ask_open_after(fd, 1, 1, 100);
    assert_int_equal(peer_opened(fd), 0);
    assert_int_equal(log_out(1, UINT64_MAX), 1);
    assert_int_equal(peer_hear(fd, NULL, 0), STORE_ENDED);
    peer_ask_open_after(fd, 2, 1, 100);
    assert_int_equal(peer_opened(fd), 0);
    close(fd);
}

static void a_large_mailbox_may_be_logged_out_while_it_is_told(void **state)
{
    int fd = peer_connect(FRONT_FD);
    enum store_type type;
    (void)state;

    deliver(1, 600);
    peer_ask_open(fd, 1, 1);
    assert_int_equal(peer_hear(fd, NULL, 0), STORE_OPENING);
    (void)log_out(1, UINT64_MAX);
    do
        type = peer_hear(fd, NULL, 0);
    while (type == STORE_ENTRIES || type == STORE_OPENED);
    assert_int_equal(type, STORE_ENDED);
    assert_int_equal(peer_open_anew(1), 600);
    close(fd);
}

/* --- the list --------------------------------------------------------------------------------- */

#define LISTED 4

static size_t list(const uint64_t *mailboxes, size_t count,
                   struct store_session_is sessions_r[LISTED])
{
    int fd = peer_connect(CONTROL_FD);

    memset(sessions_r, 0, LISTED * sizeof(sessions_r[0]));
    peer_tell(fd, STORE_SESSIONS, 1, mailboxes, count * sizeof(mailboxes[0]));
    assert_int_equal(peer_hear(fd, sessions_r, LISTED * sizeof(sessions_r[0])), STORE_SESSIONS_ARE);
    close(fd);
    count = 0;
    while (count < LISTED && sessions_r[count].mailbox != 0)
        count++;
    return count;
}

static void the_list_tells_what_is_asked_for(void **state)
{
    static const uint64_t all[] = {4, 3, 2, 1}, two[] = {1, 2};
    struct store_open open = {.capability = {2, 77, (uint64_t)time(NULL) + 20, 0, 0, {0}},
                              .remote = {0x20, 1, 0xd, 0xb8},
                              .tls = 0x0304};
    struct store_session_is sessions[LISTED];
    int fd = peer_connect(FRONT_FD);
    (void)state;

    assert_int_equal(list(all, 4, sessions), 0);
    deliver(1, 2);
    open_session(fd, 1, 1, 2);
    read_message(fd, 1);
    assert_int_equal(peer_hear(fd, NULL, 0), STORE_DATA);
    open_session(fd, 3, 3, 0);
    capability_seal(&open.capability, store.key);
    peer_tell(fd, STORE_OPEN, 2, &open, sizeof(open));
    assert_int_equal(peer_opened(fd), 0);
    mailbox_find(store.mailboxes, 1)->locked_at -= 200;

    assert_int_equal(list(all, 4, sessions), 3);
    assert_int_equal(sessions[0].mailbox, 3);
    assert_int_equal(sessions[1].mailbox, 2);
    assert_int_equal(sessions[1].session, 77);
    assert_int_equal(sessions[1].tls, 0x0304);
    assert_int_equal(sessions[1].octets, 0);
    assert_memory_equal(sessions[1].remote, open.remote, sizeof(open.remote));
    assert_int_equal(sessions[2].mailbox, 1);
    assert_int_equal(sessions[2].messages, 2);
    assert_int_equal(sessions[2].octets, strlen(BODY));
    assert_in_range(sessions[2].seconds, 200, 230);
    assert_int_equal(sessions[2].tls, 0);
    (void)log_out(1, UINT64_MAX);
    assert_int_equal(list(two, 2, sessions), 1);
    assert_int_equal(sessions[0].mailbox, 2);
    close(fd);
}

static void what_is_cut_off_ends_the_connection(void **state)
{
    static const uint8_t zeros[24];
    int fd;
    (void)state;

    fd = peer_connect(CONTROL_FD);
    peer_tell(fd, STORE_SESSIONS, 1, zeros, 12);
    assert_int_equal(peer_hear(fd, NULL, 0), 0);
    close(fd);
    fd = peer_connect(CONTROL_FD);
    peer_tell(fd, STORE_LOGOUT, 1, zeros, 24);
    assert_int_equal(peer_hear(fd, NULL, 0), 0);
    close(fd);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, service_open, service_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_logout_ends_the_sessions_that_have_not_known_of_it),
        CASE(what_a_front_asks_of_an_ended_session_comes_to_nothing),
        CASE(a_front_may_end_with_an_ended_session),
        CASE(what_is_being_expunged_is_answered_before_the_end),
        CASE(who_waits_for_the_lock_is_refused_where_its_login_is_older),
        CASE(who_was_logged_out_may_come_back_at_once),
        CASE(a_large_mailbox_may_be_logged_out_while_it_is_told),
        CASE(the_list_tells_what_is_asked_for),
        CASE(what_is_cut_off_ends_the_connection),
    };

    service_prepare();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    child_fini(&child);
    return failed;
}
