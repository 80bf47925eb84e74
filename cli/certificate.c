#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "cli/certificate.h"

#define VALID_DAYS 3650

/* Clients' clocks may be behind ours. */
#define VALID_BEFORE_DAYS 1

int certificate_make_key(FILE *file, const char **error_r)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");

    int result = key != NULL && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) ? 0 : -1;
    if (result < 0)
        *error_r = "OpenSSL cannot make a private key";
    EVP_PKEY_free(key);
    return result;
}

/* RFC 5280 section 4.1.2.2: at most 20 octets, positive; 16 random ones are never met twice. */
static int set_serial(X509 *certificate)
{
    unsigned char octets[16];
    int result = -1;

    if (RAND_bytes(octets, sizeof(octets)) != 1)
        return -1;
    octets[0] &= 0x7f;
    BIGNUM *number = BN_bin2bn(octets, sizeof(octets), NULL);
    if (number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL)
        result = 0;
    BN_free(number);
    return result;
}

/* An address goes in as an address, for clients compare it with those only (RFC 6125). */
static int add_name(GENERAL_NAMES *names, const char *text)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(text);
    ASN1_IA5STRING *domain = ASN1_IA5STRING_new();

    if (name == NULL || domain == NULL || ASN1_STRING_set(domain, text, -1) != 1)
        goto fail;
    if (address != NULL) {
        GENERAL_NAME_set0_value(name, GEN_IPADD, address);
        ASN1_IA5STRING_free(domain);
    } else {
        GENERAL_NAME_set0_value(name, GEN_DNS, domain);
    }
    if (sk_GENERAL_NAME_push(names, name) > 0)
        return 0;
    GENERAL_NAME_free(name);
    return -1;
fail:
    GENERAL_NAME_free(name);
    ASN1_OCTET_STRING_free(address);
    ASN1_IA5STRING_free(domain);
    return -1;
}

static int set_names(X509 *certificate, const char *hostname)
{
    static const char *const local[] = {"localhost", "127.0.0.1", "::1"};
    int result = -1;

    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    if (names == NULL || (strcmp(hostname, local[0]) != 0 && add_name(names, hostname) < 0))
        goto out;
    for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
        if (add_name(names, local[i]) < 0)
            goto out;
    if (X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1)
        result = 0;
out:
    GENERAL_NAMES_free(names);
    return result;
}

/* An authority of its own, so that a client can be told to trust just this file. */
static int set_authority(X509 *certificate)
{
    BASIC_CONSTRAINTS *constraints = BASIC_CONSTRAINTS_new();

    if (constraints == NULL)
        return -1;
    constraints->ca = 1;
    int added =
        X509_add1_ext_i2d(certificate, NID_basic_constraints, constraints, 1, X509V3_ADD_DEFAULT);
    BASIC_CONSTRAINTS_free(constraints);
    return added == 1 ? 0 : -1;
}

/* RFC 5280: a common name has at most 64 octets; the names that count are in the extension. */
static int set_subject(X509 *certificate, const char *hostname)
{
    const char *name = strlen(hostname) <= 64 ? hostname : "bellhop";
    X509_NAME *subject = X509_get_subject_name(certificate);

    if (X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1,
                                   -1, 0) != 1)
        return -1;
    return X509_set_issuer_name(certificate, subject) == 1 ? 0 : -1;
}

static int fill_in(X509 *certificate, EVP_PKEY *key, const char *hostname)
{
    const long day = 24 * 60 * 60;

    if (X509_set_version(certificate, X509_VERSION_3) != 1 || set_serial(certificate) < 0 ||
        X509_gmtime_adj(X509_getm_notBefore(certificate), -VALID_BEFORE_DAYS * day) == NULL ||
        X509_gmtime_adj(X509_getm_notAfter(certificate), VALID_DAYS * day) == NULL ||
        X509_set_pubkey(certificate, key) != 1 || set_subject(certificate, hostname) < 0 ||
        set_authority(certificate) < 0 || set_names(certificate, hostname) < 0)
        return -1;
    return X509_sign(certificate, key, EVP_sha256()) > 0 ? 0 : -1;
}

int certificate_make(FILE *file, FILE *key_file, const char *hostname, const char **error_r)
{
    X509 *certificate = X509_new();
    /* There is nobody to ask, and without this OpenSSL would ask the terminal. */
    char no_pass_phrase[] = "";
    EVP_PKEY *key = PEM_read_PrivateKey(key_file, NULL, NULL, no_pass_phrase);
    int result = -1;

    if (key == NULL)
        *error_r = "it is no private key in PEM form without a pass phrase";
    else if (certificate == NULL || fill_in(certificate, key, hostname) < 0 ||
             PEM_write_X509(file, certificate) != 1)
        *error_r = "OpenSSL cannot make a certificate with it";
    else
        result = 0;
    EVP_PKEY_free(key);
    X509_free(certificate);
    return result;
}
