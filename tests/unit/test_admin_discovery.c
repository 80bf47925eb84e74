/* What is taken of an issuer's metadata and keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "admin/discovery.h"

static void test_where(void **state)
{
    static const struct {
        const char *issuer;
        const char *openid;
        const char *oauth;
    } rows[] = {
        {"https://a.example", "https://a.example/.well-known/openid-configuration",
         "https://a.example/.well-known/oauth-authorization-server"},
        {"https://a.example/", "https://a.example/.well-known/openid-configuration",
         "https://a.example/.well-known/oauth-authorization-server"},
        {"https://a.example:8443/b/c",
         "https://a.example:8443/b/c/.well-known/openid-configuration",
         "https://a.example:8443/.well-known/oauth-authorization-server/b/c"},
        {"https://a.example/b/", "https://a.example/b/.well-known/openid-configuration",
         "https://a.example/.well-known/oauth-authorization-server/b"},
    };
    char url[FETCH_URL_MAX + 1];
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        discovery_url(url, rows[i].issuer, DISCOVERY_OPENID);
        assert_string_equal(url, rows[i].openid);
        discovery_url(url, rows[i].issuer, DISCOVERY_OAUTH);
        assert_string_equal(url, rows[i].oauth);
    }
}

static void test_metadata(void **state)
{
    static const struct {
        const char *text;
        const char *url; /* NULL: refused */
    } rows[] = {
        {"{\"issuer\":\"https://a.example\",\"jwks_uri\":\"https://b.example/k\",\"x\":1}",
         "https://b.example/k"},
        {"{\"issuer\":\"https://a.example/\",\"jwks_uri\":\"https://b.example/k\"}", NULL},
        {"{\"issuer\":\"https://A.example\",\"jwks_uri\":\"https://b.example/k\"}", NULL},
        {"{\"issuer\":[\"https://a.example\"],\"jwks_uri\":\"https://b.example/k\"}", NULL},
        {"{\"issuer\":\"https://a.example\",\"jwks_uri\":\"http://b.example/k\"}", NULL},
        {"{\"issuer\":\"https://a.example\",\"jwks_uri\":1}", NULL},
        {"{\"issuer\":\"https://a.example\"}", NULL},
        {"{\"issuer\":\"https://a.example\",\"issuer\":\"https://a.example\","
         "\"jwks_uri\":\"https://b.example/k\"}",
         NULL},
        {"[]", NULL},
        {"", NULL},
        {"<html>", NULL},
    };
    char url[FETCH_URL_MAX + 1];
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *error = NULL;
        const int result = discovery_keys_url(url, "https://a.example", rows[i].text,
                                              strlen(rows[i].text), &error);
        if ((result == 0) != (rows[i].url != NULL) || (result < 0 && error == NULL))
            fail_msg("%s", rows[i].text);
        if (result == 0)
            assert_string_equal(url, rows[i].url);
    }
}

/* What makes a key a private one, and what can verify nothing, is not kept. */
static void test_keys(void **state)
{
    static const struct {
        const char *text;
        const char *keys; /* NULL: refused */
    } rows[] = {
        {"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\",\"d\":\"BB\",\"x5c\":[]}]}",
         "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"}]}"},
        {"{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"},1,{\"kty\":\"EC\",\"kid\":\"a\"}],\"more\":1}",
         "{\"keys\":[{\"kty\":\"EC\",\"kid\":\"a\"}]}"},
        {"{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"}]}", NULL},
        {"{\"keys\":[]}", NULL},
        {"{\"keys\":{\"kty\":\"EC\"}}", NULL},
        {"{}", NULL},
        {"[]", NULL},
        {"no", NULL},
    };
    const char *error;
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        error = NULL;
        char *keys = discovery_keys(rows[i].text, strlen(rows[i].text), 1000, &error);
        if ((keys == NULL) != (rows[i].keys == NULL) || (keys == NULL && error == NULL))
            fail_msg("%s", rows[i].text);
        if (keys != NULL)
            assert_string_equal(keys, rows[i].keys);
        free(keys);
    }
    const size_t length = strlen(rows[1].keys);
    char *exact = discovery_keys(rows[1].text, strlen(rows[1].text), length, &error);
    assert_non_null(exact);
    free(exact);
    assert_null(discovery_keys(rows[1].text, strlen(rows[1].text), length - 1, &error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_keys),
    };

    return cmocka_run_group_tests_name("discovery", tests, NULL, NULL);
}
