/* What a token must say to open a mailbox. Its signature is tests/unit/test_authd_jws.c's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "authd/token.h"

#define NOW 1000000

/* "{...}" with a header of this type, and octets in place of a signature. To be freed. */
static char *make(const char *type, const char *claims)
{
    char header[128];
    char encoded[2][4096];
    char *text = malloc(sizeof(encoded) + 8);

    snprintf(header, sizeof(header), "{\"alg\":\"ES256\",\"typ\":\"%s\"}", type);
    sodium_bin2base64(encoded[0], sizeof(encoded[0]), (const uint8_t *)header, strlen(header),
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_bin2base64(encoded[1], sizeof(encoded[1]), (const uint8_t *)claims, strlen(claims),
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    snprintf(text, sizeof(encoded) + 8, "%s.%s.AAAA", encoded[0], encoded[1]);
    return text;
}

/* NULL: it opens anna's mailbox. */
static const char *judge(const char *claims)
{
    const struct token_rules rules = {
        .audience = "mail", .claim = "email", .address = "anna@example.com", .now = NOW};
    struct token *token = malloc(sizeof(*token));
    char *text = make("JWT", claims);
    const char *fault;

    if (token_parse(token, text, strlen(text), &fault) == 0) {
        fault = token_fault(token, &rules);
        token_free(token);
    }
    free(text);
    free(token);
    return fault;
}

#define SAYS(more) "{\"iss\":\"https://a.example\"," more "}"
#define ALL        "\"aud\":\"mail\",\"email\":\"anna@example.com\",\"exp\":1000100"

static void test_claims(void **state)
{
    static const struct {
        const char *claims;
        const char *fault;
    } rows[] = {
        {SAYS(ALL), NULL},
        {SAYS(ALL ",\"iat\":1000050,\"nbf\":1000060"), NULL},
        {SAYS(ALL ",\"email_verified\":true"), NULL},
        {SAYS("\"aud\":[\"x\",\"mail\"],\"email\":\"Anna@EXAMPLE.com\",\"exp\":1000100.5"), NULL},
        {SAYS("\"aud\":\"mail\",\"email\":\"anna@example.com\",\"exp\":999941"), NULL},

        {SAYS("\"aud\":\"mail\",\"email\":\"anna@example.com\",\"exp\":999940"), "it has expired"},
        {SAYS("\"aud\":\"mail\",\"email\":\"anna@example.com\""), "it never expires"},
        {SAYS("\"aud\":\"mail\",\"email\":\"anna@example.com\",\"exp\":\"1000100\""),
         "its times are not numbers"},
        {SAYS("\"aud\":\"mail\",\"email\":\"anna@example.com\",\"exp\":null"),
         "its times are not numbers"},
        {SAYS(ALL ",\"nbf\":1000061"), "it is not good yet"},
        {SAYS(ALL ",\"iat\":1000061"), "it is not good yet"},
        {SAYS(ALL ",\"nbf\":true"), "its times are not numbers"},
        {SAYS("\"aud\":\"Mail\",\"email\":\"anna@example.com\",\"exp\":1000100"),
         "it is for another service"},
        {SAYS("\"aud\":[],\"email\":\"anna@example.com\",\"exp\":1000100"),
         "it is for another service"},
        {SAYS("\"aud\":[[\"mail\"]],\"email\":\"anna@example.com\",\"exp\":1000100"),
         "it is for another service"},
        {SAYS("\"aud\":{\"mail\":1},\"email\":\"anna@example.com\",\"exp\":1000100"),
         "it is for another service"},
        {SAYS("\"email\":\"anna@example.com\",\"exp\":1000100"), "it is for another service"},
        {SAYS("\"aud\":\"mail\",\"exp\":1000100"), "it is for another address"},
        {SAYS("\"aud\":\"mail\",\"email\":\"anna@example.comx\",\"exp\":1000100"),
         "it is for another address"},
        {SAYS("\"aud\":\"mail\",\"email\":[\"anna@example.com\"],\"exp\":1000100"),
         "it is for another address"},
        {SAYS("\"aud\":\"mail\",\"email\":\"anna\",\"exp\":1000100"), "it is for another address"},
        {SAYS(ALL ",\"email_verified\":false"), "its address has not been verified"},
        {SAYS(ALL ",\"email_verified\":\"false\""), "its address has not been verified"},
        {SAYS(ALL ",\"email_verified\":null"), "its address has not been verified"},
        {SAYS(ALL ",\"cnf\":{}"), "it is bound to a key"},
        {SAYS(ALL ",\"exp\":1000100"), "it names no issuer"}, /* said twice */
        {"{" ALL "}", "it names no issuer"},
        {"{\"iss\":1," ALL "}", "it names no issuer"},
        {"[]", "it names no issuer"},
        {"", "it is not a signed token of at most 8192 octets"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *fault = judge(rows[i].claims);
        if ((fault == NULL) != (rows[i].fault == NULL) ||
            (fault != NULL && strcmp(fault, rows[i].fault) != 0))
            fail_msg("%s: %s", rows[i].claims, fault != NULL ? fault : "good");
    }
}

static void test_types(void **state)
{
    static const struct {
        const char *type;
        bool taken;
    } rows[] = {
        {"JWT", true},         {"jwt", true},       {"at+jwt", true}, {"application/at+jwt", true},
        {"logout+jwt", false}, {"dpop+jwt", false}, {"JWT2", false},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct token token;
        const char *fault;
        char *text = make(rows[i].type, SAYS(ALL));
        const int result = token_parse(&token, text, strlen(text), &fault);
        if ((result == 0) != rows[i].taken)
            fail_msg("%s", rows[i].type);
        if (result == 0) {
            assert_string_equal(token_issuer(&token), "https://a.example");
            token_free(&token);
        }
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_claims), cmocka_unit_test(test_types)};

    return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
