/* The keys of session tickets are rotated again and again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>
#include <sodium.h>

#include "cli/rotation.h"
#include "lib/ticketkeys.h"

static void test_again_and_again(void **state)
{
    struct event_base *base = event_base_new();
    struct ticketkey last[TICKETKEYS__MAX];
    struct ticketkey keys[TICKETKEYS__MAX];
    (void)state;

    int memory = memfd_create("ticketkeys", MFD_CLOEXEC);
    assert_int_equal(ftruncate(memory, (off_t)ticketkeys_size()), 0);
    struct ticketkeys *written = ticketkeys_make(memory);
    assert_non_null(written);
    assert_int_equal(ticketkeys_read(written, last), 0);
    struct rotation *rotation = rotation_new(base, written, 5);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
        assert_int_equal(ticketkeys_read(written, keys), 0);
        assert_memory_equal(&keys[TICKETKEYS_PREVIOUS], &last[TICKETKEYS_CURRENT], sizeof(keys[0]));
        memcpy(last, keys, sizeof(last));
    }
    rotation_free(rotation);
    event_base_free(base);
    ticketkeys_detach(written);
    close(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_again_and_again),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests_name("cli_rotation", tests, NULL, NULL);
}
