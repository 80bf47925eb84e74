/*
 * Signed tokens: the examples of RFC 7515 (appendices A.2 and A.3) and RFC 8037 (A.4), two that
 * PyJWT has made, and what must not be taken for one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "authd/jws.h"

static const struct {
    const char *name;
    const char *key;
    const char *text;
} examples[] = {
    {"RS256",
     "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mP"
     "ddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b326"
     "90r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa"
     "2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9"
     "_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"}",
     "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9"
     "leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2Vt"
     "Qgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKB"
     "YNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN"
     "9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI"
     "8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"},
    {"PS256",
     "{\"kty\":\"RSA\",\"n\":\"6EZwWqCukluCWpK8XFHsCbgf4sTWHTX1BkAD4LpTEyKPHcrcuMjAalJ"
     "yR-ClVcGLjiwy9ok1DAzZSW7DtFlMCL2M6B5AAJGJCHyg98QuTik2PiXn59PYwndTgdTHh-f9ZYdAqzL"
     "5xvwdAnsvueysW2Bey3WnffLsKuTimNa587bs6Y-e5GGJycCQ-mAS_ntB6RttEAJs4EMcfZvf5iGWGvj"
     "sedaSNEywjEAVAn1sLHnQyXWgUa711MHe_1jrdDyFj9NFPQESHnAN3Kc_8wGq-8v507A935-_dE-NSuX"
     "ETJdT4XcOZoYrFWODHCke6vFZFvqD7Z9Kev__tUINFbNWVw\",\"e\":\"AQAB\"}",
     "eyJhbGciOiJQUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2EuZXhhbXBsZSIsImV4cCI"
     "6MX0.n1RDszEkzRLvyXd72rOpZajIPs7yJR36WJOF1Y5ZXdZZaajywsNAKifVwvJlBIqh1UOB-fGqI3v"
     "BTmZw4mSVFJnTkHLEFWEtrSD729jVSw59NI7E3H6AkIQzmRMfraytkXBoIlckXIioKXaesiEZ0yZamFN"
     "amvTiTAv8PAhlhMTke7KZD2fHwF7E3VHMh3HIVpg8mCuu4hf7I_JOtT2B7PXKeUSzjq8FWzmECby7bG5"
     "ZwDRi85CnW2bbtvwrGickFrDGSLzeWMikAvVUD6aebbuqLqyQb7NKeJbO7Q2sXiLqeuNwsw8LW2AGgCE"
     "4zAQPONVJGC-hQGsaINuohu2FuQ"},
    {"ES256",
     "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPH"
     "vRVEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
     "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9"
     "leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXF"
     "CgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
    {"ES384",
     "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"BJMHmOuTChDyjPuuTQBEJoTDragV6HD4oQFXDf"
     "6mvPcNE0xo9uCX0BipAE445JEA\",\"y\":\"k3tgxGN0sxjsLQka4NsrcWYXNgr7tYHnkdPvogzR2c6"
     "euxcjblUvf_SZfJDh-pia\"}",
     "eyJhbGciOiJFUzM4NCIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2EuZXhhbXBsZSIsImV4cCI"
     "6MX0.NPvwSRtZgum0VigrK49sQhzZCYdFw21kpBPgrshJDHaJ85QAYZv_R8JlmlInJEx07hvmqYT0Aiu"
     "Q60vUVE1Yr04dQbvYnRVumqOq2buqMuR6Jx6peLxf7tvpWb2yreZt"},
    {"EdDSA",
     "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwI"
     "aaPcHURo\"}",
     "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1P"
     "POt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"},
};

#define EXAMPLES (sizeof(examples) / sizeof(examples[0]))

static json_t *set_of(const char *key)
{
    json_t *json = json_loads(key, 0, NULL);

    assert_non_null(json);
    return json_pack("{s[o]}", "keys", json);
}

/* With memory of exactly that size. -1: it is not taken apart. */
static int verify(const char *text, size_t length, const json_t *keys)
{
    struct jws *jws = malloc(sizeof(*jws));
    char *copy = malloc(length > 0 ? length : 1);
    const char *fault = NULL;
    int result = -1;

    memset(jws, 0, sizeof(*jws));
    memcpy(copy, text, length);
    if (jws_parse(jws, copy, length, &fault) == 0)
        result = (int)jws_verify(jws, keys);
    else
        assert_non_null(fault);
    free(copy);
    free(jws);
    return result;
}

static void test_examples(void **state)
{
    (void)state;
    for (size_t i = 0; i < EXAMPLES; i++) {
        json_t *keys = set_of(examples[i].key);
        if (verify(examples[i].text, strlen(examples[i].text), keys) != JWS_GOOD)
            fail_msg("%s", examples[i].name);
        json_decref(keys);
    }
}

