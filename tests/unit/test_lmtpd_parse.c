#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lmtpd/parse.h"

#define LONG_64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONG_250                                                                                   \
    LONG_64 LONG_64 LONG_64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct text text_of(const char *text)
{
    return (struct text){text, strlen(text)};
}

static void assert_text(struct text text, const char *expected)
{
    assert_int_equal(text.length, strlen(expected));
    assert_memory_equal(text.at, expected, text.length);
}

static const struct path_case {
    const char *arguments;
    const char *path; /* NULL: refused */
    const char *rest;
    bool sender;
} path_cases[] = {
    {"FROM:<>", "", "", true},
    {"from:<a@b.example> SIZE=1", "a@b.example", " SIZE=1", true},
    {"FROM:  <a@b.example>", "a@b.example", "", true},
    {"FROM:<a@[192.0.2.1]>", "a@[192.0.2.1]", "", true},
    {"FROM:<@one.example,@two.example:a@b.example>", "a@b.example", "", true},
    {"FROM:<\"a>b \\\" @\"@b.example>x", "\"a>b \\\" @\"@b.example", "x", true},
    {"FROM:<\"a\\>@b\"@c.example>", "\"a\\>@b\"@c.example", "", true},
    {"FROM:<\xc3\xa4@b.example>", "\xc3\xa4@b.example", "", true},
    {"FROM:<a@\xc3\xa4.example>", "a@\xc3\xa4.example", "", true},
    {"FROM:<\xe4@b.example>", "\xe4@b.example", "", false},
    {"FROM:<a@b.ex\xc3>", "a@b.ex\xc3", "", false},
    {"FROM:<\xc0\x80@b.example>", "\xc0\x80@b.example", "", false},
    {"FROM:<\xed\xa0\x80@b.example>", "\xed\xa0\x80@b.example", "", false},
    {"FROM:<a>", "a", "", false},
    {"FROM:<a@>", "a@", "", false},
    {"FROM:<@>", NULL, NULL, false},
    {"FROM:<a@b@c.example>", "a@b@c.example", "", false},
    {"FROM:<" LONG_250 "@b.c>", LONG_250 "@b.c", "", true},
    {"FROM:<" LONG_250 "@bc.d>", NULL, NULL, false},
    {"FROM:a@b.example", NULL, NULL, false},
    {"FROM:<a@b.example", NULL, NULL, false},
    {"FROM:<a b@c.example>", NULL, NULL, false},
    {"FROM:<a\t@c.example>", NULL, NULL, false},
    {"FROM:<a\x7f@c.example>", NULL, NULL, false},
    {"FROM:<\"a@b.example>", NULL, NULL, false},
    {"FROM:<\"a\\", NULL, NULL, false},
    {"FROM <a@b.example>", NULL, NULL, false},
    {"TO:<a@b.example>", NULL, NULL, false},
    {"FROM:", NULL, NULL, false},
    {"FRO", NULL, NULL, false},
    {"", NULL, NULL, false},
};

static void parses_paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(path_cases) / sizeof(path_cases[0]); i++) {
        const struct path_case *test = &path_cases[i];
        struct text arguments = text_of(test->arguments);
        struct text path;
        assert_int_equal(parse_path(&arguments, "FROM:", &path), test->path != NULL ? 0 : -1);
        if (test->path == NULL)
            continue;
        assert_text(path, test->path);
        assert_text(arguments, test->rest);
        assert_int_equal(parse_sender(path), test->sender);
    }
}

static const struct parameter_case {
    const char *arguments;
    const char *keyword; /* NULL: none, or malformed */
    const char *value;   /* NULL: no value */
    int result;
} parameter_cases[] = {
    {"", NULL, NULL, 0},           {"  ", NULL, NULL, 0},
    {" SIZE=12", "SIZE", "12", 1}, {"  SMTPUTF8  BODY=7BIT", "SMTPUTF8", NULL, 1},
    {" X-1=a;b", "X-1", "a;b", 1}, {"SIZE=12", NULL, NULL, -1},
    {" SIZE=", NULL, NULL, -1},    {" =12", NULL, NULL, -1},
    {" A=b=c", NULL, NULL, -1},    {" -A", NULL, NULL, -1},
    {" A_B", NULL, NULL, -1},      {" A=\x01", NULL, NULL, -1},
    {" <", NULL, NULL, -1},
};

static void parses_parameters(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(parameter_cases) / sizeof(parameter_cases[0]); i++) {
        const struct parameter_case *test = &parameter_cases[i];
        struct text arguments = text_of(test->arguments);
        struct parameter parameter;
        assert_int_equal(parse_parameter(&arguments, &parameter), test->result);
        if (test->result != 1)
            continue;
        assert_text(parameter.keyword, test->keyword);
        if (test->value != NULL)
            assert_text(parameter.value, test->value);
        else
            assert_null(parameter.value.at);
    }
}

static const struct size_case {
    const char *text;
    int result;
    uint64_t size;
} size_cases[] = {
    {"0", 0, 0},
    {"8192", 0, 8192},
    {"00000000000000000007", 0, 7},
    {"18446744073709551615", 0, UINT64_MAX},
    {"18446744073709551616", 0, UINT64_MAX},
    {"99999999999999999999", 0, UINT64_MAX},
    {"100000000000000000000", -1, 0},
    {"", -1, 0},
    {"-1", -1, 0},
    {"1k", -1, 0},
};

static void parses_sizes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(size_cases) / sizeof(size_cases[0]); i++) {
        uint64_t size = 0;
        assert_int_equal(parse_size(text_of(size_cases[i].text), &size), size_cases[i].result);
        assert_int_equal(size, size_cases[i].size);
    }
}

static void knows_words_and_hosts(void **state)
{
    struct text text = text_of("noop  and more");
    (void)state;

    assert_true(text_is(parse_word(&text), "NOOP"));
    assert_text(text, "and more");
    assert_false(text_is(text_of("NOO"), "NOOP"));
    assert_false(text_is(text_of("NOOPE"), "NOOP"));
    assert_true(parse_host(text_of("mx-1.example")));
    assert_true(parse_host(text_of("[IPv6:2001:db8::1]")));
    assert_false(parse_host(text_of("")));
    assert_false(parse_host(text_of("a(b")));
    assert_false(parse_host((struct text){"a\0b", 3}));
    assert_false(parse_host(text_of(LONG_250 "aaaaaa")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_paths),
        cmocka_unit_test(parses_parameters),
        cmocka_unit_test(parses_sizes),
        cmocka_unit_test(knows_words_and_hosts),
    };
    return cmocka_run_group_tests_name("lmtpd parse", tests, NULL, NULL);
}
