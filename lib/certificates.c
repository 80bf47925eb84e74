#include <ctype.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>
#include <utlist.h>

#include "lib/certbundle.h"
#include "lib/certificates.h"
#include "lib/log.h"
#include "lib/xalloc.h"

/* An entry of the bundle, parsed. */
struct parsed {
    uint32_t number;
    uint8_t hash[CERTBUNDLE_HASH_SIZE];
    X509 *certificate;
    EVP_PKEY *key;
    STACK_OF(X509) * issuers;
    struct parsed *prev, *next;
};

/* The certificate of an issuer, which most entries have in common. */
struct issuer {
    const void *octets; /* in the bundle */
    X509 *certificate;
    UT_hash_handle hh;
};

struct certificates {
    struct certbundle *bundle;
    struct certbundle_choice fallback; /* the default ones, of when this was made */
    struct issuer *issuers;
    struct parsed **parsed; /* by number; NULL: not parsed */
    struct parsed *recent;  /* those that are, the one that was used last at the end; utlist DL */
    unsigned parsed_count;
};

struct certificates *certificates_new(int fd)
{
    struct certbundle *bundle = certbundle_open(fd);

    if (bundle == NULL)
        return NULL;
    struct certificates *certificates = xcalloc(1, sizeof(*certificates));
    certificates->bundle = bundle;
    certificates->fallback = certbundle_default(bundle, time(NULL));
    certificates->parsed = xcalloc(certbundle_count(bundle), sizeof(struct parsed *));
    return certificates;
}

bool certificates_are_current(const struct certificates *certificates, int fd)
{
    return certbundle_is_current(certificates->bundle, fd);
}

static void parsed_free(struct parsed *parsed)
{
    sk_X509_pop_free(parsed->issuers, X509_free);
    EVP_PKEY_free(parsed->key);
    X509_free(parsed->certificate);
    free(parsed);
}

static void forget(struct certificates *certificates, struct parsed *parsed)
{
    DL_DELETE(certificates->recent, parsed);
    certificates->parsed[parsed->number] = NULL;
    certificates->parsed_count--;
    parsed_free(parsed);
}

void certificates_free(struct certificates *certificates)
{
    struct issuer *issuer, *next;

    if (certificates == NULL)
        return;
    while (certificates->recent != NULL)
        forget(certificates, certificates->recent);
    HASH_ITER (hh, certificates->issuers, issuer, next) {
        HASH_DEL(certificates->issuers, issuer);
        X509_free(issuer->certificate);
        free(issuer);
    }
    free(certificates->parsed);
    certbundle_close(certificates->bundle);
    free(certificates);
}

static X509 *parse_certificate(struct certbundle_octets octets)
{
    const unsigned char *at = octets.octets;

    return d2i_X509(NULL, &at, (long)octets.length);
}

/* NULL: it is none. The caller has no reference of its own. */
static X509 *issuer_of(struct certificates *certificates, struct certbundle_octets octets)
{
    struct issuer *issuer;

    HASH_FIND_PTR(certificates->issuers, &octets.octets, issuer);
    if (issuer == NULL) {
        X509 *certificate = parse_certificate(octets);
        if (certificate == NULL)
            return NULL;
        issuer = xcalloc(1, sizeof(*issuer));
        issuer->octets = octets.octets;
        issuer->certificate = certificate;
        HASH_ADD_PTR(certificates->issuers, octets, issuer);
    }
    return issuer->certificate;
}

/* Returns whether OpenSSL takes all of it. */
static bool fill(struct certificates *certificates, struct parsed *parsed,
                 const struct certbundle_entry *entry)
{
    const int type = entry->kind == CERTBUNDLE_RSA ? EVP_PKEY_RSA : EVP_PKEY_EC;
    const unsigned char *key = entry->key.octets;

    parsed->certificate = parse_certificate(entry->certificate);
    parsed->key = d2i_PrivateKey(type, NULL, &key, (long)entry->key.length);
    if (parsed->certificate == NULL || parsed->key == NULL)
        return false;
    /* A connection has a copy of the stack, of an empty one too. */
    parsed->issuers = entry->issuer_count > 0 ? sk_X509_new_null() : NULL;
    for (unsigned i = 0; i < entry->issuer_count; i++) {
        X509 *issuer = issuer_of(certificates, entry->issuers[i]);
        if (issuer == NULL || X509_add_cert(parsed->issuers, issuer, X509_ADD_FLAG_UP_REF) != 1)
            return false;
    }
    return true;
}

