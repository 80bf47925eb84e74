#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/tlskey.h"
#include "lib/xalloc.h"

/* What OpenSSL asks for, as Debian has it: RSA of 2048 bits, SHA-256. */
#define SECURITY_BITS 112

/* Nobody sits at the terminal of a server: this keeps OpenSSL from asking for a password. */
static char no_password[] = "";

/* What is loaded, until it is known to be good. */
struct loading {
    struct certbundle_entry *entry;
    const char *certificate_path;
    const char *key_path;
    char *error_r;
    size_t error_size;
};

static int fail(const struct loading *loading, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int fail(const struct loading *loading, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(loading->error_r, loading->error_size, format, arguments);
    va_end(arguments);
    return -1;
}

/* Reads a whole file into a buffer of TLSKEY_SIZE_MAX octets. Returns its length or -1 (errno). */
static ssize_t read_file(const char *path, char *buffer_r)
{
    size_t length = 0;
    ssize_t got = 1;

    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -1;
    while (got > 0 && length < TLSKEY_SIZE_MAX) {
        got = read(fd, buffer_r + length, TLSKEY_SIZE_MAX - length);
        if (got > 0)
            length += (size_t)got;
    }
    int error = got < 0 ? errno : EFBIG;
    close(fd);
    errno = error;
    return got == 0 ? (ssize_t)length : -1;
}

static BIO *open_file(const struct loading *loading, const char *path, const char *what,
                      char *buffer)
{
    ssize_t length = read_file(path, buffer);

    if (length < 0 && errno == EACCES) {
        fail(loading, "cannot read %s: %s; only its owner and root may, so run this as one of them",
             path, strerror(errno));
        return NULL;
    }
    if (length < 0) {
        fail(loading, "cannot read %s: %s; put %s there, in PEM form", path, strerror(errno), what);
        return NULL;
    }
    BIO *file = BIO_new_mem_buf(buffer, (int)length);
    if (file == NULL)
        fail(loading, "cannot read %s: out of memory", path);
    return file;
}

static bool is_strong(X509 *certificate)
{
    int bits = -1;

    if (X509_get0_pubkey(certificate) == NULL ||
        EVP_PKEY_get_security_bits(X509_get0_pubkey(certificate)) < SECURITY_BITS)
        return false;
    /* What has signed itself is trusted for other reasons. */
    return (X509_get_extension_flags(certificate) & EXFLAG_SS) != 0 ||
           X509_get_signature_info(certificate, NULL, NULL, &bits, NULL) != 1 ||
           bits >= SECURITY_BITS;
}

static struct certbundle_octets encode(X509 *certificate)
{
    unsigned char *octets = NULL;
    int length = i2d_X509(certificate, &octets);

    return (struct certbundle_octets){octets, length > 0 ? (size_t)length : 0};
}

/*
 * The next certificate of the file as an issuer's. Returns 1, 0 after the last one, -1 for a weak
 * one. Most chains end in the same few, so what was strong the last time is not parsed again: that
 * takes as long as all of the rest.
 */
static int load_issuer(BIO *file, struct certbundle_octets *octets_r)
{
    static uint8_t strong[CERTBUNDLE_HASH_SIZE];
    uint8_t hash[CERTBUNDLE_HASH_SIZE];
    unsigned char *octets = NULL;
    long length;

    if (PEM_bytes_read_bio(&octets, &length, NULL, PEM_STRING_X509, file, NULL, no_password) != 1)
        return 0;
    crypto_generichash(hash, sizeof(hash), octets, (unsigned long long)length, NULL, 0);
    *octets_r = (struct certbundle_octets){octets, (size_t)length};
    if (memcmp(hash, strong, sizeof(hash)) == 0)
        return 1;
    const unsigned char *at = octets;
    X509 *certificate = d2i_X509(NULL, &at, length);
    bool good = certificate != NULL && at == octets + length && is_strong(certificate);
    X509_free(certificate);
    if (good)
        memcpy(strong, hash, sizeof(hash));
    return good ? 1 : -1;
}

/* All certificates of the file. Returns the server's own, or NULL. */
static X509 *load_chain(const struct loading *loading, BIO *file)
{
    struct certbundle_entry *entry = loading->entry;
    X509 *first = PEM_read_bio_X509(file, NULL, NULL, no_password);
    int next = first != NULL && is_strong(first) ? 1 : -1;

    if (first == NULL) {
        fail(loading,
             "%s holds no certificate; put the server's certificate and its chain there, in PEM "
             "form",
             loading->certificate_path);
        return NULL;
    }
    entry->certificate = encode(first);
    while (next > 0 && entry->issuer_count < CERTBUNDLE_ISSUERS_MAX) {
        next = load_issuer(file, &entry->issuers[entry->issuer_count]);
        entry->issuer_count += next != 0;
    }
    if (next >= 0)
        return first;
    fail(loading,
         "a certificate in %s is damaged or too weak for TLS; get one that is signed with SHA-256, "
         "with a key "
         "of ECDSA P-256 or of RSA with 2048 bits or more",
         loading->certificate_path);
    X509_free(first);
    return NULL;
}

/* Whether TLS 1.3 has signatures for the curve (RFC 8446 section 4.2.3): no client takes others. */
static bool has_known_curve(const EVP_PKEY *key)
{
    static const char *const known[] = {"prime256v1", "secp384r1", "secp521r1"};
    char curve[64];

    if (EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL) != 1)
        return false;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(curve, known[i]) == 0)
            return true;
    return false;
}

