/* A kernel that cannot take the filter, as libseccomp is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <seccomp.h>

#include "lib/callfilter.h"

static void test_old_kernel(void **state)
{
    const struct callfilter wanted = {.files = CALLFILTER_WRITE, .connects = true};
    (void)state;

    for (unsigned level = 1; level < 3; level++) {
        assert_int_equal(seccomp_api_set(level), 0);
        assert_false(callfilter_enter(&wanted));
        assert_int_equal(errno, ENOSYS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_old_kernel)};

    return cmocka_run_group_tests_name("callfilter", tests, NULL, NULL);
}
