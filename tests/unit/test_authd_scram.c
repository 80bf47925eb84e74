#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "authd/scram.h"

/* The exchange of RFC 7677 section 3, user "user" and password "pencil". */
#define KEYS                                                                                       \
    "4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"                  \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define CLIENT_NONCE "rOprNGfwEbeRWgbNEkqO"
#define SERVER_NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define NONCE        CLIENT_NONCE SERVER_NONCE
#define FIRST        "n,,n=user,r=" CLIENT_NONCE
#define CHALLENGE    "r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define PROOF        "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define LAST         "c=biws,r=" NONCE ",p=" PROOF
#define VERIFIER     "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

#define NAME_SIZE 512

static const uint8_t binding[SCRAM_BINDING_SIZE] = {1, 2, 3};

/* In memory of its own size, so that a sanitizer sees a step too far. */
static char *copy_of(const char *message, size_t length)
{
    char *copy = malloc(length + (length == 0));

    assert_non_null(copy);
    memcpy(copy, message, length);
    return copy;
}

/* The first two messages; the second goes to message_r where the first one is good. */
static enum scram_result begin(struct scram *scram, const char *first, bool bound, bool plus,
                               char message_r[SCRAM_MESSAGE_SIZE])
{
    struct scram_first said;
    struct scramkeys keys;
    char name[NAME_SIZE];
    char *copy = copy_of(first, strlen(first));

    memset(scram, 0, sizeof(*scram));
    enum scram_result result = scram_first(scram, &said, name, sizeof(name), copy, strlen(first),
                                           bound ? binding : NULL, plus);
    if (result == SCRAM_GOOD) {
        assert_int_equal(scramkeys_parse(&keys, KEYS), 0);
        scram_challenge(scram, &said, &keys, SERVER_NONCE, message_r);
    }
    free(copy);
    return result;
}

static void test_exchange_of_the_rfc(void **state)
{
    char message[SCRAM_MESSAGE_SIZE];
    struct scram scram;

    (void)state;
    assert_int_equal(begin(&scram, FIRST, false, false, message), SCRAM_GOOD);
    assert_string_equal(message, CHALLENGE);
    assert_int_equal(scram_last(&scram, LAST, strlen(LAST), message), SCRAM_GOOD);
    assert_string_equal(message, VERIFIER);
}

#define R ",r=abc"

