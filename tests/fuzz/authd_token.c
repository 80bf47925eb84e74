/*
 * Tokens as clients send them (authd/token.h): the input is one, and the claims of another. Nobody
 * here has a private key, so none but the one that tests/unit/test_authd_jws.c has may be verified.
 */
#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authd/token.h"
#include "lib/xalloc.h"
#include "tests/fuzz/fuzz.h"

/* RFC 7515, appendix A.3; RFC 8037, appendix A.2. */
static const char keys_text[] =
    "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"a\","
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},"
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";

static const char known[] =
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNv"
    "bS9pc19yb290Ijp0cnVlfQ";

static json_t *keys;

int LLVMFuzzerInitialize(const int *count, char ***arguments)
{
    (void)count;
    (void)arguments;
    keys = json_loads(keys_text, 0, NULL);
    assert(keys != NULL);
    return 0;
}

static void check(const char *text, size_t length)
{
    const struct token_rules rules = {
        .audience = "mail", .claim = "email", .address = "anna@example.com", .now = 1000000};
    struct token *token = xmalloc(sizeof(*token));
    const char *fault = NULL;

    if (token_parse(token, text, length, &fault) == 0) {
        assert(length <= JWS_MAX && token_issuer(token) != NULL);
        assert(strlen(token->jws.payload) <= token->jws.payload_length);
        if (jws_verify(&token->jws, keys) == JWS_GOOD)
            assert(token->jws.signed_length == strlen(known) &&
                   memcmp(text, known, strlen(known)) == 0);
        /* Who it is for stands in it, or in another way to write the same. */
        if (token_fault(token, &rules) == NULL)
            assert(json_object_get(token->claims, "email") != NULL &&
                   json_object_get(token->claims, "exp") != NULL);
        token_free(token);
    } else {
        assert(fault != NULL);
    }
    free(token);
}

static void check_claims(const uint8_t *data, size_t size)
{
    static const char header[] = "eyJhbGciOiJFUzI1NiJ9.";
    const size_t room = sodium_base64_encoded_len(size, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    char *text = xmalloc(sizeof(header) + room + sizeof(".AAAA"));

    memcpy(text, header, sizeof(header));
    sodium_bin2base64(text + sizeof(header) - 1, room, data, size,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    memcpy(text + strlen(text), ".AAAA", sizeof(".AAAA"));
    check(text, strlen(text));
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = xmalloc(size + 1);

    memcpy(copy, data, size);
    check(copy, size);
    free(copy);
    check_claims(data, size);
    return 0;
}
