#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/fault.h"
#include "tests/unit/scratch.h"

static void arm(const char *text)
{
    mkdir("run", 0700);
    FILE *file = fopen("run/fault", "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int is_armed(void)
{
    return access("run/fault", F_OK) == 0;
}

static void test_nothing_is_armed(void **state)
{
    (void)state;
    assert_int_equal(fault_pass("some.point"), 0);
}

static void test_fails_at_the_pass_that_is_told(void **state)
{
    (void)state;
    arm("some.point 3 error EIO\n");
    assert_int_equal(fault_pass("some.point"), 0);
    assert_int_equal(fault_pass("other.point"), 0);
    assert_int_equal(fault_pass("some.point"), 0);
    assert_true(is_armed());
    assert_int_equal(fault_pass("some.point"), EIO);
    assert_false(is_armed());
    assert_int_equal(fault_pass("some.point"), 0);
}

static void test_fails_until_the_file_is_gone(void **state)
{
    (void)state;
    arm("some.point 2 failing ENOSPC\n");
    assert_int_equal(fault_pass("some.point"), 0);
    assert_int_equal(fault_pass("some.point"), ENOSPC);
    assert_int_equal(fault_pass("some.point"), ENOSPC);
    unlink("run/fault");
    assert_int_equal(fault_pass("some.point"), 0);
}

static void test_lines_count_for_themselves(void **state)
{
    (void)state;
    arm("one 1 error EIO\ntwo 2 error EMFILE\n");
    assert_int_equal(fault_pass("two"), 0);
    assert_int_equal(fault_pass("one"), EIO);
    assert_true(is_armed());
    assert_int_equal(fault_pass("two"), EMFILE);
    assert_false(is_armed());
}

static void test_kills(void **state)
{
    int status;
    (void)state;

    arm("some.point 2 kill\n");
    pid_t pid = fork();
    if (pid == 0) {
        fault_die_at("some.point");
        fault_die_at("some.point");
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_false(is_armed());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_enter, scratch_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_armed),
        TEST(test_fails_at_the_pass_that_is_told),
        TEST(test_fails_until_the_file_is_gone),
        TEST(test_lines_count_for_themselves),
        TEST(test_kills),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
