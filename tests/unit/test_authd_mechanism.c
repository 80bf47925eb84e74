#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "authd/mechanism.h"

#define OCTETS(text) text, sizeof(text) - 1

static const struct {
    const char *response;
    size_t length;
    enum mechanism_result result;
    const char *name;
    const char *password;
} plain[] = {
    {OCTETS("\0anna@example.com\0secret"), MECHANISM_CREDENTIALS, "anna@example.com", "secret"},
    {OCTETS("anna\0anna\0secret"), MECHANISM_CREDENTIALS, "anna", "secret"},
    {OCTETS("\0anna\0 p w\t\x01 "), MECHANISM_CREDENTIALS, "anna", " p w\t\x01 "},
    {OCTETS("\0anna\0\xc3\xbc"), MECHANISM_CREDENTIALS, "anna", "\xc3\xbc"},
    {OCTETS("bert\0anna\0secret"), MECHANISM_AUTHZ, "anna", NULL},
    {OCTETS("ann\0anna\0secret"), MECHANISM_AUTHZ, "anna", NULL},
    {OCTETS("annab\0anna\0secret"), MECHANISM_AUTHZ, "anna", NULL},
    {OCTETS(""), MECHANISM_MALFORMED, NULL, NULL},
    {OCTETS("anna"), MECHANISM_MALFORMED, NULL, NULL},
    {OCTETS("\0"), MECHANISM_MALFORMED, NULL, NULL},
    {OCTETS("\0\0"), MECHANISM_MALFORMED, NULL, NULL},
    {OCTETS("anna\0secret"), MECHANISM_MALFORMED, NULL, NULL},
    {OCTETS("\0\0secret"), MECHANISM_MALFORMED, NULL, NULL},
    {OCTETS("\0anna\0"), MECHANISM_MALFORMED, NULL, NULL},
    {OCTETS("\0anna\0sec\0ret"), MECHANISM_MALFORMED, NULL, NULL},
    {OCTETS("\0anna\0secret\0"), MECHANISM_MALFORMED, NULL, NULL},
};

static void assert_octets(const char *octets, size_t length, const char *text)
{
    assert_int_equal(length, strlen(text));
    assert_memory_equal(octets, text, length);
}

static void test_plain(void **state)
{
    const struct mechanism *mechanism = mechanism_find("plain");

    (void)state;
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        struct exchange exchange = {0};
        struct mechanism_outcome outcome = {0};
        char *response = malloc(plain[i].length + 1);
        memcpy(response, plain[i].response, plain[i].length);
        assert_int_equal(mechanism->step(&exchange, response, plain[i].length, &outcome),
                         plain[i].result);
        if (plain[i].name != NULL)
            assert_octets(outcome.name, outcome.name_length, plain[i].name);
        if (plain[i].password != NULL)
            assert_octets(outcome.password, outcome.password_length, plain[i].password);
        free(response);
    }
}

static void test_plain_asks(void **state)
{
    const struct mechanism *mechanism = mechanism_find("PLAIN");
    struct exchange exchange = {0};
    struct mechanism_outcome outcome = {0};

    (void)state;
    assert_int_equal(mechanism->step(&exchange, NULL, 0, &outcome), MECHANISM_CHALLENGE);
    assert_string_equal(outcome.challenge, "");
    assert_int_equal(mechanism->step(&exchange, OCTETS("\0anna\0secret"), &outcome),
                     MECHANISM_CREDENTIALS);
}

static enum mechanism_result plain_of_size(size_t name, size_t password)
{
    struct exchange exchange = {0};
    struct mechanism_outcome outcome = {0};
    size_t length = name + password + 2;
    char *response = malloc(length);

    memset(response, 'x', length);
    response[0] = response[1 + name] = '\0';
    enum mechanism_result result =
        mechanism_find("PLAIN")->step(&exchange, response, length, &outcome);
    free(response);
    return result;
}

static void test_limits(void **state)
{
    (void)state;
    assert_int_equal(plain_of_size(MECHANISM_NAME_MAX, MECHANISM_PASSWORD_MAX),
                     MECHANISM_CREDENTIALS);
    assert_int_equal(plain_of_size(MECHANISM_NAME_MAX + 1, 1), MECHANISM_MALFORMED);
    assert_int_equal(plain_of_size(1, MECHANISM_PASSWORD_MAX + 1), MECHANISM_MALFORMED);
}

static enum mechanism_result login(struct exchange *exchange, const char *response, size_t length,
                                   struct mechanism_outcome *outcome_r)
{
    memset(outcome_r, 0, sizeof(*outcome_r));
    return mechanism_find("Login")->step(exchange, response, length, outcome_r);
}

