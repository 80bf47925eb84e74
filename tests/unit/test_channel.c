/* Channels: what is sent arrives whole and in order; what breaks the rules ends the connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/channel.h"
#include "lib/xalloc.h"
#include "tests/unit/scratch.h"

#define MESSAGES 500

struct peer {
    struct channel *channel;
    struct event_base *base;
    unsigned received;
    unsigned pause_at; /* 0: never */
    uint64_t octets;
    bool closed;
    bool refuse;
};

static size_t length_of(unsigned number)
{
    return number % 50 == 0 ? CHANNEL_PAYLOAD_MAX : (size_t)number * 37 % 3000;
}

static int on_message(void *context, const struct channel_message *message)
{
    struct peer *peer = context;
    const uint8_t *octets = message->payload;

    if (peer->refuse)
        return -1;
    assert_int_equal(message->id, peer->received);
    assert_int_equal(message->type, peer->received % 7);
    assert_int_equal(message->length, length_of(peer->received));
    for (size_t i = 0; i < message->length; i += 97)
        assert_int_equal(octets[i], (uint8_t)(peer->received + i));
    peer->octets += message->length;
    if (++peer->received == peer->pause_at)
        channel_pause(peer->channel);
    if (peer->received == MESSAGES)
        event_base_loopbreak(peer->base);
    return 0;
}

static void on_closed(void *context)
{
    struct peer *peer = context;

    peer->closed = true;
    event_base_loopbreak(peer->base);
}

static const struct channel_events events = {.message = on_message, .closed = on_closed};

static void open_pair(struct peer *one, struct peer *other)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    one->base = other->base = event_base_new();
    one->channel = channel_new(one->base, fds[0], &events, one);
    other->channel = channel_new(one->base, fds[1], &events, other);
}

static void close_pair(struct peer *one, struct peer *other)
{
    channel_free(one->channel);
    channel_free(other->channel);
    event_base_free(one->base);
}

static void send_all(struct channel *channel)
{
    uint8_t *octets = xmalloc(CHANNEL_PAYLOAD_MAX);

    for (unsigned number = 0; number < MESSAGES; number++) {
        size_t length = length_of(number);
        for (size_t i = 0; i < length; i++)
            octets[i] = (uint8_t)(number + i);
        channel_send(channel, (uint8_t)(number % 7), number, octets, length / 3,
                     octets + length / 3, length - length / 3);
    }
    free(octets);
}

static void all_arrive_in_order(void **state)
{
    struct peer one = {0}, other = {0};
    (void)state;

    open_pair(&one, &other);
    send_all(one.channel);
    event_base_dispatch(one.base);
    assert_int_equal(other.received, MESSAGES);
    assert_int_equal(channel_pending(one.channel), 0);
    close_pair(&one, &other);
}

static void a_flush_does_not_wait_for_the_turn(void **state)
{
    struct peer one = {0}, other = {0};
    (void)state;

    open_pair(&one, &other);
    channel_send(one.channel, 0, 0, "x", 1, NULL, 0);
    assert_int_not_equal(channel_pending(one.channel), 0);
    channel_flush(one.channel);
    assert_int_equal(channel_pending(one.channel), 0);
    close_pair(&one, &other);
}

static void resume(evutil_socket_t fd, short what, void *context)
{
    struct peer *peer = context;
    (void)fd;
    (void)what;

    /* Nothing was handed on while it was paused, however much waited. */
    assert_int_equal(peer->received, peer->pause_at);
    channel_resume(peer->channel);
}

static void a_pause_holds_back_and_loses_nothing(void **state)
{
    struct peer one = {0}, other = {.pause_at = 100};
    struct timeval later = {0, 50000};
    (void)state;

    open_pair(&one, &other);
    send_all(one.channel);
    event_base_once(one.base, -1, EV_TIMEOUT, resume, &other, &later);
    event_base_dispatch(one.base);
    assert_int_equal(other.received, MESSAGES);
    close_pair(&one, &other);
}

static void a_cancelled_message_is_not_sent(void **state)
{
    struct peer one = {0}, other = {0};
    (void)state;

    open_pair(&one, &other);
    memset(channel_begin(one.channel, 1000), 'x', 1000);
    channel_cancel(one.channel);
    send_all(one.channel);
    event_base_dispatch(one.base);
    assert_int_equal(other.received, MESSAGES);
    close_pair(&one, &other);
}

static void a_refused_message_ends_the_channel(void **state)
{
    struct peer one = {0}, other = {.refuse = true};
    (void)state;

    open_pair(&one, &other);
    channel_send(one.channel, 1, 1, "x", 1, NULL, 0);
    event_base_dispatch(one.base);
    assert_true(other.closed);
    close_pair(&one, &other);
}

static void the_end_of_the_peer_is_told(void **state)
{
    struct peer one = {0}, other = {0};
    (void)state;

    open_pair(&one, &other);
    channel_free(one.channel);
    one.channel = NULL;
    event_base_dispatch(one.base);
    assert_true(other.closed);
    close_pair(&one, &other);
}

