#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/tlskey.h"
#include "tests/unit/scratch.h"

static EVP_PKEY *make_key(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");

    assert_non_null(key);
    return key;
}

/* A certificate for the key that is valid until `days` from now. */
static X509 *make_certificate(EVP_PKEY *key, long days)
{
    X509 *certificate = X509_new();

    assert_non_null(certificate);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -100L * 24 * 3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), days * 24 * 3600);
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    return certificate;
}

static void write_certificate(const char *path, X509 *certificate, const char *mode)
{
    FILE *file = fopen(path, mode);

    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    assert_int_equal(fclose(file), 0);
}

static void write_key(const char *path, EVP_PKEY *key, const char *mode, const char *password)
{
    FILE *file = fopen(path, mode);

    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, key, password != NULL ? EVP_aes_128_cbc() : NULL,
                                          NULL, 0, NULL, (void *)password),
                     1);
    assert_int_equal(fclose(file), 0);
}

static void write_text(const char *path, const char *text, size_t times)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    while (times-- > 0)
        fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* cert.pem with two certificates, and key.pem. */
static int set_up(void **state)
{
    scratch_enter(state);
    EVP_PKEY *key = make_key();
    EVP_PKEY *issuer_key = make_key();
    X509 *certificate = make_certificate(key, 30);
    X509 *issuer = make_certificate(issuer_key, 30);
    write_certificate("cert.pem", certificate, "w");
    write_certificate("cert.pem", issuer, "a");
    write_key("key.pem", key, "w", NULL);
    write_key("other.pem", issuer_key, "w", NULL);
    write_key("locked.pem", key, "w", "secret");
    X509_free(certificate);
    certificate = make_certificate(key, -1);
    write_certificate("old.pem", certificate, "w");
    write_key("both.pem", key, "w", NULL);
    write_certificate("both.pem", certificate, "a");
    X509_free(certificate);
    X509_free(issuer);
    EVP_PKEY_free(key);
    EVP_PKEY_free(issuer_key);
    write_text("empty.pem", "", 0);
    write_text("text.pem", "not a certificate\n", 10);
    write_text("large.pem", "not a certificate\n", 10000);
    return 0;
}

static size_t count(const struct tlskey *tlskey, const char *what)
{
    char text[TLSKEY_SIZE_MAX + 1];
    size_t found = 0;

    memcpy(text, tlskey->pem, tlskey->length);
    text[tlskey->length] = '\0';
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        found++;
    return found;
}

static void test_good(void **state)
{
    struct tlskey tlskey;
    char error[300] = "";
    (void)state;

    assert_int_equal(tlskey_load(&tlskey, "cert.pem", "key.pem", error, sizeof(error)), 0);
    assert_false(tlskey.expired);
    assert_int_equal(count(&tlskey, "BEGIN CERTIFICATE"), 2);
    assert_int_equal(count(&tlskey, "BEGIN PRIVATE KEY"), 1);
    tlskey_wipe(&tlskey);
    assert_int_equal(tlskey.length, 0);
    assert_int_equal(tlskey.pem[0], 0);
}

/* One file with the key first, as some tools write it, and past its last day. */
static void test_one_file(void **state)
{
    struct tlskey tlskey;
    char error[300] = "";
    (void)state;

    assert_int_equal(tlskey_load(&tlskey, "both.pem", "both.pem", error, sizeof(error)), 0);
    assert_true(tlskey.expired);
    assert_int_equal(count(&tlskey, "BEGIN CERTIFICATE"), 1);
    assert_int_equal(count(&tlskey, "BEGIN PRIVATE KEY"), 1);
    assert_memory_equal(tlskey.pem, "-----BEGIN CERTIFICATE", 22);
    tlskey_wipe(&tlskey);
}

static const struct {
    const char *certificate;
    const char *key;
    const char *says;
} bad[] = {
    {"missing.pem", "key.pem", "missing.pem"},
    {"cert.pem", "missing.pem", "missing.pem"},
    {"empty.pem", "key.pem", "empty.pem holds no certificate"},
    {"text.pem", "key.pem", "text.pem holds no certificate"},
    {"key.pem", "key.pem", "key.pem holds no certificate"},
    {"cert.pem", "text.pem", "text.pem holds no private key"},
    {"cert.pem", "cert.pem", "cert.pem holds no private key"},
    {"cert.pem", "locked.pem", "not encrypted"},
    {"cert.pem", "other.pem", "does not belong"},
    {"large.pem", "key.pem", "large.pem"},
    {".", "key.pem", "cannot read ."},
};

static void test_bad(void **state)
{
    struct tlskey tlskey;
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char error[300] = "";
        if (tlskey_load(&tlskey, bad[i].certificate, bad[i].key, error, sizeof(error)) == 0)
            fail_msg("%s with %s was taken", bad[i].certificate, bad[i].key);
        if (strstr(error, bad[i].says) == NULL)
            fail_msg("%s with %s: %s", bad[i].certificate, bad[i].key, error);
        tlskey_wipe(&tlskey);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good, set_up, scratch_leave),
        cmocka_unit_test_setup_teardown(test_one_file, set_up, scratch_leave),
        cmocka_unit_test_setup_teardown(test_bad, set_up, scratch_leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
