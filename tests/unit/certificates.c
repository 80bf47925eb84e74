#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sodium.h>

#include "lib/xalloc.h"
#include "tests/unit/certificates.h"

#define DAY (24L * 3600)

/* RSA takes long to make, so there is one key of it. */
static EVP_PKEY *make_key(enum certbundle_kind kind)
{
    static EVP_PKEY *rsa;

    if (kind == CERTBUNDLE_ECDSA)
        return EVP_EC_gen("P-256");
    if (rsa == NULL)
        rsa = EVP_RSA_gen(2048);
    EVP_PKEY_up_ref(rsa);
    return rsa;
}

void certificate_make(struct certbundle_entry *entry_r, enum certbundle_kind kind,
                      const char *label, const char *names, size_t length, long not_before)
{
    static long serial;
    unsigned char *octets = NULL;
    EVP_PKEY *key = make_key(kind);
    X509 *certificate = X509_new();
    char *copy = xmalloc(length + 1);

    memcpy(copy, names, length + 1);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), not_before);
    X509_gmtime_adj(X509_getm_notAfter(certificate), not_before + DAY);
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    memset(entry_r, 0, sizeof(*entry_r));
    entry_r->label = label;
    entry_r->kind = kind;
    entry_r->not_before = time(NULL) + not_before;
    entry_r->not_after = entry_r->not_before + DAY;
    entry_r->names = (struct certbundle_octets){copy, length > 0 ? length + 1 : 0};
    int size = i2d_X509(certificate, &octets);
    assert_true(size > 0);
    entry_r->certificate = (struct certbundle_octets){octets, (size_t)size};
    crypto_generichash(entry_r->hash, sizeof(entry_r->hash), octets, (unsigned long long)size, NULL,
                       0);
    octets = NULL;
    size = i2d_PrivateKey(key, &octets);
    assert_true(size > 0);
    entry_r->key = (struct certbundle_octets){octets, (size_t)size};
    X509_free(certificate);
    EVP_PKEY_free(key);
}

void certificate_free(struct certbundle_entry *entry)
{
    OPENSSL_free((void *)(uintptr_t)entry->certificate.octets);
    OPENSSL_free((void *)(uintptr_t)entry->key.octets);
    free((void *)(uintptr_t)entry->names.octets);
}

void certificates_write(int fd, const struct certbundle_entry *entries, unsigned count)
{
    struct certwriter *writer = certwriter_begin(fd);

    for (unsigned i = 0; i < count; i++)
        certwriter_add(writer, &entries[i]);
    assert_int_equal(certwriter_end(writer, time(NULL)), 0);
}
