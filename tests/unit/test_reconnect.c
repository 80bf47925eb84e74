/* When a lost connection is made again: at once, but not in a loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>

#include "lib/reconnect.h"

struct peer {
    struct event_base *base;
    unsigned attempts;
    unsigned fails; /* so many of the next attempts */
    unsigned away;
    struct reconnect *reconnect;
};

static int on_connect(void *context)
{
    struct peer *peer = context;

    peer->attempts++;
    if (peer->fails > 0) {
        peer->fails--;
        errno = ECONNREFUSED;
        return -1;
    }
    return 0;
}

/* As an owner does: what waits is told, and a new connection waits for the peer. */
static void on_away(void *context)
{
    struct peer *peer = context;

    peer->away++;
    reconnect_again(peer->reconnect);
}

static const struct reconnect_events events = {.connect = on_connect, .away = on_away};

/* Runs the loop for this time. */
static void pass(struct peer *peer, unsigned milliseconds)
{
    const struct timeval time = {.tv_usec = (suseconds_t)milliseconds * 1000};

    assert_int_equal(event_base_loopexit(peer->base, &time), 0);
    assert_true(event_base_loop(peer->base, EVLOOP_NO_EXIT_ON_EMPTY) >= 0);
}

static void connects_at_once(void **state)
{
    struct peer peer = {.base = event_base_new()};
    (void)state;

    struct reconnect *reconnect = reconnect_new(peer.base, "peer.sock", &events, &peer);
    assert_int_equal(peer.attempts, 1);
    reconnect_again(reconnect);
    assert_int_equal(peer.attempts, 2);
    pass(&peer, 2 * RECONNECT_PAUSE_MS);
    assert_int_equal(peer.attempts, 2);
    reconnect_again(reconnect);
    assert_int_equal(peer.attempts, 3);
    reconnect_free(reconnect);
    event_base_free(peer.base);
}

/* A peer that hangs up as soon as it is reached: one attempt a pause. */
static void does_not_spin(void **state)
{
    struct peer peer = {.base = event_base_new()};
    (void)state;

    struct reconnect *reconnect = reconnect_new(peer.base, "peer.sock", &events, &peer);
    reconnect_again(reconnect);
    reconnect_again(reconnect);
    assert_int_equal(peer.attempts, 2);
    while (peer.attempts < 3)
        assert_int_equal(event_base_loop(peer.base, EVLOOP_ONCE), 0);
    reconnect_again(reconnect);
    assert_int_equal(peer.attempts, 3);
    reconnect_free(reconnect);
    event_base_free(peer.base);
}

static void tries_until_it_works(void **state)
{
    struct peer peer = {.base = event_base_new(), .fails = 3};
    (void)state;

    struct reconnect *reconnect = reconnect_new(peer.base, "peer.sock", &events, &peer);
    assert_int_equal(peer.attempts, 1);
    while (peer.attempts < 4)
        assert_int_equal(event_base_loop(peer.base, EVLOOP_ONCE), 0);
    assert_int_equal(peer.fails, 0);
    pass(&peer, 2 * RECONNECT_PAUSE_MS);
    assert_int_equal(peer.attempts, 4);
    reconnect_free(reconnect);
    event_base_free(peer.base);
}

/* Of two, one is heard, and then silent; the other loses its connection and is not heard again. */
static void one_that_is_not_heard_is_away(void **state)
{
    struct peer peer = {.base = event_base_new()}, heard = {.base = peer.base};
    (void)state;

    heard.reconnect = reconnect_new(peer.base, "heard.sock", &events, &heard);
    peer.reconnect = reconnect_new(peer.base, "peer.sock", &events, &peer);
    reconnect_heard(heard.reconnect);
    reconnect_heard(peer.reconnect);
    reconnect_again(peer.reconnect);
    while (peer.away == 0) {
        assert_false(reconnect_is_away(peer.reconnect));
        assert_int_equal(event_base_loop(peer.base, EVLOOP_ONCE), 0);
    }
    assert_true(reconnect_is_away(peer.reconnect));
    assert_true(peer.attempts >= 2);
    assert_false(reconnect_is_away(heard.reconnect));
    assert_int_equal(heard.away, 0);
    /* It is told once, however long it lasts, and a lost connection changes nothing. */
    reconnect_again(peer.reconnect);
    pass(&peer, 2 * RECONNECT_PAUSE_MS);
    assert_int_equal(peer.away, 1);
    assert_true(reconnect_is_away(peer.reconnect));
    reconnect_heard(peer.reconnect);
    assert_false(reconnect_is_away(peer.reconnect));
    reconnect_free(peer.reconnect);
    reconnect_free(heard.reconnect);
    event_base_free(peer.base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connects_at_once),
        cmocka_unit_test(does_not_spin),
        cmocka_unit_test(tries_until_it_works),
        cmocka_unit_test(one_that_is_not_heard_is_away),
    };
    return cmocka_run_group_tests_name("reconnect", tests, NULL, NULL);
}
