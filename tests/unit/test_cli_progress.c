#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/progress.h"

static const struct {
    enum progress_unit unit;
    uint64_t done, total;
    double seconds;
    const char *text;
} cases[] = {
    {PROGRESS_OCTETS, 0, 0, 0, "backup 0"},
    {PROGRESS_OCTETS, 512, 0, 0.5, "backup 512"},
    {PROGRESS_OCTETS, 64 << 20, 0, 2, "backup 64M, 32M/s"},
    {PROGRESS_OCTETS, 0, 1 << 20, 0, "backup [....................] 0% 0"},
    {PROGRESS_OCTETS, 0, 1 << 20, 5, "backup [....................] 0% 0"},
    {PROGRESS_OCTETS, 64 << 20, 256 << 20, 2,
     "backup [=====...............] 25% 64M, 32M/s, 0:06 left"},
    {PROGRESS_MESSAGES, 100, 200000, 1,
     "backup [....................] 0% 100 messages, 100/s, 33:19 left"},
    {PROGRESS_MESSAGES, 50, 50, 10, "backup [====================] 100% 50 messages, 5/s"},
    {PROGRESS_MESSAGES, 60, 50, 10, "backup [====================] 100% 60 messages, 6/s"},
    {PROGRESS_MESSAGES, 1, 1000000, 10,
     "backup [....................] 0% 1 messages, 99:59:59 left"},
    {PROGRESS_PERCENT, 0, 100, 0, "backup [....................] 0%"},
    {PROGRESS_PERCENT, 45, 100, 10, "backup [=========...........] 45%"},
};

static void test_what_the_line_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[PROGRESS_TEXT];
        progress_format("backup", cases[i].unit, cases[i].done, cases[i].total, cases[i].seconds,
                        text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_the_longest_line_fits(void **state)
{
    char text[PROGRESS_TEXT];

    (void)state;
    progress_format("importing", PROGRESS_MESSAGES, 99999999, 1000000000, 100, text);
    assert_non_null(strstr(text, " left"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_the_line_says),
        cmocka_unit_test(test_the_longest_line_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
