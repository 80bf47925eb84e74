#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/address.h"

#define TEN  "1234567890"
#define A_63 TEN TEN TEN TEN TEN TEN "abc"
#define A_64 A_63 "d"
/* 63 + 1 + 63 + 1 + 63 + 1 + 61: the longest domain that there is */
#define D_253 A_63 "." A_63 "." A_63 "." TEN TEN TEN TEN TEN TEN "x"

struct row {
    const char *input;
    size_t length; /* 0: up to the NUL */
    const char *text;
};

static const struct row good[] = {
    {"anna@example.com", 0, "anna@example.com"},
    {"Anna.Berg@Example.COM", 0, "anna.berg@example.com"},
    {"a!#$%&'*+-/=?^_`{|}~z@a.b", 0, "a!#$%&'*+-/=?^_`{|}~z@a.b"},
    {"front-desk+late@4you.example", 0, "front-desk+late@4you.example"},
    {"\"anna.berg\"@example.com", 0, "anna.berg@example.com"},
    {"\"\\A\\nna\"@example.com", 0, "anna@example.com"},
    {"\"anna berg\"@example.com", 0, "\"anna berg\"@example.com"},
    {"\"Anna@Home\"@example.com", 0, "\"anna@home\"@example.com"},
    {"\"a\\\"b\\\\c\\ d\"@example.com", 0, "\"a\\\"b\\\\c d\"@example.com"},
    {"\"a..b\"@example.com", 0, "\"a..b\"@example.com"},
    {"\".a\"@example.com", 0, "\".a\"@example.com"},
    {"\"\"@example.com", 0, "\"\"@example.com"},
    {"\xc3\xa9mile@example.com", 0, "\xc3\xa9mile@example.com"},
    {"e\xcc\x81mile@example.com", 0, "\xc3\xa9mile@example.com"}, /* decomposed */
    {"\xef\xbd\x81nna@example.com", 0, "anna@example.com"},       /* fullwidth */
    {"\xc3\x89mile@example.com", 0, "\xc3\x89mile@example.com"},
    {"\xf0\x9f\x90\x8c@example.com", 0, "\xf0\x9f\x90\x8c@example.com"},
    {"\"\xc3\xa9 x\"@example.com", 0, "\"\xc3\xa9 x\"@example.com"},
    {"info@b\xc3\xbc"
     "cher.example",
     0, "info@xn--bcher-kva.example"},
    {"info@B\xc3\x9c"
     "CHER.example",
     0, "info@xn--bcher-kva.example"},
    {"info@bu\xcc\x88"
     "cher.example",
     0, "info@xn--bcher-kva.example"},
    {"info@XN--Bcher-KVA.example", 0, "info@xn--bcher-kva.example"},
    {"info@fa\xc3\x9f.example", 0, "info@xn--fa-hia.example"},
    {"info@\xe4\xbe\x8b\xe3\x80\x82\xe4\xbe\x8b", 0, "info@xn--fsq.xn--fsq"},
    {"a@ab--cd.example", 0, "a@ab--cd.example"},
    {"a@1.2.3.x4", 0, "a@1.2.3.x4"},
    {A_64 "@example.com", 0, A_64 "@example.com"},
    {"\"" A_64 "\"@example.com", 0, A_64 "@example.com"},
    {"a@" A_63 ".example", 0, "a@" A_63 ".example"},
    {"a@" D_253, 0, "a@" D_253},
    {"a@b.c and more", 5, "a@b.c"},
};