/* Each with each other's key: an algorithm is for its own kind of key. RS256 and PS256 share one.
 */
static void test_other_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < EXAMPLES; i++)
        for (size_t j = 0; j < EXAMPLES; j++) {
            json_t *keys = set_of(examples[j].key);
            const int result = verify(examples[i].text, strlen(examples[i].text), keys);
            const bool same_kind = i == j || (i < 2 && j < 2);
            if (result != (i == j ? JWS_GOOD : same_kind ? JWS_WRONG : JWS_NO_KEY))
                fail_msg("%s with the key of %s", examples[i].name, examples[j].name);
            json_decref(keys);
        }
}

/* Each octet, changed to another digit, and all that is cut off or put behind. */
static void test_tampering(void **state)
{
    (void)state;
    for (size_t i = 0; i < EXAMPLES; i++) {
        const size_t length = strlen(examples[i].text);
        char *text = malloc(length + 2);
        json_t *keys = set_of(examples[i].key);
        for (size_t at = 0; at < length; at++) {
            memcpy(text, examples[i].text, length + 1);
            text[at] = text[at] == 'A' ? 'B' : 'A';
            if (verify(text, length, keys) == JWS_GOOD)
                fail_msg("%s with octet %zu changed", examples[i].name, at);
            if (verify(examples[i].text, at, keys) == JWS_GOOD)
                fail_msg("%s cut at %zu", examples[i].name, at);
        }
        for (const char *more = "A=.\n"; *more != '\0'; more++) {
            memcpy(text, examples[i].text, length);
            text[length] = *more;
            assert_int_not_equal(verify(text, length + 1, keys), JWS_GOOD);
        }
        json_decref(keys);
        free(text);
    }
}

/* What a key says of itself; with RFC 7515's A.3. */
static void test_what_keys_are_for(void **state)
{
    static const struct {
        const char *member;
        const char *value;
        int result;
    } rows[] = {
        {"use", "\"sig\"", JWS_GOOD},
        {"use", "\"enc\"", JWS_NO_KEY},
        {"use", "1", JWS_NO_KEY},
        {"alg", "\"ES256\"", JWS_GOOD},
        {"alg", "\"ES384\"", JWS_NO_KEY},
        {"key_ops", "[\"verify\"]", JWS_GOOD},
        {"key_ops", "[\"sign\", \"verify\"]", JWS_GOOD},
        {"key_ops", "[\"sign\"]", JWS_NO_KEY},
        {"key_ops", "\"verify\"", JWS_NO_KEY},
        {"kty", "\"RSA\"", JWS_NO_KEY},
        {"crv", "\"P-384\"", JWS_NO_KEY},
        {"x", "\"AA\"", JWS_NO_KEY},
        {"x", "1", JWS_NO_KEY},
        {"y", "\"AA\"", JWS_WRONG},
        {"kid", "\"any\"", JWS_GOOD},
        /* a point that is not on the curve */
        {"y", "\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1\"", JWS_WRONG},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *keys = set_of(examples[2].key);
        json_object_set_new(json_array_get(json_object_get(keys, "keys"), 0), rows[i].member,
                            json_loads(rows[i].value, JSON_DECODE_ANY, NULL));
        if (verify(examples[2].text, strlen(examples[2].text), keys) != rows[i].result)
            fail_msg("%s: %s", rows[i].member, rows[i].value);
        json_decref(keys);
    }
}

/* A short modulus is somebody's to factor; an exponent of 1 makes every text its own signature. */
static void test_weak_rsa(void **state)
{
    static const struct {
        const char *member;
        const char *value;
        int result;
    } rows[] = {
        {"e", "AQ", JWS_WRONG},           {"e", "Ag", JWS_WRONG},    {"e", "", JWS_WRONG},
        {"n", "AQ", JWS_NO_KEY},          {"n", "AAAA", JWS_NO_KEY}, {"e", "AQAA", JWS_WRONG},
        {"e", "AQAAAAAAAAAB", JWS_WRONG},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *keys = set_of(examples[0].key);
        json_object_set_new(json_array_get(json_object_get(keys, "keys"), 0), rows[i].member,
                            json_string(rows[i].value));
        if (verify(examples[0].text, strlen(examples[0].text), keys) != rows[i].result)
            fail_msg("%s: %s", rows[i].member, rows[i].value);
        json_decref(keys);
    }
}