static void test_login(void **state)
{
    struct exchange exchange = {0};
    struct mechanism_outcome outcome;

    (void)state;
    assert_int_equal(login(&exchange, NULL, 0, &outcome), MECHANISM_CHALLENGE);
    assert_string_equal(outcome.challenge, "Username:");
    assert_int_equal(login(&exchange, OCTETS("anna"), &outcome), MECHANISM_CHALLENGE);
    assert_string_equal(outcome.challenge, "Password:");
    assert_int_equal(login(&exchange, OCTETS("sec ret"), &outcome), MECHANISM_CREDENTIALS);
    assert_octets(outcome.name, outcome.name_length, "anna");
    assert_octets(outcome.password, outcome.password_length, "sec ret");
}

static void test_login_initial(void **state)
{
    struct exchange exchange = {0};
    struct mechanism_outcome outcome;

    (void)state;
    assert_int_equal(login(&exchange, OCTETS("anna"), &outcome), MECHANISM_CHALLENGE);
    assert_string_equal(outcome.challenge, "Password:");

    memset(&exchange, 0, sizeof(exchange));
    assert_int_equal(login(&exchange, OCTETS(""), &outcome), MECHANISM_CHALLENGE);
    assert_string_equal(outcome.challenge, "Username:");
}

static void test_login_refuses(void **state)
{
    char name[MECHANISM_NAME_MAX + 1];
    struct exchange exchange = {0};
    struct mechanism_outcome outcome;

    (void)state;
    memset(name, 'x', sizeof(name));
    assert_int_equal(login(&exchange, name, sizeof(name), &outcome), MECHANISM_MALFORMED);
    assert_int_equal(login(&exchange, OCTETS("a\0b"), &outcome), MECHANISM_MALFORMED);
    assert_int_equal(login(&exchange, NULL, 0, &outcome), MECHANISM_CHALLENGE);
    assert_int_equal(login(&exchange, OCTETS(""), &outcome), MECHANISM_MALFORMED);
    assert_int_equal(login(&exchange, name, MECHANISM_NAME_MAX, &outcome), MECHANISM_CHALLENGE);
    assert_int_equal(login(&exchange, OCTETS(""), &outcome), MECHANISM_MALFORMED);
    assert_int_equal(login(&exchange, OCTETS("p\0q"), &outcome), MECHANISM_MALFORMED);
    assert_int_equal(login(&exchange, name, MECHANISM_PASSWORD_MAX + 1, &outcome),
                     MECHANISM_MALFORMED);
}

static enum mechanism_result scram(struct exchange *exchange, const char *name,
                                   const char *response, struct mechanism_outcome *outcome_r)
{
    memset(outcome_r, 0, sizeof(*outcome_r));
    return mechanism_find(name)->step(exchange, response, response != NULL ? strlen(response) : 0,
                                      outcome_r);
}

/* The steps; what messages may hold, test_authd_scram.c has. */
static void test_scram(void **state)
{
    struct exchange exchange = {0};
    struct mechanism_outcome outcome;
    struct scramkeys keys = {.iterations = 4096};

    (void)state;
    assert_int_equal(scram(&exchange, "SCRAM-SHA-256", NULL, &outcome), MECHANISM_CHALLENGE);
    assert_string_equal(outcome.challenge, "");
    assert_int_equal(scram(&exchange, "SCRAM-SHA-256", "n,,n=anna,r=abc", &outcome),
                     MECHANISM_NAME);
    assert_octets(outcome.name, outcome.name_length, "anna");
    mechanism_keys(&exchange, &keys, &outcome);
    assert_memory_equal(outcome.challenge, "r=abc", 5);
    assert_int_equal(scram(&exchange, "SCRAM-SHA-256",
                           "c=biws,r=abc,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", &outcome),
                     MECHANISM_WRONG);

    memset(&exchange, 0, sizeof(exchange));
    exchange.bound = true;
    assert_int_equal(
        scram(&exchange, "SCRAM-SHA-256-PLUS", "p=tls-exporter,,n=anna,r=abc", &outcome),
        MECHANISM_NAME);
    memset(&exchange, 0, sizeof(exchange));
    exchange.bound = true;
    assert_int_equal(scram(&exchange, "SCRAM-SHA-256", "y,,n=anna,r=abc", &outcome),
                     MECHANISM_DOWNGRADE);
    memset(&exchange, 0, sizeof(exchange));
    assert_int_equal(scram(&exchange, "SCRAM-SHA-256", "n,a=bert,n=anna,r=abc", &outcome),
                     MECHANISM_AUTHZ);
    assert_octets(outcome.name, outcome.name_length, "anna");
    memset(&exchange, 0, sizeof(exchange));
    assert_int_equal(scram(&exchange, "SCRAM-SHA-256", "", &outcome), MECHANISM_MALFORMED);
}

static void test_table(void **state)
{
    (void)state;
    assert_null(mechanism_find("CRAM-MD5"));
    assert_null(mechanism_find(""));
    for (const struct mechanism *mechanism = mechanisms; mechanism->name != NULL; mechanism++)
        assert_ptr_equal(mechanism_find(mechanism->name), mechanism);
}

