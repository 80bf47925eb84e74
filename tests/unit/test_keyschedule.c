/* Ours beside OpenSSL's own, and both beside the trace of a handshake in RFC 8448 section 3. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <sodium.h>

#include "lib/keyschedule.h"

#define OURS   "provider=bellhop"
#define THEIRS "provider=default"

struct order {
    int mode;
    const char *hash;
    const void *key; /* NULL: none */
    size_t key_length;
    const void *salt; /* NULL: none */
    size_t salt_length;
    const char *label;
    const void *data; /* NULL: none */
    size_t data_length;
};

static bool derive(const char *whose, const struct order *order, uint8_t *result_r, size_t length)
{
    EVP_KDF *function = EVP_KDF_fetch(NULL, "TLS13-KDF", whose);
    OSSL_PARAM parameters[8];
    OSSL_PARAM *next = parameters;

    assert_non_null(function);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(function);
    *next++ = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, (int *)(uintptr_t)&order->mode);
    *next++ =
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t)order->hash, 0);
    *next++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, (char[]){"tls13 "}, 6);
    *next++ = OSSL_PARAM_construct_octet_string(
        OSSL_KDF_PARAM_LABEL, (char *)(uintptr_t)order->label, strlen(order->label));
    if (order->key != NULL)
        *next++ = OSSL_PARAM_construct_octet_string(
            OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)order->key, order->key_length);
    if (order->salt != NULL)
        *next++ = OSSL_PARAM_construct_octet_string(
            OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)order->salt, order->salt_length);
    if (order->data != NULL)
        *next++ = OSSL_PARAM_construct_octet_string(
            OSSL_KDF_PARAM_DATA, (void *)(uintptr_t)order->data, order->data_length);
    *next = OSSL_PARAM_construct_end();
    bool done = EVP_KDF_derive(context, result_r, length, parameters) == 1;
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(function);
    return done;
}

static int set_up(void **state)
{
    (void)state;
    return sodium_init() < 0 ? -1 : keyschedule_register();
}

/* It is the one that contexts of TLS get, which name no provider. */
static void test_is_taken(void **state)
{
    EVP_KDF *function = EVP_KDF_fetch(NULL, "TLS13-KDF", NULL);
    (void)state;

    assert_non_null(function);
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_KDF_get0_provider(function)), "bellhop");
    EVP_KDF_free(function);
}

static void check(const struct order *order, const char *expected)
{
    uint8_t result[32];
    char text[sizeof(result) * 2 + 1];

    assert_true(derive(OURS, order, result, strlen(expected) / 2));
    sodium_bin2hex(text, sizeof(text), result, strlen(expected) / 2);
    assert_string_equal(text, expected);
}

static void test_trace(void **state)
{
    uint8_t early[32];
    uint8_t shared[32];
    uint8_t traffic[32];
    const struct order first = {
        .mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY, .hash = "SHA256", .label = "derived"};
    const struct order second = {.mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY,
                                 .hash = "SHA256",
                                 .label = "derived",
                                 .key = shared,
                                 .key_length = 32,
                                 .salt = early,
                                 .salt_length = 32};
    const struct order key = {.mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY,
                              .hash = "SHA256",
                              .label = "key",
                              .key = traffic,
                              .key_length = 32};
    const struct order iv = {.mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY,
                             .hash = "SHA256",
                             .label = "iv",
                             .key = traffic,
                             .key_length = 32};
    (void)state;

    check(&first, "33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a");
    assert_true(derive(OURS, &first, early, sizeof(early)));
    sodium_hex2bin(shared, sizeof(shared),
                   "8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d", 64, NULL,
                   NULL, NULL);
    check(&second, "1dc826e93606aa6fdc0aadc12f741b01046aa6b99f691ed221a9f0ca043fbeac");
    /* "derive write traffic keys for handshake data", the server's */
    sodium_hex2bin(traffic, sizeof(traffic),
                   "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38", 64, NULL,
                   NULL, NULL);
    check(&key, "3fce516009c21727d0f2e4e86ee403bc");
    check(&iv, "5d313eb2671276ee13000b30");
}

/* Whatever OpenSSL may ask for: with and without each of the parts, of any length. */
static void test_same_as_openssl(void **state)
{
    static const char *const hash_names[] = {"SHA256", "SHA2-256", "SHA384", "SHA2-384"};
    static const char *const labels[] = {"derived", "c hs traffic", "key", "iv", "finished", "a"};
    (void)state;

    for (unsigned round = 0; round < 2000; round++) {
        uint8_t octets[2 * 48 + 512]; /* salt, context, and what was agreed on with ffdhe4096 */
        uint8_t ours[48];
        uint8_t theirs[48];
        const char *hash = hash_names[round % 4];
        size_t size = round % 4 < 2 ? 32 : 48;
        bool expands = round % 3 != 0;
        struct order order = {.mode = expands ? EVP_KDF_HKDF_MODE_EXPAND_ONLY
                                              : EVP_KDF_HKDF_MODE_EXTRACT_ONLY,
                              .hash = hash,
                              .label = labels[randombytes_uniform(6)]};

        randombytes_buf(octets, sizeof(octets));
        if (expands || randombytes_uniform(2) == 0) {
            order.key = octets + 96;
            order.key_length = expands ? size : 1 + randombytes_uniform(512);
        }
        if (!expands && randombytes_uniform(2) == 0) {
            order.salt = octets;
            order.salt_length = size;
        }
        if (expands && randombytes_uniform(2) == 0) {
            order.data = octets + 48;
            order.data_length = randombytes_uniform(49);
        }
        size_t length = expands ? 1 + randombytes_uniform((uint32_t)size) : size;
        assert_true(derive(OURS, &order, ours, length));
        assert_true(derive(THEIRS, &order, theirs, length));
        assert_memory_equal(ours, theirs, length);
    }
}

static void test_refused(void **state)
{
    uint8_t octets[300] = {0};
    uint8_t result[64];
    char label[251] = {0};
    const struct order good = {.mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY,
                               .hash = "SHA256",
                               .label = "key",
                               .key = octets,
                               .key_length = 32};
    struct order bad[8];
    (void)state;

    assert_true(derive(OURS, &good, result, 32));
    assert_false(derive(OURS, &good, result, 33));
    for (size_t i = 0; i < 8; i++)
        bad[i] = good;
    memset(label, 'l', sizeof(label) - 1);
    bad[0].hash = "SHA512";
    bad[1].key = NULL;
    bad[2].key_length = 31;
    bad[3].key_length = 33;
    bad[4].mode = EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND;
    bad[5].label = label;
    bad[6].data = octets;
    bad[6].data_length = 256;
    bad[7].mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY;
    bad[7].salt = octets;
    bad[7].salt_length = 31;
    for (size_t i = 0; i < 8; i++)
        assert_false(derive(OURS, &bad[i], result, 32));
}

static int tear_down(void **state)
{
    (void)state;
    keyschedule_unregister();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_taken),
        cmocka_unit_test(test_trace),
        cmocka_unit_test(test_same_as_openssl),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests_name("pop3d_keyschedule", tests, set_up, tear_down);
}