static char *encode(const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const size_t length = strlen(text);
    char *out = calloc(1, 2 * length + 4);
    char *at = out;

    for (size_t i = 0; i < length; i += 3) {
        uint32_t bits = 0;
        for (size_t j = 0; j < 3; j++)
            bits = bits << 8 | (i + j < length ? (uint8_t)text[i + j] : 0);
        for (size_t j = 0; j < (length - i < 3 ? length - i : 3) + 1; j++)
            *at++ = digits[bits >> (18 - 6 * j) & 63];
    }
    return out;
}

/* Headers with which nothing is even looked for. */
static void test_headers(void **state)
{
    static const struct {
        const char *header;
        bool taken;
    } rows[] = {
        {"{\"alg\":\"ES256\"}", true},
        {"{\"alg\":\"ES256\",\"kid\":\"a\",\"typ\":\"JWT\",\"jku\":\"https://a.example\"}", true},
        {"{\"alg\":\"none\"}", false},
        {"{\"alg\":\"HS256\"}", false},
        {"{\"alg\":\"es256\"}", false},
        {"{\"alg\":\"RS512\"}", false},
        {"{\"alg\":1}", false},
        {"{}", false},
        {"[]", false},
        {"", false},
        {"{\"alg\":\"ES256\",\"alg\":\"ES256\"}", false},
        {"{\"alg\":\"ES256\",\"crit\":[\"b64\"],\"b64\":false}", false},
        {"{\"alg\":\"ES256\",\"kid\":1}", false},
        {"{\"alg\":\"ES256\",\"kid\":\"\"}", false},
        {"{\"alg\":\"ES256\"} ", true},
        {"{\"alg\":\"ES256\"}x", false},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *header = encode(rows[i].header);
        char text[512];
        snprintf(text, sizeof(text), "%s.e30.AAAA", header);
        if ((verify(text, strlen(text), NULL) >= 0) != rows[i].taken)
            fail_msg("%s", rows[i].header);
        free(header);
    }
}

static void test_parts(void **state)
{
    static const char *const wrong[] = {
        "",
        ".",
        "..",
        "...",
        "a.b",
        "eyJhbGciOiJFUzI1NiJ9.e30",
        "eyJhbGciOiJFUzI1NiJ9.e30.",
        "eyJhbGciOiJFUzI1NiJ9..AAAA",
        ".e30.AAAA",
        "eyJhbGciOiJFUzI1NiJ9.e30.AAAA.AAAA",
        "eyJhbGciOiJFUzI1NiJ9.e30.AAAA.",
        "eyJhbGciOiJFUzI1NiJ9.e30.AA+A",
        "eyJhbGciOiJFUzI1NiJ9.e30=.AAAA",
        "eyJhbGciOiJFUzI1NiJ9.e 30.AAAA",
        "eyJhbGciOiJFUzI1NiJ9.e30.AAB",
        "eyJhbGciOiJFUzI1NiJ9.e30.A",
    };
    char *large = malloc(JWS_MAX + 1);
    (void)state;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (verify(wrong[i], strlen(wrong[i]), NULL) >= 0)
            fail_msg("%s", wrong[i]);
    memset(large, 'A', JWS_MAX + 1);
    memcpy(large, "eyJhbGciOiJFUzI1NiJ9.", 21);
    large[JWS_MAX - 5] = '.';
    assert_int_equal(verify(large, JWS_MAX - 1, NULL), JWS_NO_KEY);
    assert_int_equal(verify(large, JWS_MAX + 1, NULL), -1);
    free(large);
}

/* The one that is named, though others come first; without a name, the first few that fit. */
static void test_sets(void **state)
{
    json_t *keys = json_loads("{\"keys\": [1, {}, \"x\"]}", 0, NULL);
    json_t *list = json_object_get(keys, "keys");
    const size_t length = strlen(examples[2].text);
    (void)state;

    assert_int_equal(verify(examples[2].text, length, NULL), JWS_NO_KEY);
    assert_int_equal(verify(examples[2].text, length, keys), JWS_NO_KEY);
    for (size_t i = 0; i < EXAMPLES; i++)
        json_array_append_new(list, json_loads(examples[i].key, 0, NULL));
    for (size_t i = 0; i < EXAMPLES; i++)
        assert_int_equal(verify(examples[i].text, strlen(examples[i].text), keys), JWS_GOOD);
    json_decref(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),  cmocka_unit_test(test_other_keys),
        cmocka_unit_test(test_tampering), cmocka_unit_test(test_what_keys_are_for),
        cmocka_unit_test(test_weak_rsa),  cmocka_unit_test(test_headers),
        cmocka_unit_test(test_parts),     cmocka_unit_test(test_sets),
    };

    return cmocka_run_group_tests_name("jws", tests, NULL, NULL);
}