static int set_kind(const struct loading *loading, X509 *certificate)
{
    const EVP_PKEY *key = X509_get0_pubkey(certificate);
    const int type = EVP_PKEY_get_base_id(key);

    if (type != EVP_PKEY_RSA && (type != EVP_PKEY_EC || !has_known_curve(key)))
        return fail(loading,
                    "the certificate in %s has a kind of key that mail programs do not know; get "
                    "one for ECDSA with P-256, P-384 or P-521, or for RSA",
                    loading->certificate_path);
    loading->entry->kind = type == EVP_PKEY_RSA ? CERTBUNDLE_RSA : CERTBUNDLE_ECDSA;
    return 0;
}

/*
 * That the certificate tells of which kind its key is saves most of the time that it takes OpenSSL
 * to read one.
 */
static EVP_PKEY *read_key(BIO *file, enum certbundle_kind kind)
{
    unsigned char *octets = NULL;
    long length;

    if (PEM_bytes_read_bio(&octets, &length, NULL, PEM_STRING_EVP_PKEY, file, NULL, no_password) !=
        1)
        return NULL;
    const unsigned char *at = octets;
    EVP_PKEY *key =
        d2i_PrivateKey(kind == CERTBUNDLE_RSA ? EVP_PKEY_RSA : EVP_PKEY_EC, NULL, &at, length);
    at = octets;
    if (key == NULL)
        key = d2i_AutoPrivateKey(NULL, &at, length);
    OPENSSL_clear_free(octets, (size_t)length);
    return key;
}

static int load_key(const struct loading *loading, BIO *file, const X509 *certificate)
{
    unsigned char *octets = NULL;
    int result = 0;

    EVP_PKEY *key = read_key(file, loading->entry->kind);
    if (key == NULL)
        return fail(loading,
                    "%s holds no private key that can be read; put it there in PEM form, not "
                    "encrypted",
                    loading->key_path);
    if (X509_check_private_key(certificate, key) != 1)
        result = fail(loading,
                      "the key in %s does not belong to the first certificate in %s; put both "
                      "files there from one issue",
                      loading->key_path, loading->certificate_path);
    int length = result == 0 ? i2d_PrivateKey(key, &octets) : 0;
    if (result == 0 && length <= 0)
        result = fail(loading, "cannot copy the key in %s: out of memory", loading->key_path);
    loading->entry->key = (struct certbundle_octets){octets, length > 0 ? (size_t)length : 0};
    EVP_PKEY_free(key);
    return result;
}

