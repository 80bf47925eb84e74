#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/moment.h"

#define NOW UINT64_C(1795365231) /* 2026-11-22T16:33:51Z */

static const struct {
    const char *text;
    int result;
    uint64_t moment;
} cases[] = {
    {"2026-11-22T16:33:51Z", 0, NOW},
    {"2026-11-22", 0, NOW - 59631},
    {"1970-01-01", 0, 0},
    {"0m", 0, NOW},
    {"90m", 0, NOW - 5400},
    {"12h", 0, NOW - 43200},
    {"7d", 0, NOW - 604800},
    {"876000d", 0, 0},
    {"", -1, 0},
    {"d", -1, 0},
    {"-1d", -1, 0},
    {"7 d", -1, 0},
    {"7w", -1, 0},
    {"876001d", -1, 0},
    {"99999999999999d", -1, 0},
    {"2026-02-30", -1, 0},
    {"2026-1-2", -1, 0},
    {"2026-11-22T16:33:51", -1, 0},
    {"2026-11-22T16:33:51+01:00", -1, 0},
    {"2026-11-22 16:33:51Z", -1, 0},
    {"2026-11-22T25:00:00Z", -1, 0},
    {"1969-12-31", -1, 0},
    {"yesterday", -1, 0},
};

static void parses_a_moment(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t moment = 0;
        if (moment_parse(cases[i].text, NOW, &moment) != cases[i].result ||
            moment != cases[i].moment)
            fail_msg("\"%s\"", cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parses_a_moment)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