/* A program that ends has answered what it could; its answers count, whatever we had to say. */
static void what_came_before_the_end_is_read(void **state)
{
    struct peer peer = {.received = 1};
    uint8_t message[12 + 37] = {37, 0, 0, 0, 1, 1, 0, 0, 1}; /* type 1, id 1: what comes next */
    int fds[2];
    (void)state;

    for (uint8_t i = 0; i < 37; i++)
        message[12 + i] = 1 + i;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    peer.base = event_base_new();
    peer.channel = channel_new(peer.base, fds[0], &events, &peer);
    assert_int_equal(write(fds[0], "unread", 6), 6);
    assert_int_equal(write(fds[1], message, sizeof(message)), sizeof(message));
    close(fds[1]);
    channel_send(peer.channel, 1, 1, "x", 1, NULL, 0);
    event_base_dispatch(peer.base);
    assert_int_equal(peer.received, 2);
    assert_true(peer.closed);
    channel_free(peer.channel);
    event_base_free(peer.base);
}

/* --- loans */

static void turn(struct peer *peer)
{
    for (int i = 0; i < 3; i++)
        event_base_loop(peer->base, EVLOOP_NONBLOCK);
}

/* The message that comes next, as on_message() expects it; its length is that of number 1. */
static bool lend(struct channel *channel, struct channel_loan *loan)
{
    uint8_t octets[37];

    for (size_t i = 0; i < sizeof(octets); i++)
        octets[i] = (uint8_t)(1 + i);
    return channel_lend(channel, loan, 1, 1, octets, sizeof(octets));
}

static void a_loan_sends_its_message_once(void **state)
{
    struct peer one = {0}, other = {.received = 1};
    struct channel_loan *loan = channel_loan_new();
    (void)state;

    open_pair(&one, &other);
    assert_false(channel_loan_use(loan));
    assert_false(channel_loan_end(loan));
    assert_true(lend(one.channel, loan));
    assert_true(channel_loan_use(loan));
    assert_false(channel_loan_use(loan));
    assert_true(channel_loan_end(loan));
    assert_false(channel_loan_end(loan));
    turn(&one);
    assert_int_equal(other.received, 2);
    assert_false(channel_loan_use(loan));
    assert_true(lend(one.channel, loan));
    assert_false(channel_loan_end(loan));
    assert_false(channel_loan_use(loan));
    turn(&one);
    assert_int_equal(other.received, 2);
    channel_loan_free(loan);
    close_pair(&one, &other);
}

static void a_loan_is_over_when_the_channel_writes(void **state)
{
    struct peer one = {0}, other = {.received = 1};
    struct channel_loan *loan = channel_loan_new(), *second = channel_loan_new();
    uint8_t octets[CHANNEL_LOAN_MAX + 1] = {0};
    (void)state;

    open_pair(&one, &other);
    assert_false(channel_lend(one.channel, loan, 1, 1, octets, sizeof(octets)));
    assert_true(lend(one.channel, loan));
    assert_false(lend(one.channel, second));
    for (uint8_t i = 0; i < 37; i++)
        octets[i] = 1 + i;
    channel_send(one.channel, 1, 1, octets, 37, NULL, 0);
    assert_false(lend(one.channel, second));
    turn(&one);
    assert_false(channel_loan_use(loan));
    assert_false(channel_loan_end(loan));
    assert_int_equal(other.received, 2);
    assert_true(lend(one.channel, loan));
    channel_free(one.channel);
    assert_false(channel_loan_use(loan));
    channel_loan_free(loan);
    channel_loan_free(second);
    channel_free(other.channel);
    event_base_free(one.base);
}

/* A peer that reads nothing hears of it from the loop, when it reads. */
static void a_loan_does_not_wait_for_a_full_socket(void **state)
{
    struct channel_loan *loan = channel_loan_new();
    struct peer peer = {0};
    char octets[4096] = {0};
    int fds[2];
    (void)state;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    peer.base = event_base_new();
    peer.channel = channel_new(peer.base, fds[0], &events, &peer);
    assert_true(lend(peer.channel, loan));
    while (write(fds[0], octets, sizeof(octets)) > 0)
        ;
    assert_false(channel_loan_use(loan));
    assert_false(channel_loan_end(loan));
    channel_loan_free(loan);
    channel_free(peer.channel);
    close(fds[1]);
    event_base_free(peer.base);
}

/* --- descriptors */

struct receiver {
    struct peer peer; /* first */
    unsigned expects; /* after so many messages a descriptor may come */
    int taken[3];
};

static int take_one(void *context, const struct channel_message *message)
{
    struct receiver *receiver = context;

    receiver->taken[message->id] = channel_take_descriptor(receiver->peer.channel);
    if (++receiver->peer.received == receiver->expects)
        channel_expect_descriptor(receiver->peer.channel);
    if (receiver->peer.received == 3)
        event_base_loopbreak(receiver->peer.base);
    return 0;
}

