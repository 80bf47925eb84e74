/* From octets to lines and words, and numbers. */
#include <event2/buffer.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pop3d/line.h"
#include "pop3d/number.h"

static struct line line;

static void expect_line(struct evbuffer *input, bool *skipping, const char *text)
{
    assert_int_equal(line_peek(input, skipping, &line), LINE_OK);
    assert_string_equal(line.text, text);
    assert_int_equal(line.length, strlen(text));
    line_drop(input, skipping, &line, false);
}

static void test_line_ends(void **state)
{
    static const char text[] = "STAT\r\nNOOP\n\r\n\nPASS a\rb\r\nQUI";
    struct evbuffer *input = evbuffer_new();
    bool skipping = false;
    (void)state;

    evbuffer_add(input, text, strlen(text));
    expect_line(input, &skipping, "STAT");
    expect_line(input, &skipping, "NOOP");
    expect_line(input, &skipping, "");
    expect_line(input, &skipping, "");
    expect_line(input, &skipping, "PASS a\rb");
    assert_int_equal(line_peek(input, &skipping, &line), LINE_NONE);
    assert_int_equal(evbuffer_get_length(input), 3);
    evbuffer_free(input);
}

static void test_one_octet_at_a_time(void **state)
{
    static const char text[] = "RETR 1\r\n";
    struct evbuffer *input = evbuffer_new();
    bool skipping = false;
    (void)state;

    for (size_t i = 0; i < strlen(text); i++) {
        assert_int_equal(line_peek(input, &skipping, &line), LINE_NONE);
        evbuffer_add(input, text + i, 1);
    }
    expect_line(input, &skipping, "RETR 1");
    evbuffer_free(input);
}

static void test_peek_leaves_the_line(void **state)
{
    struct evbuffer *input = evbuffer_new();
    bool skipping = false;
    (void)state;

    evbuffer_add(input, "NOOP\r\n", 6);
    assert_int_equal(line_peek(input, &skipping, &line), LINE_OK);
    line_split_keyword(line.text);
    expect_line(input, &skipping, "NOOP");
    evbuffer_free(input);
}

static void test_nul_voids_a_line(void **state)
{
    struct evbuffer *input = evbuffer_new();
    bool skipping = false;
    (void)state;

    evbuffer_add(input, "QUIT\0\r\nNOOP\r\n", 13);
    assert_int_equal(line_peek(input, &skipping, &line), LINE_NUL);
    line_drop(input, &skipping, &line, false);
    expect_line(input, &skipping, "NOOP");
    evbuffer_free(input);
}

/* One answer for an over-long line, in however many pieces it comes, and the next line counts. */
static void check_too_long(size_t length, size_t piece)
{
    struct evbuffer *input = evbuffer_new();
    bool skipping = false;
    char octets[4096];

    memset(octets, 'x', sizeof(octets));
    while (length > 0) {
        size_t part = length < piece ? length : piece;
        evbuffer_add(input, octets, part);
        length -= part;
        assert_int_equal(line_peek(input, &skipping, &line), LINE_NONE);
        assert_true(evbuffer_get_length(input) < LIMIT_LONG_LINE + sizeof(octets));
    }
    evbuffer_add(input, "\r\nNOOP\r\n", 8);
    line.length = 77;
    assert_int_equal(line_peek(input, &skipping, &line), LINE_TOO_LONG);
    assert_int_equal(line.length, 0);
    line_drop(input, &skipping, &line, true);
    expect_line(input, &skipping, "NOOP");
    assert_int_equal(line_peek(input, &skipping, &line), LINE_NONE);
    evbuffer_free(input);
}

static void test_too_long(void **state)
{
    (void)state;
    check_too_long(LIMIT_LONG_LINE - 1, 4096);
    check_too_long(LIMIT_LONG_LINE, 4096);
    check_too_long(10 * LIMIT_LONG_LINE + 7, 1000);
}

static void test_longest(void **state)
{
    struct evbuffer *input = evbuffer_new();
    bool skipping = false;
    char octets[LIMIT_LONG_LINE];
    (void)state;

    memset(octets, 'x', sizeof(octets));
    memcpy(octets + sizeof(octets) - 2, "\r\n", 2);
    evbuffer_add(input, octets, sizeof(octets));
    assert_int_equal(line_peek(input, &skipping, &line), LINE_OK);
    assert_int_equal(line.length, LIMIT_LONG_LINE - 2);
    evbuffer_free(input);
}

