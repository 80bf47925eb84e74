/* The keys of session tickets: what a rotation keeps and forgets, and that nobody reads half of
 * one. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "lib/ticketkeys.h"

struct fixture {
    int fd;
    struct ticketkeys *keys;
    const struct ticketkeys *reader;
};

static int set_up(void **state)
{
    static struct fixture fixture;

    if (sodium_init() < 0)
        return -1;
    fixture.fd = memfd_create("ticketkeys", MFD_CLOEXEC);
    if (fixture.fd < 0 || ftruncate(fixture.fd, (off_t)ticketkeys_size()) < 0)
        return -1;
    fixture.keys = ticketkeys_make(fixture.fd);
    fixture.reader = ticketkeys_attach(fixture.fd);
    *state = &fixture;
    return fixture.keys != NULL && fixture.reader != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    ticketkeys_detach(fixture->keys);
    ticketkeys_detach(fixture->reader);
    return close(fixture->fd);
}

static void read_keys(const struct fixture *fixture, struct ticketkey keys_r[TICKETKEYS__MAX])
{
    assert_int_equal(ticketkeys_read(fixture->reader, keys_r), 0);
}

static bool same(const struct ticketkey *one, const struct ticketkey *other)
{
    return memcmp(one, other, sizeof(*one)) == 0;
}

static void test_both_are_drawn(void **state)
{
    struct ticketkey keys[TICKETKEYS__MAX];

    read_keys(*state, keys);
    assert_false(same(&keys[TICKETKEYS_CURRENT], &keys[TICKETKEYS_PREVIOUS]));
    for (unsigned i = 0; i < TICKETKEYS__MAX; i++) {
        assert_false(sodium_is_zero(keys[i].name, sizeof(keys[i].name)));
        assert_false(sodium_is_zero(keys[i].secret, sizeof(keys[i].secret)));
    }
}

static void test_rotation(void **state)
{
    const struct fixture *fixture = *state;
    struct ticketkey before[TICKETKEYS__MAX];
    struct ticketkey after[TICKETKEYS__MAX];

    read_keys(fixture, before);
    ticketkeys_rotate(fixture->keys);
    read_keys(fixture, after);
    assert_true(same(&after[TICKETKEYS_PREVIOUS], &before[TICKETKEYS_CURRENT]));
    assert_false(same(&after[TICKETKEYS_CURRENT], &before[TICKETKEYS_CURRENT]));
    assert_false(same(&after[TICKETKEYS_CURRENT], &before[TICKETKEYS_PREVIOUS]));
}

/* After the second rotation a key is nowhere in the shared memory. */
static void test_forgotten(void **state)
{
    const struct fixture *fixture = *state;
    struct ticketkey old[TICKETKEYS__MAX];
    uint8_t memory[4096];

    read_keys(fixture, old);
    ticketkeys_rotate(fixture->keys);
    ssize_t length = pread(fixture->fd, memory, sizeof(memory), 0);
    assert_int_equal(length, ticketkeys_size());
    assert_non_null(memmem(memory, (size_t)length, old[TICKETKEYS_CURRENT].secret, 8));
    ticketkeys_rotate(fixture->keys);
    assert_int_equal(pread(fixture->fd, memory, sizeof(memory), 0), length);
    for (size_t i = 0; i + 8 <= TICKETKEYS_SECRET_SIZE; i++)
        assert_null(memmem(memory, (size_t)length, old[TICKETKEYS_CURRENT].secret + i, 8));
}

struct rotation {
    struct ticketkeys *keys;
    atomic_bool stop;
};

static void *rotate(void *context)
{
    struct rotation *rotation = context;

    while (!rotation->stop)
        ticketkeys_rotate(rotation->keys);
    return NULL;
}

/*
 * While keys are replaced all the time, what is read at once belongs together: the previous key of
 * one reading is either unknown or was read as the current one, whole.
 */
static void test_never_half(void **state)
{
    const struct fixture *fixture = *state;
    struct rotation rotation = {.keys = fixture->keys};
    struct ticketkey last = {{0}, {0}};
    unsigned whole = 0;
    unsigned met = 0;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, rotate, &rotation), 0);
    for (unsigned long i = 0; (whole < 1000 || met < 1) && i < 100000000; i++) {
        struct ticketkey keys[TICKETKEYS__MAX];
        if (ticketkeys_read(fixture->reader, keys) < 0)
            continue;
        whole++;
        const struct ticketkey *previous = &keys[TICKETKEYS_PREVIOUS];
        if (memcmp(previous->name, last.name, sizeof(last.name)) == 0) {
            assert_true(same(previous, &last));
            met++;
        }
        last = keys[TICKETKEYS_CURRENT];
    }
    rotation.stop = true;
    pthread_join(thread, NULL);
    assert_true(whole >= 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_both_are_drawn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rotation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_never_half, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("ticketkeys", tests, NULL, NULL);
}
