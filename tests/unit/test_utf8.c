#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/utf8.h"
#include "lib/xalloc.h"

#define UNTOUCHED 0xffffffff

static const struct decode_case {
    const char *text;
    size_t length;
    size_t size; /* 0: no character */
    uint32_t character;
} decode_cases[] = {
    {"", 0, 0, UNTOUCHED},
    {"\0", 1, 1, 0},
    {"a", 1, 1, 'a'},
    {"ab", 2, 1, 'a'},
    {"\x7f", 1, 1, 0x7f},
    /* The first and the last of each length. */
    {"\xc2\x80", 2, 2, 0x80},
    {"\xdf\xbf", 2, 2, 0x7ff},
    {"\xe0\xa0\x80", 3, 3, 0x800},
    {"\xef\xbf\xbf", 3, 3, 0xffff},
    {"\xf0\x90\x80\x80", 4, 4, 0x10000},
    {"\xf4\x8f\xbf\xbf", 4, 4, 0x10ffff},
    {"\xc3\xa4xyz", 5, 2, 0xe4},
    /* The neighbours of the surrogates, and these. */
    {"\xed\x9f\xbf", 3, 3, 0xd7ff},
    {"\xed\xa0\x80", 3, 0, UNTOUCHED},
    {"\xed\xbf\xbf", 3, 0, UNTOUCHED},
    {"\xee\x80\x80", 3, 3, 0xe000},
    /* Above U+10FFFF. */
    {"\xf4\x90\x80\x80", 4, 0, UNTOUCHED},
    {"\xf5\x80\x80\x80", 4, 0, UNTOUCHED},
    {"\xf7\xbf\xbf\xbf", 4, 0, UNTOUCHED},
    /* Forms that are not the shortest. */
    {"\xc0\x80", 2, 0, UNTOUCHED},
    {"\xc0\xaf", 2, 0, UNTOUCHED},
    {"\xc1\xbf", 2, 0, UNTOUCHED},
    {"\xe0\x80\xaf", 3, 0, UNTOUCHED},
    {"\xe0\x9f\xbf", 3, 0, UNTOUCHED},
    {"\xf0\x80\x80\x80", 4, 0, UNTOUCHED},
    {"\xf0\x8f\xbf\xbf", 4, 0, UNTOUCHED},
    /* Octets that begin nothing. */
    {"\x80", 1, 0, UNTOUCHED},
    {"\xbf", 1, 0, UNTOUCHED},
    {"\xf8\x88\x80\x80\x80", 5, 0, UNTOUCHED},
    {"\xfc\x84\x80\x80\x80\x80", 6, 0, UNTOUCHED},
    {"\xfe", 1, 0, UNTOUCHED},
    {"\xff", 1, 0, UNTOUCHED},
    /* Cut short. */
    {"\xc3", 1, 0, UNTOUCHED},
    {"\xe2\x82", 2, 0, UNTOUCHED},
    {"\xf0\x9f\x98", 3, 0, UNTOUCHED},
    /* Something else where the character should go on. */
    {"\xc3(", 2, 0, UNTOUCHED},
    {"\xc3\xc3", 2, 0, UNTOUCHED},
    {"\xe2(\xac", 3, 0, UNTOUCHED},
    {"\xe2\x82(", 3, 0, UNTOUCHED},
    {"\xf0(\x98\x80", 4, 0, UNTOUCHED},
    {"\xf0\x9f(\x80", 4, 0, UNTOUCHED},
    {"\xf0\x9f\x98(", 4, 0, UNTOUCHED},
};

/* A copy of exactly this size lets the sanitizer see a read past it. */
static char *copy_of(const char *text, size_t length)
{
    char *copy = xmalloc(length);

    memcpy(copy, text, length);
    return copy;
}

static void decodes_one_character(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(decode_cases) / sizeof(decode_cases[0]); i++) {
        const struct decode_case *test = &decode_cases[i];
        char *copy = copy_of(test->text, test->length);
        uint32_t character = UNTOUCHED;
        size_t size = utf8_decode(copy, test->length, &character);
        if (size != test->size || character != test->character)
            fail_msg("case %zu: %zu octets, U+%04X", i, size, character);
        free(copy);
    }
}

static void checks_every_character_that_there_is(void **state)
{
    (void)state;
    for (uint32_t character = 0x80; character < 0x200000; character++) {
        char text[4];
        size_t length = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
        uint32_t decoded = 0;
        for (size_t i = length; i-- > 1;)
            text[i] = (char)(0x80 | (character >> 6 * (length - 1 - i) & 0x3f));
        text[0] = (char)(0xf00U >> length | character >> 6 * (length - 1));
        bool good = character <= 0x10ffff && (character < 0xd800 || character > 0xdfff);
        if (utf8_decode(text, length, &decoded) != (good ? length : 0) ||
            decoded != (good ? character : 0))
            fail_msg("U+%04X", character);
    }
}

static const struct valid_case {
    const char *text;
    size_t length;
    bool valid;
} valid_cases[] = {
    {"", 0, true},
    {"plain", 5, true},
    {"a\0b", 3, true},
    {"f\xc3\xa4hre \xe2\x82\xac \xf0\x9f\x98\x80", 15, true},
    {"f\xe4hre", 5, false},
    {"\xff"
     "abc",
     4, false},
    {"abc\xc3", 4, false},
    {"abc\xc3\xa4\xa4", 6, false},
};

static void checks_whole_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(valid_cases) / sizeof(valid_cases[0]); i++) {
        char *copy = copy_of(valid_cases[i].text, valid_cases[i].length);
        if (utf8_is_valid(copy, valid_cases[i].length) != valid_cases[i].valid)
            fail_msg("case %zu", i);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_one_character),
        cmocka_unit_test(checks_every_character_that_there_is),
        cmocka_unit_test(checks_whole_texts),
    };
    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