static const struct row bad[] = {
    {"", 0, NULL},
    {"anna", 0, NULL},
    {"@example.com", 0, NULL},
    {"anna@", 0, NULL},
    {"anna@example", 0, NULL},
    {"anna@@example.com", 0, NULL},
    {"anna@home@example.com", 0, NULL},
    {".anna@example.com", 0, NULL},
    {"anna.@example.com", 0, NULL},
    {"an..na@example.com", 0, NULL},
    {"an na@example.com", 0, NULL},
    {" anna@example.com", 0, NULL},
    {"anna @example.com", 0, NULL},
    {"anna@ example.com", 0, NULL},
    {"anna@example.com ", 0, NULL},
    {"anna@example.com\r", 0, NULL},
    {"anna@example.com\n", 0, NULL},
    {"<anna@example.com>", 0, NULL},
    {"Anna <anna@example.com>", 0, NULL},
    {"@relay.example:anna@example.com", 0, NULL},
    {"an(c)na@example.com", 0, NULL},
    {"an\\na@example.com", 0, NULL},
    {"an\tna@example.com", 0, NULL},
    {"an\x01na@example.com", 0, NULL},
    {"an\x7fna@example.com", 0, NULL},
    {"an\0na@example.com", 18, NULL},
    {"anna@exam\0ple.com", 17, NULL},
    {"anna@b\xc3\xbc\0.example", 16, NULL},
    {"\"anna@example.com", 0, NULL},
    {"\"an\"na@example.com", 0, NULL},
    {"\"an\"\"na\"@example.com", 0, NULL},
    {"an\"na\"@example.com", 0, NULL},
    {"\"anna\\\"@example.com", 0, NULL},
    {"\"an\x01na\"@example.com", 0, NULL},
    {"\"an\\\x01na\"@example.com", 0, NULL},
    {"\"an\rna\"@example.com", 0, NULL},
    {"\"@example.com", 0, NULL},
    {"\"\xc3\"@example.com", 0, NULL},
    {"\x80@example.com", 0, NULL},
    {"\xc3@example.com", 0, NULL},
    {"\xc0\xaf@example.com", 0, NULL}, /* overlong */
    {"a\xef\xbc\xa0"
     "b@example.com",
     0, NULL},                                 /* a fullwidth "@" */
    {"\xc2\xad@example.com", 0, NULL},         /* nothing but a soft hyphen */
    {"\xe0\x80\xaf@example.com", 0, NULL},     /* overlong */
    {"\xed\xa0\x80@example.com", 0, NULL},     /* surrogate */
    {"\xf4\x90\x80\x80@example.com", 0, NULL}, /* above U+10FFFF */
    {"\xff@example.com", 0, NULL},
    {"\xc2\x85@example.com", 0, NULL}, /* control character U+0085 */
    {"anna@.example.com", 0, NULL},
    {"anna@example.com.", 0, NULL},
    {"anna@example..com", 0, NULL},
    {"anna@-example.com", 0, NULL},
    {"anna@example-.com", 0, NULL},
    {"anna@exa_mple.com", 0, NULL},
    {"anna@exa/mple.com", 0, NULL},
    {"anna@[192.0.2.1]", 0, NULL},
    {"anna@[IPv6:2001:db8::1]", 0, NULL},
    {"anna@192.0.2.1", 0, NULL},
    {"anna@b\xc3\xbc", 0, NULL},
    {"anna@b\xc3.example", 0, NULL},
    {"anna@xn--\x81.example", 0, NULL},
    {"anna@xn--a\xc3\xbc.example", 0, NULL},
    {"anna@xn--0.example", 0, NULL},
    {"anna@\xc3\xbc_x.example", 0, NULL},
    {"anna@\xe2\x80\x8b\xc3\xbc .example", 0, NULL},
    {A_64 "e@example.com", 0, NULL},
    {"\"" A_63 " \"@example.com", 0, NULL},
    {"a@" A_64 ".example", 0, NULL},
    {"a@x" D_253, 0, NULL},
};

static size_t row_length(const struct row *row)
{
    return row->length > 0 ? row->length : strlen(row->input);
}

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct address address;
        const char *error = NULL;
        if (address_parse(&address, good[i].input, row_length(&good[i]), &error) < 0)
            fail_msg("%s: %s", good[i].input, error);
        assert_string_equal(address.text, good[i].text);
        const char *at = strrchr(good[i].text, '@');
        assert_string_equal(address.domain, at + 1);
        assert_int_equal(strlen(address.local), at - good[i].text);
        assert_memory_equal(address.local, good[i].text, strlen(address.local));
    }
}

/* The stored form is a fixed point: what was parsed once parses to itself. */
static void test_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct address address;
        const char *error;
        assert_int_equal(address_parse(&address, good[i].text, strlen(good[i].text), &error), 0);
        assert_string_equal(address.text, good[i].text);
    }
}

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct address address;
        const char *error = NULL;
        if (address_parse(&address, bad[i].input, row_length(&bad[i]), &error) == 0)
            fail_msg("row %zu, %s, was taken as %s", i, bad[i].input, address.text);
        assert_non_null(error);
    }
}

/* An input of its exact size on the heap, so that a sanitizer sees a read behind its end. */
static void test_every_prefix(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        for (size_t length = 0; length <= row_length(&good[i]); length++) {
            struct address address;
            const char *error;
            char *input = malloc(length > 0 ? length : 1);
            memcpy(input, good[i].input, length);
            (void)address_parse(&address, input, length, &error);
            free(input);
        }
}

static void test_noise(void **state)
{
    static const char signs[] = "a.@\"\\-x\xc3\xbc\xe3\x80\x82 1[n\x01";
    uint32_t seed = 1;

    (void)state;
    for (int round = 0; round < 50000; round++) {
        char input[24];
        for (size_t i = 0; i < sizeof(input); i++) {
            seed = seed * 1664525 + 1013904223;
            input[i] = signs[(seed >> 16) % (sizeof(signs) - 1)];
        }
        struct address address;
        struct address again;
        const char *error;
        if (address_parse(&address, input, seed % sizeof(input), &error) < 0)
            continue;
        assert_int_equal(address_parse(&again, address.text, strlen(address.text), &error), 0);
        assert_string_equal(address.text, again.text);
    }
}

static void test_domain(void **state)
{
    char domain[ADDRESS_DOMAIN_MAX + 1];
    const char *error;

    (void)state;
    assert_int_equal(address_parse_domain(domain, "Example.COM", 11, &error), 0);
    assert_string_equal(domain, "example.com");
    assert_int_equal(address_parse_domain(domain, "localhost", 9, &error), -1);
    assert_int_equal(address_parse_domain(domain, "", 0, &error), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),  cmocka_unit_test(test_again),
        cmocka_unit_test(test_bad),   cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_noise), cmocka_unit_test(test_domain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