static unsigned descriptors(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Three messages, and a pipe's end with the second: each is a turn of the loop of its own. */
static void send_three(struct receiver *receiver, int fds[2])
{
    static const struct channel_events taking = {.message = take_one, .closed = on_closed};
    struct peer sender = {0};

    receiver->peer.base = sender.base = event_base_new();
    sender.channel = channel_new(sender.base, fds[0], &events, &sender);
    receiver->peer.channel = channel_new(sender.base, fds[1], &taking, receiver);
    for (uint32_t i = 0; i < 3; i++) {
        int ends[2];
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        assert_int_equal(write(ends[1], "x", 1), 1);
        close(ends[1]);
        if (i == 1)
            channel_send_descriptor(sender.channel, ends[0]);
        else
            close(ends[0]);
        channel_send(sender.channel, 1, i, NULL, 0, NULL, 0);
        for (int turn = 0; turn < 3; turn++)
            event_base_loop(sender.base, EVLOOP_NONBLOCK);
    }
    channel_free(sender.channel);
    channel_free(receiver->peer.channel);
    event_base_free(sender.base);
}

static void a_descriptor_comes_with_its_message(void **state)
{
    struct receiver receiver = {.expects = 1};
    unsigned before = descriptors();
    char octet = 0;
    int fds[2];
    (void)state;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    send_three(&receiver, fds);
    assert_int_equal(receiver.peer.received, 3);
    assert_int_equal(receiver.taken[0], -1);
    assert_true(receiver.taken[1] >= 0);
    assert_int_equal(fcntl(receiver.taken[1], F_GETFD), FD_CLOEXEC);
    assert_int_equal(read(receiver.taken[1], &octet, 1), 1);
    assert_int_equal(octet, 'x');
    assert_int_equal(receiver.taken[2], -1);
    close(receiver.taken[1]);
    assert_int_equal(descriptors(), before);
}

/* Nor does one stay open that has come too early, or that nobody has taken. */
static void a_descriptor_that_nobody_expects_is_closed(void **state)
{
    struct receiver receiver = {.expects = 2};
    unsigned before = descriptors();
    int fds[2];
    (void)state;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    send_three(&receiver, fds);
    assert_int_equal(receiver.peer.received, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(receiver.taken[i], -1);
    assert_int_equal(descriptors(), before);
}

static const struct {
    const char *what;
    uint8_t octets[12];
} headers[] = {
    {"a length above the largest", {1, 0, 8, 0, 1}},
    {"another version", {0, 0, 0, 0, 2}},
    {"version 0", {0}},
    {"what must be zero is not", {0, 0, 0, 0, 1, 1, 1}},
};

static void a_bad_header_ends_the_channel(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        struct peer peer = {0};
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        peer.base = event_base_new();
        peer.channel = channel_new(peer.base, fds[0], &events, &peer);
        assert_int_equal(write(fds[1], headers[i].octets, 12), 12);
        event_base_dispatch(peer.base);
        if (!peer.closed || peer.received != 0)
            fail_msg("taken: %s", headers[i].what);
        close(fds[1]);
        channel_free(peer.channel);
        event_base_free(peer.base);
    }
}

/* Whoever connects is no program of the supervisor's, and nobody has prepared its signals. */
static void a_peer_that_is_gone_ends_nobody(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "peer.sock"};
    struct peer peer = {.base = event_base_new()};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)state;

    signal(SIGPIPE, SIG_DFL);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    peer.channel = channel_connect(peer.base, address.sun_path, &events, &peer);
    assert_non_null(peer.channel);
    channel_send(peer.channel, 0, 0, NULL, 0, NULL, 0);
    close(accept(listener, NULL, NULL));
    event_base_dispatch(peer.base);
    assert_true(peer.closed);
    channel_free(peer.channel);
    event_base_free(peer.base);
    close(listener);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_arrive_in_order),
        cmocka_unit_test(a_flush_does_not_wait_for_the_turn),
        cmocka_unit_test(a_pause_holds_back_and_loses_nothing),
        cmocka_unit_test(a_cancelled_message_is_not_sent),
        cmocka_unit_test(a_refused_message_ends_the_channel),
        cmocka_unit_test(the_end_of_the_peer_is_told),
        cmocka_unit_test(what_came_before_the_end_is_read),
        cmocka_unit_test(a_loan_sends_its_message_once),
        cmocka_unit_test(a_loan_is_over_when_the_channel_writes),
        cmocka_unit_test(a_loan_does_not_wait_for_a_full_socket),
        cmocka_unit_test(a_descriptor_comes_with_its_message),
        cmocka_unit_test(a_descriptor_that_nobody_expects_is_closed),
        cmocka_unit_test(a_bad_header_ends_the_channel),
        cmocka_unit_test_setup_teardown(a_peer_that_is_gone_ends_nobody, scratch_enter,
                                        scratch_leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
