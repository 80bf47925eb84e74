#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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
    assert_true(X509_sign(certificate, key, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256()) >
                0);
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

static void write_pair(const char *certificate_path, const char *key_path, EVP_PKEY *key)
{
    X509 *certificate = make_certificate(key, 30);

    write_certificate(certificate_path, certificate, "w");
    write_key(key_path, key, "w", NULL);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void write_others(void)
{
    write_pair("short.pem", "short.key", EVP_RSA_gen(1024));
    write_pair("ed25519.pem", "ed25519.key", EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
    write_pair("curve.pem", "curve.key", EVP_EC_gen("secp256k1"));
    write_pair("p521.pem", "p521.key", EVP_EC_gen("P-521"));
}

/* cert.pem with two certificates, and key.pem; sha1.pem for the same key. */
static int set_up(void **state)
{
    scratch_enter(state);
    write_others();
    EVP_PKEY *key = make_key();
    EVP_PKEY *issuer_key = make_key();
    X509 *certificate = make_certificate(key, 30);
    X509 *issuer = make_certificate(issuer_key, 30);
    write_certificate("cert.pem", certificate, "w");
    write_certificate("cert.pem", issuer, "a");
    write_key("key.pem", key, "w", NULL);
    write_key("other.pem", issuer_key, "w", NULL);
    write_key("locked.pem", key, "w", "secret");
    X509_NAME_add_entry_by_txt(X509_get_issuer_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)"issuer", -1, -1, 0);
    assert_true(X509_sign(certificate, issuer_key, EVP_sha1()) > 0);
    write_certificate("sha1.pem", certificate, "w");
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

static void test_good(void **state)
{
    struct certbundle_entry entry;
    char error[300] = "";
    (void)state;

    assert_int_equal(tlskey_load(&entry, "cert.pem", "key.pem", error, sizeof(error)), 0);
    assert_int_equal(entry.kind, CERTBUNDLE_ECDSA);
    assert_in_range(time(NULL) + 30L * 24 * 3600 - entry.not_after, 0, 300);
    assert_in_range(time(NULL) - 100L * 24 * 3600 - entry.not_before, 0, 300);
    assert_int_equal(entry.issuer_count, 1);
    assert_int_equal(entry.names.length, 0);
    const unsigned char *at = entry.certificate.octets;
    X509 *certificate = d2i_X509(NULL, &at, (long)entry.certificate.length);
    at = entry.key.octets;
    EVP_PKEY *key = d2i_PrivateKey(EVP_PKEY_EC, NULL, &at, (long)entry.key.length);
    assert_int_equal(X509_check_private_key(certificate, key), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
    tlskey_wipe(&entry);
    assert_int_equal(entry.key.length, 0);
    assert_null(entry.key.octets);
}

/* One file with the key first, as some tools write it, and past its last day; another curve. */
static void test_other_good(void **state)
{
    struct certbundle_entry entry;
    char error[300] = "";
    (void)state;

    assert_int_equal(tlskey_load(&entry, "both.pem", "both.pem", error, sizeof(error)), 0);
    assert_true(entry.not_after < time(NULL));
    assert_int_equal(entry.issuer_count, 0);
    tlskey_wipe(&entry);
    assert_int_equal(tlskey_load(&entry, "p521.pem", "p521.key", error, sizeof(error)), 0);
    assert_int_equal(entry.kind, CERTBUNDLE_ECDSA);
    tlskey_wipe(&entry);
}

/* What stands in a certificate, and what of it a host can be called, with a blank after each. */
static const struct {
    const char *written;
    const char *taken;
} names[] = {
    {"DNS:mail.hotel.example", "mail.hotel.example "},
    {"DNS:Mail.HOTEL.example,DNS:*.Hotel.example", "mail.hotel.example *.hotel.example "},
    {"IP:192.0.2.1,DNS:xn--hotl-eqa.example,email:a@hotel.example", "xn--hotl-eqa.example "},
    {"DNS:*,DNS:*.,DNS:f*.example,DNS:a.*.example,DNS:**.example,DNS:hot el.example", ""},
    {"IP:192.0.2.1", ""},
};

static void test_names(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct certbundle_entry entry;
        char error[300] = "";
        char taken[200];
        EVP_PKEY *key = make_key();
        X509 *certificate = make_certificate(key, 30);
        X509_EXTENSION *extension =
            X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names[i].written);
        assert_non_null(extension);
        X509_add_ext(certificate, extension, -1);
        assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
        write_certificate("named.pem", certificate, "w");
        write_key("named.key", key, "w", NULL);
        assert_int_equal(tlskey_load(&entry, "named.pem", "named.key", error, sizeof(error)), 0);
        assert_true(entry.names.length < sizeof(taken));
        if (entry.names.length > 0)
            memcpy(taken, entry.names.octets, entry.names.length);
        taken[entry.names.length] = '\0';
        for (size_t at = 0; at < entry.names.length; at++)
            taken[at] = taken[at] == '\0' ? ' ' : taken[at];
        assert_string_equal(taken, names[i].taken);
        tlskey_wipe(&entry);
        X509_EXTENSION_free(extension);
        X509_free(certificate);
        EVP_PKEY_free(key);
    }
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
    {"short.pem", "short.key", "too weak"},
    {"sha1.pem", "key.pem", "too weak"},
    {"ed25519.pem", "ed25519.key", "get one for ECDSA"},
    {"curve.pem", "curve.key", "get one for ECDSA with P-256"},
    {"cert.pem", "ed25519.key", "does not belong"},
};

static void test_bad(void **state)
{
    struct certbundle_entry entry;
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char error[300] = "";
        if (tlskey_load(&entry, bad[i].certificate, bad[i].key, error, sizeof(error)) == 0)
            fail_msg("%s with %s was taken", bad[i].certificate, bad[i].key);
        if (strstr(error, bad[i].says) == NULL)
            fail_msg("%s with %s: %s", bad[i].certificate, bad[i].key, error);
        tlskey_wipe(&entry);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good, set_up, scratch_leave),
        cmocka_unit_test_setup_teardown(test_other_good, set_up, scratch_leave),
        cmocka_unit_test_setup_teardown(test_names, set_up, scratch_leave),
        cmocka_unit_test_setup_teardown(test_bad, set_up, scratch_leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
