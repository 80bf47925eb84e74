#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>

#include "lib/jsontexts.h"

static const struct {
    const char *joined;
    char separator;
    const char *list;
} cases[] = {
    {"", ' ', "[]"},
    {"192.0.2.1", ' ', "[\"192.0.2.1\"]"},
    {"192.0.2.0/24 2001:db8::/48", ' ', "[\"192.0.2.0/24\",\"2001:db8::/48\"]"},
    {"  192.0.2.1   ::1 ", ' ', "[\"192.0.2.1\",\"::1\"]"},
    {"address.add,customer.*", ',', "[\"address.add\",\"customer.*\"]"},
    {"a b,c", ',', "[\"a b\",\"c\"]"},
    {",", ',', "[]"},
};

static void test_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *list = jsontexts_split(cases[i].joined, cases[i].separator);
        char *text = json_dumps(list, JSON_COMPACT);
        assert_string_equal(text, cases[i].list);
        free(text);
        json_decref(list);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_split)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