static const struct {
    const char *message;
    bool bound;
    bool plus;
    enum scram_result result;
    const char *name;
} firsts[] = {
    {"n,,n=anna" R, false, false, SCRAM_GOOD, "anna"},
    {"n,,n=anna" R, true, false, SCRAM_GOOD, "anna"},
    {"y,,n=anna" R, false, false, SCRAM_GOOD, "anna"},
    {"n,,n=anna@example.com" R, false, false, SCRAM_GOOD, "anna@example.com"},
    {"n,,n=an=2Cna=3D" R, false, false, SCRAM_GOOD, "an,na="},
    {"n,,n=\xc3\xbc" R, false, false, SCRAM_GOOD, "\xc3\xbc"},
    {"n,,n=a,r=abc,x=more,Y=,more", false, false, SCRAM_MALFORMED, NULL},
    {"n,,n=a,r=abc,x=more,Y=more", false, false, SCRAM_GOOD, "a"},
    {"n,a=anna,n=anna" R, false, false, SCRAM_GOOD, "anna"},
    {"n,a=bert,n=anna" R, false, false, SCRAM_AUTHZ, "anna"},
    {"n,a=ann,n=anna" R, false, false, SCRAM_AUTHZ, "anna"},
    {"p=tls-exporter,,n=anna" R, true, true, SCRAM_GOOD, "anna"},
    /* Section 6: the client saw a list without the mechanism that binds. */
    {"y,,n=anna" R, true, false, SCRAM_DOWNGRADE, NULL},
    /* The flag and the mechanism do not go together, or the channel has no such binding. */
    {"p=tls-exporter,,n=anna" R, true, false, SCRAM_MALFORMED, NULL},
    {"p=tls-exporter,,n=anna" R, false, true, SCRAM_MALFORMED, NULL},
    {"p=tls-unique,,n=anna" R, true, true, SCRAM_MALFORMED, NULL},
    {"p=tls-exporte,,n=anna" R, true, true, SCRAM_MALFORMED, NULL},
    {"p=,,n=anna" R, true, true, SCRAM_MALFORMED, NULL},
    {"n,,n=anna" R, true, true, SCRAM_MALFORMED, NULL},
    {"y,,n=anna" R, true, true, SCRAM_MALFORMED, NULL},
    /* Not as section 7 has it. */
    {"", false, false, SCRAM_MALFORMED, NULL},
    {"n", false, false, SCRAM_MALFORMED, NULL},
    {"n,", false, false, SCRAM_MALFORMED, NULL},
    {"n,,", false, false, SCRAM_MALFORMED, NULL},
    {"nonsense", false, false, SCRAM_MALFORMED, NULL},
    {"n,n=anna" R, false, false, SCRAM_MALFORMED, NULL},
    {"n,a=,n=anna" R, false, false, SCRAM_MALFORMED, NULL},
    {"n,a,n=anna" R, false, false, SCRAM_MALFORMED, NULL},
    {"n,,anna" R, false, false, SCRAM_MALFORMED, NULL},
    {"n,,n=" R, false, false, SCRAM_MALFORMED, NULL},
    {"n,,n=anna", false, false, SCRAM_MALFORMED, NULL},
    {"n,,n=anna,", false, false, SCRAM_MALFORMED, NULL},
    {"n,,n=anna,r=", false, false, SCRAM_MALFORMED, NULL},
    {"n,,n=anna,r=a b", false, false, SCRAM_MALFORMED, NULL},
    {"n,,n=anna,r=a\x7f", false, false, SCRAM_MALFORMED, NULL},
    {"n,,n=anna,r=\xc3\xbc", false, false, SCRAM_MALFORMED, NULL},
    {"n,,n=anna,r=abc,", false, false, SCRAM_MALFORMED, NULL},
    {"n,,n=anna,r=abc,x", false, false, SCRAM_MALFORMED, NULL},
    {"n,,n=anna,r=abc,m=x", false, false, SCRAM_MALFORMED, NULL},
    {"n,,r=abc,n=anna", false, false, SCRAM_MALFORMED, NULL},
    /* A mandatory extension is none that we know. */
    {"n,,m=x,n=anna" R, false, false, SCRAM_MALFORMED, NULL},
    /* Section 5.1: "=" and what is neither "2C" nor "3D" must fail. */
    {"n,,n=an=2Xna" R, false, false, SCRAM_MALFORMED, NULL},
    {"n,,n=an=2cna" R, false, false, SCRAM_MALFORMED, NULL},
    {"n,,n=anna=3" R, false, false, SCRAM_MALFORMED, NULL},
    {"n,,n=anna=" R, false, false, SCRAM_MALFORMED, NULL},
};

static void test_first_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
        size_t length = strlen(firsts[i].message);
        char *message = copy_of(firsts[i].message, length);
        struct scram scram = {0};
        struct scram_first said;
        char name[NAME_SIZE];
        enum scram_result result = scram_first(&scram, &said, name, sizeof(name), message, length,
                                               firsts[i].bound ? binding : NULL, firsts[i].plus);
        if (result != firsts[i].result)
            fail_msg("%s: %d", firsts[i].message, (int)result);
        if (firsts[i].name != NULL) {
            assert_int_equal(said.name_length, strlen(firsts[i].name));
            assert_memory_equal(name, firsts[i].name, said.name_length);
        }
        free(message);
    }
}

static void test_no_nul_in_a_first_message(void **state)
{
    static const char message[] = "n,,n=an\0na,r=abc";
    struct scram scram = {0};
    struct scram_first said;
    char name[NAME_SIZE];

    (void)state;
    assert_int_equal(
        scram_first(&scram, &said, name, sizeof(name), message, sizeof(message) - 1, NULL, false),
        SCRAM_MALFORMED);
}