/* The memory that held the line, not only the buffer's idea of it. */
static void test_wipe(void **state)
{
    char memory[] = "PASS secret\r\nNOOP\r\n";
    struct evbuffer *input = evbuffer_new();
    bool skipping = false;
    (void)state;

    evbuffer_add_reference(input, memory, strlen(memory), NULL, NULL);
    assert_int_equal(line_peek(input, &skipping, &line), LINE_OK);
    line_drop(input, &skipping, &line, true);
    for (size_t i = 0; i < 13; i++)
        assert_int_equal(memory[i], 0);
    expect_line(input, &skipping, "NOOP");
    evbuffer_free(input);
}

static void test_words(void **state)
{
    static const struct {
        const char *text;
        const char *keyword;
        bool whole;
        int count; /* -1: refused */
        const char *arguments[LINE_ARGUMENTS];
    } cases[] = {
        {"STAT", "STAT", false, 0, {0}},
        {"STAT ", "STAT", false, 0, {0}},
        {"STAT   ", "STAT", false, 0, {0}},
        {"RETR 1", "RETR", false, 1, {"1"}},
        {"RETR 1 ", "RETR", false, 1, {"1"}},
        {"TOP 1 2", "TOP", false, 2, {"1", "2"}},
        {"TOP 1 2 3", "TOP", false, -1, {0}},
        {"TOP  1 2", "TOP", false, -1, {0}},
        {"TOP 1  2", "TOP", false, -1, {0}},
        {"RETR\t1", "RETR\t1", false, 0, {0}},
        {"PASS a b  c ", "PASS", true, 1, {"a b  c "}},
        {"PASS ", "PASS", true, 1, {""}},
        {"PASS", "PASS", true, 0, {0}},
        {"PASS  x", "PASS", true, 1, {" x"}},
        {"", "", false, 0, {0}},
        {" QUIT", "", false, 1, {"QUIT"}},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[64];
        struct words words;
        memcpy(text, cases[i].text, strlen(cases[i].text) + 1);
        char *rest = line_split_keyword(text);
        assert_string_equal(text, cases[i].keyword);
        int result = line_split_arguments(rest, cases[i].whole, &words);
        assert_int_equal(result, cases[i].count < 0 ? -1 : 0);
        for (int j = 0; j < cases[i].count; j++)
            assert_string_equal(words.arguments[j], cases[i].arguments[j]);
        if (cases[i].count >= 0)
            assert_int_equal(words.count, cases[i].count);
    }
}

static void test_numbers_in(void **state)
{
    static const struct {
        const char *text;
        int result;
        uint64_t number;
    } cases[] = {
        {"0", 0, 0},
        {"1", 0, 1},
        {"007", 0, 7},
        {"4294967296", 0, UINT64_C(4294967296)},
        {"18446744073709551615", 0, UINT64_MAX},
        {"18446744073709551616", 0, UINT64_MAX},
        {"18446744073709551617", 0, UINT64_MAX},
        {"99999999999999999999999999999999", 0, UINT64_MAX},
        {"", -1, 0},
        {"-1", -1, 0},
        {"+1", -1, 0},
        {"1x", -1, 0},
        {"0x1", -1, 0},
        {"1.0", -1, 0},
        {"\xd9\xa1", -1, 0},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t number = 0;
        assert_int_equal(number_parse(&number, cases[i].text), cases[i].result);
        assert_true(number == cases[i].number);
    }
}

static void test_numbers_out(void **state)
{
    static const struct {
        uint64_t number;
        const char *decimal;
        const char *hex;
    } cases[] = {
        {0, "0", "0"},
        {9, "9", "9"},
        {10, "10", "a"},
        {255, "255", "ff"},
        {UINT64_C(1234567890123), "1234567890123", "11f71fb04cb"},
        {UINT64_C(9999999999999999999), "9999999999999999999", "8ac7230489e7ffff"},
        {UINT64_C(10000000000000000000), "10000000000000000000", "8ac7230489e80000"},
        {UINT64_MAX, "18446744073709551615", "ffffffffffffffff"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[NUMBER_MAX];
        assert_int_equal(number_format(text, cases[i].number), strlen(cases[i].decimal));
        assert_memory_equal(text, cases[i].decimal, strlen(cases[i].decimal));
        assert_int_equal(number_format_hex(text, cases[i].number), strlen(cases[i].hex));
        assert_memory_equal(text, cases[i].hex, strlen(cases[i].hex));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_ends),
        cmocka_unit_test(test_one_octet_at_a_time),
        cmocka_unit_test(test_peek_leaves_the_line),
        cmocka_unit_test(test_nul_voids_a_line),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_wipe),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_numbers_in),
        cmocka_unit_test(test_numbers_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
