#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/search.h"

static const struct search_case {
    const char *part;
    const char *text;
    bool fits;
} texts[] = {
    {NULL, "", true},
    {NULL, "anything", true},
    {"", "anything", true},
    {"anna", "Anna Wirt", true},
    {"A W", "Anna Wirt", true},
    {"anna", "Hanna", true},
    {"anna", "Ann", false},
    {"anna", "", false},
    {"%", "100", false},
    {"_", "a", false},
    /* Beyond ASCII: another case, several letters for one, and another way to write the same. */
    {"LÖWE", "Goldener löwe", true},
    {"löwe", "GOLDENER LÖWE", true},
    {"lowe", "löwe", false},
    {"STRASSE", "Hauptstraße", true},
    {"straße", "HAUPTSTRASSE", true},
    {"lo\xcc\x88we", "Löwe", true},
    {"ΣΟΦΊΑ", "σοφία", true},
    {"софия", "СОФИЯ", true},
    {"ホテル", "東京ホテル", true},
    {"旅館", "東京ホテル", false},
    /* Younger than the tables: themselves, and what is around them is found. */
    {"\xf0\x9f\xa6\x81", "Hotel \xf0\x9f\xa6\x81", true},
    {"HOTEL", "Hotel \xf0\x9f\xa6\x81", true},
};

static const struct search_case addresses[] = {
    {"WIRT@", "wirt@xn--lwen-5qa.example", true},
    {"xn--lwen", "wirt@xn--lwen-5qa.example", true},
    {"wirt@LÖWEN.ex", "wirt@xn--lwen-5qa.example", true},
    {"löwen", "xn--lwen-5qa.example", true},
    {"löwen", "wirt@lowen.example", false},
    {"löwen", "xn--lwen@other.example", false},
    {"müller", "müller@hotel.example", true},
    /* No A-label, whatever it looks like. */
    {"ö", "a@xn--.example", false},
};

static void test_texts(void **state)
{
    struct search search;
    (void)state;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        search_begin(&search, texts[i].part);
        if (search_fits(&search, texts[i].text) != texts[i].fits)
            fail_msg("\"%s\" in \"%s\"", texts[i].part, texts[i].text);
    }
}

static void test_addresses(void **state)
{
    struct search search;
    (void)state;

    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        search_begin(&search, addresses[i].part);
        if (search_fits_address(&search, addresses[i].text) != addresses[i].fits)
            fail_msg("\"%s\" in \"%s\"", addresses[i].part, addresses[i].text);
    }
}

/* The longest that may be asked for, which grow the most, and more than that. */
static void test_what_grows_has_room(void **state)
{
    char text[SEARCH_TEXT_MAX * 2 + 1] = "";
    struct search search;
    (void)state;

    for (size_t length = 0; length + 3 < sizeof(text); length += 3)
        memcpy(text + length, "\xef\xb7\xba", 4);
    text[SEARCH_TEXT_MAX / 3 * 3] = '\0';
    search_begin(&search, text);
    assert_int_equal(strlen(search.folded), SEARCH_TEXT_MAX / 3 * 33);
    assert_true(search_fits(&search, text));
    memset(text, 'A', sizeof(text) - 1);
    search_begin(&search, text);
    assert_int_equal(strlen(search.folded), SEARCH_TEXT_MAX);
    assert_true(search_fits(&search, text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_what_grows_has_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