/* The first message with a name and a nonce of these sizes. */
static enum scram_result first_of_size(size_t name_size, size_t nonce_size)
{
    char message[2048];
    char name[NAME_SIZE];
    struct scram scram = {0};
    struct scram_first said;

    int length = snprintf(message, sizeof(message), "n,,n=%0*d,r=%0*d", (int)name_size, 1,
                          (int)nonce_size, 1);
    return scram_first(&scram, &said, name, sizeof(name), message, (size_t)length, NULL, false);
}

static void test_limits(void **state)
{
    (void)state;
    assert_int_equal(first_of_size(NAME_SIZE, SCRAM_CLIENT_NONCE_MAX), SCRAM_GOOD);
    assert_int_equal(first_of_size(NAME_SIZE + 1, 1), SCRAM_MALFORMED);
    assert_int_equal(first_of_size(1, SCRAM_CLIENT_NONCE_MAX + 1), SCRAM_MALFORMED);
}

static const struct {
    const char *message;
    enum scram_result result;
} lasts[] = {
    {LAST, SCRAM_GOOD},
    {"c=biws,r=" NONCE ",p=eHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", SCRAM_WRONG},
    {"c=biws,r=" NONCE "x,p=" PROOF, SCRAM_WRONG},
    {"c=biws,r=" CLIENT_NONCE ",p=" PROOF, SCRAM_WRONG},
    {"c=eSws,r=" NONCE ",p=" PROOF, SCRAM_WRONG},
    {"c=biwsYQ==,r=" NONCE ",p=" PROOF, SCRAM_WRONG},
    {"c=biw=,r=" NONCE ",p=" PROOF, SCRAM_WRONG},
    {"c=%%%%,r=" NONCE ",p=" PROOF, SCRAM_WRONG},
    /* An extension is part of what is proven. */
    {"c=biws,r=" NONCE ",x=y,p=" PROOF, SCRAM_WRONG},
    {"", SCRAM_MALFORMED},
    {"c=biws", SCRAM_MALFORMED},
    {"c=biws,r=" NONCE, SCRAM_MALFORMED},
    {"c=biws,r=" NONCE ",", SCRAM_MALFORMED},
    {"c=biws,r=" NONCE ",p=", SCRAM_MALFORMED},
    {"c=,r=" NONCE ",p=" PROOF, SCRAM_MALFORMED},
    {"r=" NONCE ",c=biws,p=" PROOF, SCRAM_MALFORMED},
    {"r=" NONCE ",p=" PROOF, SCRAM_MALFORMED},
    {LAST ",x=y", SCRAM_MALFORMED},
    {LAST ",", SCRAM_MALFORMED},
    {"c=biws,r=" NONCE ",m=x,p=" PROOF, SCRAM_MALFORMED},
    {"c=biws,r=" NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ", SCRAM_MALFORMED},
    {"c=biws,r=" NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndQ==", SCRAM_MALFORMED},
    {"c=biws,r=" NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQAAAA=", SCRAM_MALFORMED},
};

static void test_last_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(lasts) / sizeof(lasts[0]); i++) {
        char message[SCRAM_MESSAGE_SIZE];
        size_t length = strlen(lasts[i].message);
        char *copy = copy_of(lasts[i].message, length);
        struct scram scram;
        assert_int_equal(begin(&scram, FIRST, false, false, message), SCRAM_GOOD);
        enum scram_result result = scram_last(&scram, copy, length, message);
        if (result != lasts[i].result)
            fail_msg("%s: %d", lasts[i].message, (int)result);
        free(copy);
    }
}

static void add_text(crypto_auth_hmacsha256_state *state, const char *text)
{
    crypto_auth_hmacsha256_update(state, (const uint8_t *)text, strlen(text));
}

/* The last message of a client that knows the password, with `header` in base64 as its "c=". */
static void prove(char message_r[512], const char *first_bare, const char *challenge,
                  const char *header)
{
    uint8_t salted[32], client_key[32], stored_key[32], proof[32];
    char base64[sodium_base64_ENCODED_LEN(sizeof(proof), sodium_base64_VARIANT_ORIGINAL)];
    crypto_auth_hmacsha256_state state;
    struct scramkeys keys;

    /* SaltedPassword of the RFC's password. */
    assert_int_equal(
        sodium_hex2bin(salted, sizeof(salted),
                       "c4a49510323ab4f952cac1fa99441939e78ea74d6be81ddf7096e87513dc615d", 64, NULL,
                       NULL, NULL),
        0);
    assert_int_equal(scramkeys_parse(&keys, KEYS), 0);
    crypto_auth_hmacsha256(client_key, (const uint8_t *)"Client Key", 10, salted);
    crypto_hash_sha256(stored_key, client_key, sizeof(client_key));
    assert_memory_equal(stored_key, keys.stored_key, sizeof(stored_key));
    int length = snprintf(message_r, 512, "c=%s,r=%s", header, NONCE);
    crypto_auth_hmacsha256_init(&state, stored_key, sizeof(stored_key));
    add_text(&state, first_bare);
    add_text(&state, ",");
    add_text(&state, challenge);
    add_text(&state, ",");
    add_text(&state, message_r);
    crypto_auth_hmacsha256_final(&state, proof);
    for (size_t i = 0; i < sizeof(proof); i++)
        proof[i] ^= client_key[i];
    sodium_bin2base64(base64, sizeof(base64), proof, sizeof(proof), sodium_base64_VARIANT_ORIGINAL);
    snprintf(message_r + length, 512 - (size_t)length, ",p=%s", base64);
}

static void test_binding(void **state)
{
    static const char header[] = "p=tls-exporter,,";
    const char *bare = "n=user,r=" CLIENT_NONCE;
    char first[256], challenge[SCRAM_MESSAGE_SIZE], answer[SCRAM_MESSAGE_SIZE], last[512];
    char base64[128];
    uint8_t bound[sizeof(header) - 1 + SCRAM_BINDING_SIZE];

    (void)state;
    memcpy(bound, header, sizeof(header) - 1);
    memcpy(bound + sizeof(header) - 1, binding, sizeof(binding));
    snprintf(first, sizeof(first), "%s%s", header, bare);
    for (int wrong = 0; wrong < 3; wrong++) {
        struct scram scram;
        /* The client's end of the channel is another one, or it leaves the binding out. */
        size_t length = wrong == 2 ? sizeof(header) - 1 : sizeof(bound);
        bound[sizeof(bound) - 1] = wrong == 1;
        sodium_bin2base64(base64, sizeof(base64), bound, length, sodium_base64_VARIANT_ORIGINAL);
        assert_int_equal(begin(&scram, first, true, true, challenge), SCRAM_GOOD);
        prove(last, bare, challenge, base64);
        assert_int_equal(scram_last(&scram, last, strlen(last), answer),
                         wrong == 0 ? SCRAM_GOOD : SCRAM_WRONG);
    }
}

static void test_extensions_are_proven(void **state)
{
    const char *bare = "n=user,r=" CLIENT_NONCE ",x=more";
    char challenge[SCRAM_MESSAGE_SIZE], answer[SCRAM_MESSAGE_SIZE], last[512];
    struct scram scram;

    (void)state;
    assert_int_equal(begin(&scram, "n,,n=user,r=" CLIENT_NONCE ",x=more", false, false, challenge),
                     SCRAM_GOOD);
    prove(last, bare, challenge, "biws");
    assert_int_equal(scram_last(&scram, last, strlen(last), answer), SCRAM_GOOD);
}

static void test_nonces_differ(void **state)
{
    char one[SCRAM_SERVER_NONCE_SIZE];
    char other[SCRAM_SERVER_NONCE_SIZE];

    (void)state;
    scram_draw(one);
    scram_draw(other);
    assert_int_equal(strlen(one), SCRAM_SERVER_NONCE_SIZE - 1);
    assert_string_not_equal(one, other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchange_of_the_rfc),
        cmocka_unit_test(test_first_messages),
        cmocka_unit_test(test_no_nul_in_a_first_message),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_last_messages),
        cmocka_unit_test(test_binding),
        cmocka_unit_test(test_extensions_are_proven),
        cmocka_unit_test(test_nonces_differ),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
