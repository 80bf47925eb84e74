#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/adminlogin.h"

static void reads_logins_as_people_type_them(void **state)
{
    static const struct {
        const char *text;
        const char *login; /* NULL: it is none */
    } cases[] = {{"Anna", "anna"},
                 {"anna@7", "anna@7"},
                 {"A.b-c_1@10", "a.b-c_1@10"},
                 {"", NULL},
                 {"@7", NULL},
                 {"anna@", NULL},
                 {"anna@hotel.example", NULL},
                 {"anna@7x", NULL},
                 {".anna", NULL},
                 {"an na", NULL},
                 {"\xc3\xa4nna", NULL},
                 {"anna@1234567890123456789", NULL}};
    char login[ADMINLOGIN_MAX + 1];
    char longest[ADMINLOGIN_NAME_MAX + 2];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int parsed = adminlogin_parse(login, cases[i].text);
        assert_int_equal(parsed, cases[i].login == NULL ? -1 : 0);
        if (parsed == 0) {
            assert_string_equal(login, cases[i].login);
        }
    }
    memset(longest, 'a', sizeof(longest));
    longest[ADMINLOGIN_NAME_MAX + 1] = '\0';
    assert_int_equal(adminlogin_parse(login, longest), -1);
    longest[ADMINLOGIN_NAME_MAX] = '\0';
    assert_int_equal(adminlogin_parse(login, longest), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_logins_as_people_type_them)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
