#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "authd/proxyquery.h"

#define HEAD "GET / HTTP/1.0\r\n"

/* Exactly so large, so that a look behind it is found. */
static enum proxyquery_result parse(const char *text, size_t length, struct proxyquery *query_r)
{
    char *copy = malloc(length > 0 ? length : 1);

    memcpy(copy, text, length);
    enum proxyquery_result result = proxyquery_parse(copy, length, query_r);
    free(copy);
    return result;
}

static void test_what_nginx_asks(void **state)
{
    static const char text[] = "GET /auth HTTP/1.0\r\n"
                               "Host: localhost\r\n"
                               "Auth-Method: plain\r\n"
                               "Auth-User: desk@hotel.example\r\n"
                               "Auth-Pass: a%20key%25%C3%BC\r\n"
                               "Auth-Protocol: pop3\r\n"
                               "Auth-Login-Attempt: 2\r\n"
                               "Client-IP: 2001:db8::7\r\n"
                               "Client-Host: [UNAVAILABLE]\r\n"
                               "Auth-SSL: on\r\n\r\n";
    struct proxyquery query;

    (void)state;
    for (size_t length = 0; length < sizeof(text) - 1; length++)
        assert_int_equal(parse(text, length, &query), PROXYQUERY_PART);
    assert_int_equal(parse(text, sizeof(text) - 1, &query), PROXYQUERY_WHOLE);
    assert_string_equal(query.method, "plain");
    assert_string_equal(query.name, "desk@hotel.example");
    assert_string_equal(query.password, "a key%\xc3\xbc");
    assert_string_equal(query.protocol, "pop3");
    assert_string_equal(query.address, "2001:db8::7");
    assert_int_equal(query.attempt, 2);
}

static const struct {
    const char *text;
    enum proxyquery_result result;
} cases[] = {
    {HEAD "\r\n", PROXYQUERY_WHOLE},
    {HEAD "auth-user:x\r\nAUTH-PASS:   y\r\n\r\n", PROXYQUERY_WHOLE},
    {HEAD "Auth-User:\r\n\r\n", PROXYQUERY_WHOLE},
    {HEAD "Auth-Login-Attempt: 99999999999\r\n\r\n", PROXYQUERY_WHOLE},
    {HEAD "Auth-User: x\r\n\r\nmore", PROXYQUERY_WHOLE},
    {HEAD "\n\n", PROXYQUERY_PART},
    {"\r\n\r\n", PROXYQUERY_BAD},
    {"POST / HTTP/1.0\r\n\r\n", PROXYQUERY_BAD},
    {HEAD "Auth-User\r\n\r\n", PROXYQUERY_BAD},
    {HEAD "Auth-User: x\r\nAuth-User: y\r\n\r\n", PROXYQUERY_BAD},
    {HEAD "Auth-Pass: %\r\n\r\n", PROXYQUERY_BAD},
    {HEAD "Auth-Pass: %4\r\n\r\n", PROXYQUERY_BAD},
    {HEAD "Auth-Pass: %4g\r\n\r\n", PROXYQUERY_BAD},
    {HEAD "Auth-Protocol: %00\r\n\r\n", PROXYQUERY_BAD},
    {HEAD "Auth-Pass: %00%4\r\n\r\n", PROXYQUERY_BAD},
    {HEAD "Auth-Login-Attempt: -1\r\n\r\n", PROXYQUERY_BAD},
    {HEAD "Auth-Login-Attempt:\r\n\r\n", PROXYQUERY_BAD},
    {HEAD "Auth-Method: plain-as-plain-can-be\r\n\r\n", PROXYQUERY_BAD},
};

static void test_cases(void **state)
{
    struct proxyquery query;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(parse(cases[i].text, strlen(cases[i].text), &query), cases[i].result);
}

/* What nobody can have is no reason not to say whose and from where it is. */
static void test_unfit(void **state)
{
    static const char *const fields[] = {"Auth-User: a%00b", "Auth-Pass: %00", "Auth-Pass: a%00",
                                         "Auth-User: a%00\r\nAuth-Pass: b"};
    char text[200];
    struct proxyquery query;

    (void)state;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        int size =
            snprintf(text, sizeof(text), HEAD "%s\r\nClient-IP: 192.0.2.7\r\n\r\n", fields[i]);
        assert_int_equal(parse(text, (size_t)size, &query), PROXYQUERY_WHOLE);
        assert_true(query.unfit);
        assert_string_equal(query.address, "192.0.2.7");
    }
    assert_int_equal(parse(HEAD "Auth-User: a\0b\r\n\r\n", sizeof(HEAD) + 17, &query),
                     PROXYQUERY_WHOLE);
    assert_true(query.unfit);
}

static void test_lengths(void **state)
{
    static char text[PROXYQUERY_OCTETS_MAX];
    struct proxyquery query;

    (void)state;
    for (int length = MECHANISM_NAME_MAX; length <= MECHANISM_NAME_MAX + 1; length++) {
        int size = snprintf(text, sizeof(text), HEAD "Auth-User: %0*d\r\n\r\n", length, 0);
        assert_int_equal(parse(text, (size_t)size, &query), PROXYQUERY_WHOLE);
        assert_int_equal(query.unfit, length > MECHANISM_NAME_MAX);
    }
    memset(text, 'x', sizeof(text));
    assert_int_equal(parse(text, sizeof(text) - 1, &query), PROXYQUERY_PART);
    assert_int_equal(parse(text, sizeof(text), &query), PROXYQUERY_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_nginx_asks),
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_unfit),
        cmocka_unit_test(test_lengths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