static const struct {
    const char *mechanism;
    const char *response;
    const char *name; /* NULL: malformed */
    const char *token;
} tokens[] = {
    {"OAUTHBEARER", "n,a=anna@example.com,\1auth=Bearer abc\1\1", "anna@example.com", "abc"},
    {"OAUTHBEARER", "y,a=a=2Cb=3D,\1host=x\1port=995\1auth=bearer a=b\1\1", "a,b=", "a=b"},
    {"XOAUTH2", "user=anna@example.com\1auth=Bearer abc\1\1", "anna@example.com", "abc"},
    {"OAUTHBEARER", "n,,\1auth=Bearer abc\1\1", NULL, NULL},
    {"OAUTHBEARER", "n,a=,\1auth=Bearer abc\1\1", NULL, NULL},
    {"OAUTHBEARER", "n,a=anna\1auth=Bearer abc\1\1", NULL, NULL},
    {"OAUTHBEARER", "p=tls-exporter,a=anna,\1auth=Bearer abc\1\1", NULL, NULL},
    {"OAUTHBEARER", "n,a=an=na,\1auth=Bearer abc\1\1", NULL, NULL},
    {"OAUTHBEARER", "n,a=anna=2,\1auth=Bearer abc\1\1", NULL, NULL},
    {"OAUTHBEARER", "n,a=an,na,\1auth=Bearer abc\1\1", NULL, NULL},
    {"OAUTHBEARER", "n,a=anna,\1auth=Bearer abc\1", NULL, NULL},
    {"OAUTHBEARER", "n,a=anna,\1auth=Bearer abc\1\1x", NULL, NULL},
    {"OAUTHBEARER", "n,a=anna,\1auth=Bearer abc\1auth=Bearer abc\1\1", NULL, NULL},
    {"OAUTHBEARER", "n,a=anna,\1auth=Bearer \1\1", NULL, NULL},
    {"OAUTHBEARER", "n,a=anna,\1auth=Basic abc\1\1", NULL, NULL},
    {"OAUTHBEARER", "n,a=anna,\1host=x\1\1", NULL, NULL},
    {"OAUTHBEARER", "n,a=anna,\1\1", NULL, NULL},
    {"OAUTHBEARER", "\1", NULL, NULL},
    {"XOAUTH2", "user=\1auth=Bearer abc\1\1", NULL, NULL},
    {"XOAUTH2", "auth=Bearer abc\1\1", NULL, NULL},
    {"XOAUTH2", "user=anna\1\1", NULL, NULL},
    {"XOAUTH2", "n,a=anna,\1auth=Bearer abc\1\1", NULL, NULL},
};

static void test_tokens(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        const struct mechanism *mechanism = mechanism_find(tokens[i].mechanism);
        const size_t length = strlen(tokens[i].response);
        struct exchange exchange = {0};
        struct mechanism_outcome outcome = {0};
        char *response = malloc(length + 1);
        memcpy(response, tokens[i].response, length);
        const enum mechanism_result result = mechanism->step(&exchange, response, length, &outcome);
        if (result != (tokens[i].name != NULL ? MECHANISM_TOKEN : MECHANISM_MALFORMED))
            fail_msg("%s", tokens[i].response);
        if (tokens[i].name != NULL) {
            assert_octets(outcome.name, outcome.name_length, tokens[i].name);
            assert_octets(outcome.token, outcome.token_length, tokens[i].token);
        }
        free(response);
    }
}

static void test_refused_tokens(void **state)
{
    static const char *const names[] = {"OAUTHBEARER", "XOAUTH2"};
    char text[512];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct mechanism *mechanism = mechanism_find(names[i]);
        struct exchange exchange = {0};
        struct mechanism_outcome outcome = {0};
        assert_int_equal(mechanism->step(&exchange, NULL, 0, &outcome), MECHANISM_CHALLENGE);
        assert_string_equal(outcome.challenge, "");
        assert_int_equal(mechanism->step(&exchange, OCTETS(""), &outcome), MECHANISM_MALFORMED);
        exchange.step = 0;
        assert_int_equal(mechanism->step(&exchange, OCTETS(""), &outcome), MECHANISM_CHALLENGE);
        mechanism_refuse(&exchange);
        assert_int_equal(mechanism->step(&exchange, OCTETS("\1"), &outcome), MECHANISM_REFUSED);
        assert_int_equal(mechanism->step(&exchange, OCTETS(""), &outcome), MECHANISM_REFUSED);
    }
    mechanism_find("OAUTHBEARER")->refusal(text, sizeof(text), "https://a.example/");
    assert_string_equal(text, "{\"status\":\"invalid_token\",\"scope\":\"openid email\","
                              "\"openid-configuration\":"
                              "\"https://a.example/.well-known/openid-configuration\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),        cmocka_unit_test(test_refused_tokens),
        cmocka_unit_test(test_plain),         cmocka_unit_test(test_plain_asks),
        cmocka_unit_test(test_limits),        cmocka_unit_test(test_login),
        cmocka_unit_test(test_login_initial), cmocka_unit_test(test_login_refuses),
        cmocka_unit_test(test_scram),         cmocka_unit_test(test_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
