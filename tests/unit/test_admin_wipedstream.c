#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin/wipedstream.h"

static void has_what_was_written(void **state)
{
    char *text;
    size_t length;
    FILE *file = wipedstream_open(&text, &length);
    (void)state;

    for (unsigned i = 0; i < 100000; i++) {
        fprintf(file, "%06u", i);
        if (i % 30000 != 0)
            continue;
        assert_int_equal(fflush(file), 0);
        assert_int_equal(length, 6 * (i + 1));
        assert_int_equal(strlen(text), length);
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(length, 600000);
    assert_int_equal(strlen(text), length);
    for (unsigned i = 0; i < 100000; i++) {
        char number[7];
        snprintf(number, sizeof(number), "%06u", i);
        assert_memory_equal(text + 6 * (size_t)i, number, 6);
    }
    free(text);
}

static void may_be_empty(void **state)
{
    char *text;
    size_t length;
    FILE *file = wipedstream_open(&text, &length);
    (void)state;

    assert_int_equal(fclose(file), 0);
    assert_int_equal(length, 0);
    assert_string_equal(text, "");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_what_was_written),
        cmocka_unit_test(may_be_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