/* Whether a host can have such a name; an asterisk stands for a whole first label only. */
static bool is_name(const char *text, size_t length)
{
    size_t start = length > 2 && memcmp(text, "*.", 2) == 0 ? 2 : 0;

    if (length == start || length > CERTBUNDLE_NAME_MAX)
        return false;
    for (size_t i = start; i < length; i++)
        if (!isascii(text[i]) ||
            (!isalnum((unsigned char)text[i]) && memchr("-._", text[i], 3) == NULL))
            return false;
    return true;
}

static void add_name(struct certbundle_octets *names, const ASN1_IA5STRING *value)
{
    const char *text = (const char *)ASN1_STRING_get0_data(value);
    const size_t length = (size_t)ASN1_STRING_length(value);

    if (!is_name(text, length))
        return;
    char *all = xrealloc((void *)(uintptr_t)names->octets, names->length + length + 1);
    for (size_t i = 0; i < length; i++)
        all[names->length + i] = (char)tolower((unsigned char)text[i]);
    all[names->length + length] = '\0';
    *names = (struct certbundle_octets){all, names->length + length + 1};
}

static void load_names(struct certbundle_entry *entry, const X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            add_name(&entry->names, name->d.dNSName);
    }
    GENERAL_NAMES_free(names);
}

static int64_t seconds(const ASN1_TIME *time)
{
    struct tm parts;

    return ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) : 0;
}

static void hash(struct certbundle_entry *entry)
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, NULL, 0, sizeof(entry->hash));
    crypto_generichash_update(&state, entry->certificate.octets, entry->certificate.length);
    crypto_generichash_update(&state, entry->key.octets, entry->key.length);
    crypto_generichash_final(&state, entry->hash, sizeof(entry->hash));
}

static int load(const struct loading *loading, BIO *certificate_file, BIO *key_file)
{
    X509 *certificate = load_chain(loading, certificate_file);

    if (certificate == NULL)
        return -1;
    int result = set_kind(loading, certificate);
    if (result == 0)
        result = load_key(loading, key_file, certificate);
    if (result == 0) {
        load_names(loading->entry, certificate);
        loading->entry->not_before = seconds(X509_get0_notBefore(certificate));
        loading->entry->not_after = seconds(X509_get0_notAfter(certificate));
        hash(loading->entry);
    }
    X509_free(certificate);
    return result;
}

int tlskey_load(struct certbundle_entry *entry_r, const char *certificate_path,
                const char *key_path, char *error_r, size_t error_size)
{
    const struct loading loading = {entry_r, certificate_path, key_path, error_r, error_size};
    char certificate_text[TLSKEY_SIZE_MAX];
    char key_text[TLSKEY_SIZE_MAX];
    BIO *key_file = NULL;
    int result = -1;

    memset(entry_r, 0, sizeof(*entry_r));
    error_r[0] = '\0';
    BIO *certificate_file = open_file(&loading, certificate_path,
                                      "the server's certificate and its chain", certificate_text);
    if (certificate_file != NULL)
        key_file = open_file(&loading, key_path, "the private key", key_text);
    if (key_file != NULL)
        result = load(&loading, certificate_file, key_file);
    if (result < 0)
        tlskey_wipe(entry_r);
    BIO_free(key_file);
    BIO_free(certificate_file);
    ERR_clear_error();
    sodium_memzero(key_text, sizeof(key_text));
    sodium_memzero(certificate_text, sizeof(certificate_text));
    return result;
}

void tlskey_wipe(struct certbundle_entry *entry)
{
    OPENSSL_clear_free((void *)(uintptr_t)entry->key.octets, entry->key.length);
    OPENSSL_free((void *)(uintptr_t)entry->certificate.octets);
    for (unsigned i = 0; i < entry->issuer_count; i++)
        OPENSSL_free((void *)(uintptr_t)entry->issuers[i].octets);
    free((void *)(uintptr_t)entry->names.octets);
    sodium_memzero(entry, sizeof(*entry));
}