/* NULL: OpenSSL does not take it, or it is gone: then a signal to look again is on its way. */
static struct parsed *parse(struct certificates *certificates, uint32_t number)
{
    struct certbundle_entry entry;

    if (!certbundle_entry(certificates->bundle, number, &entry))
        return NULL;
    struct parsed *parsed = xcalloc(1, sizeof(*parsed));
    parsed->number = number;
    memcpy(parsed->hash, entry.hash, sizeof(parsed->hash));
    if (!fill(certificates, parsed, &entry)) {
        parsed_free(parsed);
        return NULL;
    }
    while (certificates->parsed_count >= CERTIFICATES_PARSED_MAX)
        forget(certificates, certificates->recent);
    certificates->parsed[number] = parsed;
    certificates->parsed_count++;
    DL_APPEND(certificates->recent, parsed);
    return parsed;
}

static struct parsed *get(struct certificates *certificates, uint32_t number)
{
    struct parsed *parsed = certificates->parsed[number];

    if (parsed == NULL)
        return parse(certificates, number);
    if (certificates->recent->prev != parsed) {
        DL_DELETE(certificates->recent, parsed);
        DL_APPEND(certificates->recent, parsed);
    }
    return parsed;
}

static void log_unusable(const struct certificates *certificates, uint32_t number)
{
    struct certbundle_entry entry;
    char reason[256];

    ERR_error_string_n(ERR_get_error(), reason, sizeof(reason));
    ERR_clear_error();
    if (certbundle_entry(certificates->bundle, number, &entry))
        log_error("OpenSSL does not take the certificate of %s/: %s", entry.label, reason);
}

/* Gives the choice to a context or a connection; returns how many of it OpenSSL takes. */
static unsigned use(struct certificates *certificates, const struct certbundle_choice *choice,
                    SSL_CTX *context, SSL *ssl, crypto_generichash_state *hash)
{
    unsigned used = 0;

    for (unsigned kind = 0; kind < CERTBUNDLE__KINDS; kind++) {
        const uint32_t number = choice->entries[kind];
        const struct parsed *parsed = number != CERTBUNDLE_NONE ? get(certificates, number) : NULL;
        if (parsed != NULL &&
            (context != NULL ? SSL_CTX_use_cert_and_key(context, parsed->certificate, parsed->key,
                                                        parsed->issuers, 1)
                             : SSL_use_cert_and_key(ssl, parsed->certificate, parsed->key,
                                                    parsed->issuers, 1)) == 1) {
            crypto_generichash_update(hash, parsed->hash, sizeof(parsed->hash));
            used++;
        } else if (number != CERTBUNDLE_NONE) {
            log_unusable(certificates, number);
        }
    }
    return used;
}

int certificates_use_default(struct certificates *certificates, SSL_CTX *context,
                             uint8_t hash_r[CERTIFICATES_HASH_SIZE])
{
    crypto_generichash_state hash;

    crypto_generichash_init(&hash, NULL, 0, CERTIFICATES_HASH_SIZE);
    unsigned used = use(certificates, &certificates->fallback, context, NULL, &hash);
    crypto_generichash_final(&hash, hash_r, CERTIFICATES_HASH_SIZE);
    return used > 0 ? 0 : -1;
}

/* No host's name is longer than lower_r. */
static bool lower(const uint8_t *name, size_t length, char lower_r[CERTBUNDLE_NAME_MAX])
{
    if (length > CERTBUNDLE_NAME_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        lower_r[i] = (char)tolower(name[i]);
    return true;
}

bool certificates_use_named(struct certificates *certificates, SSL *ssl, const uint8_t *name,
                            size_t length, uint8_t hash_r[CERTIFICATES_HASH_SIZE])
{
    const struct certbundle_choice *fallback = &certificates->fallback;
    struct certbundle_choice choice;
    char host[CERTBUNDLE_NAME_MAX];
    crypto_generichash_state hash;

    if (!lower(name, length, host) ||
        !certbundle_find(certificates->bundle, host, length, time(NULL), &choice) ||
        memcmp(&choice, fallback, sizeof(choice)) == 0)
        return false;
    SSL_certs_clear(ssl);
    crypto_generichash_init(&hash, NULL, 0, CERTIFICATES_HASH_SIZE);
    if (use(certificates, &choice, NULL, ssl, &hash) == 0) {
        (void)use(certificates, fallback, NULL, ssl, &hash);
        return false;
    }
    crypto_generichash_update(&hash, (const uint8_t *)host, length);
    crypto_generichash_final(&hash, hash_r, CERTIFICATES_HASH_SIZE);
    return true;
}
