#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <string.h>

#include "cli/uniqueid.h"

static void one_that_comes_again_is_another(void **state)
{
    struct uniqueids *set = uniqueids_new();
    char id[UNIQUEID_SIZE], longest[UNIQUEID_SIZE];
    (void)state;

    assert_true(uniqueids_add(set, "a", 1, id));
    assert_string_equal(id, "a");
    assert_true(uniqueids_add(set, "a-2", 3, id));
    assert_false(uniqueids_add(set, "a", 1, id));
    assert_string_equal(id, "a-2-2");
    assert_false(uniqueids_add(set, "a", 1, id));
    assert_string_equal(id, "a-3");
    memset(longest, 'x', sizeof(longest));
    assert_true(uniqueids_add(set, longest, STORE_UNIQUE_ID_MAX, id));
    assert_false(uniqueids_add(set, longest, STORE_UNIQUE_ID_MAX, id));
    assert_int_equal(strlen(id), 32);
    uniqueids_free(set);
}

static const struct {
    const char *text;
    size_t length;
} bad[] = {{"", 0}, {" ", 1}, {"a b", 3}, {"a\0b", 3}, {"\x7f", 1}, {"\xc3\xa4", 2}, {"a\n", 2}};

static void what_is_none_gives_the_same_each_time(void **state)
{
    char first[UNIQUEID_SIZE], second[UNIQUEID_SIZE];
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct uniqueids *one = uniqueids_new(), *other = uniqueids_new();
        assert_false(uniqueid_is_valid(bad[i].text, bad[i].length));
        assert_false(uniqueids_add(one, bad[i].text, bad[i].length, first));
        assert_false(uniqueids_add(other, bad[i].text, bad[i].length, second));
        assert_true(uniqueid_is_valid(first, strlen(first)));
        assert_string_equal(first, second);
        uniqueids_free(one);
        uniqueids_free(other);
    }
}

static void names_of_files_are_escaped(void **state)
{
    char id[UNIQUEID_SIZE], name[200];
    (void)state;

    uniqueid_from_name("1.a,S=5", 7, id);
    assert_string_equal(id, "1.a,S=5");
    uniqueid_from_name("a b'\"+\xff", 7, id);
    assert_string_equal(id, "a+20b+27+22+2B+FF");
    memset(name, ' ', sizeof(name));
    uniqueid_from_name(name, 23, id);
    assert_int_equal(strlen(id), 69);
    uniqueid_from_name(name, 24, id);
    assert_int_equal(strlen(id), 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_comes_again_is_another),
        cmocka_unit_test(what_is_none_gives_the_same_each_time),
        cmocka_unit_test(names_of_files_are_escaped),
    };

    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
