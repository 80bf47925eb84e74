#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "authd/fields.h"

static const struct {
    const char *line;
    size_t length;      /* 0: up to the NUL */
    const char *fields; /* joined with '|' */
} good[] = {
    {"VERSION\t1\t0", 0, "VERSION|1|0"},
    {"AUTH\t7\tPLAIN\tservice=pop3\tsecured\tresp=AA==", 0,
     "AUTH|7|PLAIN|service=pop3|secured|resp=AA=="},
    {"CONT\t7\t", 0, "CONT|7|"},
    {"", 0, ""},
    {"\t\t", 0, "||"},
    {"a\x01t\x01n\x01rb\x01"
     "1c",
     0,
     "a\t\n\rb\x01"
     "c"},
    {"\x01"
     "1t",
     0, "\x01t"},
    {"user=\xc3\xbc", 0, "user=\xc3\xbc"},
    {"CPID\t5 and more", 6, "CPID|5"},
};

static const struct {
    const char *line;
    size_t length;
} bad[] = {
    {"AUTH\t7\x01", 0},
    {"AUTH\x01\t7", 0},
    {"a\x01x", 0},
    {"a\x01\x01", 0},
    {"a\x01"
     "0b",
     0},
    {"a\0b", 3},
    {"\0", 1},
};

/* On the heap with exactly the room that the contract asks for. */
static char *copy_line(const char *line, size_t length)
{
    char *copy = malloc(length + 1);

    memcpy(copy, line, length);
    copy[length] = '\n';
    return copy;
}

static void test_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        size_t length = good[i].length > 0 ? good[i].length : strlen(good[i].line);
        char *line = copy_line(good[i].line, length);
        char *fields[FIELDS_MAX];
        char joined[256];
        size_t used = 0;
        int count = fields_split(line, length, fields);
        assert_true(count >= 1);
        for (int j = 0; j < count; j++) {
            used += (size_t)snprintf(joined + used, sizeof(joined) - used, "%s%s", j > 0 ? "|" : "",
                                     fields[j]);
        }
        assert_string_equal(joined, good[i].fields);
        free(line);
    }
}

static void test_split_refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        size_t length = bad[i].length > 0 ? bad[i].length : strlen(bad[i].line);
        char *line = copy_line(bad[i].line, length);
        char *fields[FIELDS_MAX];
        assert_int_equal(fields_split(line, length, fields), -1);
        free(line);
    }
}

static void test_split_limit(void **state)
{
    char line[FIELDS_MAX + 1];
    char *fields[FIELDS_MAX];

    (void)state;
    memset(line, '\t', sizeof(line));
    assert_int_equal(fields_split(line, FIELDS_MAX - 1, fields), FIELDS_MAX);
    memset(line, '\t', sizeof(line));
    assert_int_equal(fields_split(line, FIELDS_MAX, fields), -1);
}

static void test_find(void **state)
{
    char *fields[] = {"AUTH", "1", "rip=x", "ripe=1", "rip", "rip=10.0.0.1", "rip=2", "resp="};

    (void)state;
    assert_string_equal(fields_find(fields, 8, 3, "rip"), "10.0.0.1");
    assert_string_equal(fields_find(fields, 8, 3, "resp"), "");
    assert_null(fields_find(fields, 7, 3, "resp"));
    assert_null(fields_find(fields, 8, 3, "ri"));
}

static void test_escape(void **state)
{
    static const char text[] = "a\tb\nc\rd\x01"
                               "e\0f";
    char escaped[FIELDS_ESCAPED_SIZE(sizeof(text))];

    (void)state;
    assert_int_equal(fields_escape(escaped, text, sizeof(text) - 1), 15);
    assert_string_equal(escaped, "a\x01tb\x01nc\x01rd\x01"
                                 "1e?f");
    assert_int_equal(fields_escape(escaped, "", 0), 0);
    assert_string_equal(escaped, "");
}

static void test_number(void **state)
{
    static const char *const refused[] = {"",   " 1", "+1", "-1",         "0x1",
                                          "1 ", "1a", "a",  "4294967296", "99999999999999999999"};
    unsigned number;

    (void)state;
    assert_int_equal(fields_number("0", &number), 0);
    assert_int_equal(number, 0);
    assert_int_equal(fields_number("4294967295", &number), 0);
    assert_true(number == 4294967295U);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        assert_int_equal(fields_number(refused[i], &number), -1);
}

/* Whatever comes in: no read or write outside, and what is taken comes back when it is escaped. */
static void test_noise(void **state)
{
    static const char signs[] = "\t\x01\x01"
                                "1tnr0x=\n\r";
    uint32_t seed = 1;

    (void)state;
    for (int round = 0; round < 50000; round++) {
        char noise[24];
        for (size_t i = 0; i < sizeof(noise); i++) {
            seed = seed * 1664525 + 1013904223;
            noise[i] = signs[(seed >> 16) % sizeof(signs)];
        }
        size_t length = (seed >> 8) % sizeof(noise);
        char *line = copy_line(noise, length);
        char *fields[FIELDS_MAX];
        int count = fields_split(line, length, fields);
        for (int i = 0; i < count; i++) {
            char escaped[FIELDS_ESCAPED_SIZE(sizeof(noise))];
            char *again[FIELDS_MAX];
            size_t size = fields_escape(escaped, fields[i], strlen(fields[i]));
            assert_int_equal(fields_split(escaped, size, again), 1);
            assert_string_equal(again[0], fields[i]);
        }
        free(line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),       cmocka_unit_test(test_split_refuses),
        cmocka_unit_test(test_split_limit), cmocka_unit_test(test_find),
        cmocka_unit_test(test_escape),      cmocka_unit_test(test_number),
        cmocka_unit_test(test_noise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
