#include <argon2.h>
#include <crypt.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "authd/scheme.h"
#include "lib/log.h"

static const EVP_MD *digest_of(const struct storedhash *hash)
{
    switch (hash->digest) {
    case STOREDHASH_MD5: return EVP_md5();
    case STOREDHASH_SHA1: return EVP_sha1();
    case STOREDHASH_SHA256: return EVP_sha256();
    case STOREDHASH_SHA512: return EVP_sha512();
    }
    return NULL;
}

/* The next functions compute a hash of hash->hash_length octets. They return 0, or -1. */

/*
 * Not by crypto_pwhash_str_verify(): for a lack of memory that gives the same answer as for a wrong
 * password (libsodium 1.0.18), and clients with the right one would ask their users for another.
 */
static int compute_own(const struct storedhash *hash, const char *password, size_t length,
                       uint8_t *octets_r)
{
    return crypto_pwhash(octets_r, hash->hash_length, password, length, hash->salt,
                         hash->iterations, hash->memory, crypto_pwhash_ALG_ARGON2ID13);
}

/* All lanes in this thread: others are there for other passwords. */
static int compute_argon2(const struct storedhash *hash, const char *password, size_t length,
                          uint8_t *octets_r)
{
    static const argon2_type types[] = {[STOREDHASH_ARGON2D] = Argon2_d,
                                        [STOREDHASH_ARGON2I] = Argon2_i,
                                        [STOREDHASH_ARGON2ID] = Argon2_id};
    argon2_context context = {.outlen = (uint32_t)hash->hash_length,
                              .pwd = (uint8_t *)password,
                              .pwdlen = (uint32_t)length,
                              .salt = (uint8_t *)hash->salt,
                              .saltlen = (uint32_t)hash->salt_length,
                              .t_cost = hash->iterations,
                              .m_cost = (uint32_t)(hash->memory / 1024),
                              .lanes = hash->lanes,
                              .threads = 1,
                              .version = hash->version};

    context.out = octets_r;
    return argon2_ctx(&context, types[hash->argon2]) == ARGON2_OK ? 0 : -1;
}

static int compute_digest(const struct storedhash *hash, const char *password, size_t length,
                          uint8_t *octets_r)
{
    uint8_t octets[MECHANISM_PASSWORD_MAX + sizeof(hash->salt)];

    memcpy(octets, password, length);
    memcpy(octets + length, hash->salt, hash->salt_length);
    int done =
        EVP_Digest(octets, length + hash->salt_length, octets_r, NULL, digest_of(hash), NULL);
    sodium_memzero(octets, sizeof(octets));
    return done == 1 ? 0 : -1;
}

static int compute_pbkdf2(const struct storedhash *hash, const char *password, size_t length,
                          uint8_t *octets_r)
{
    return PKCS5_PBKDF2_HMAC(password, (int)length, hash->salt, (int)hash->salt_length,
                             (int)hash->iterations, digest_of(hash), (int)hash->hash_length,
                             octets_r) == 1
               ? 0
               : -1;
}

/* RFC 5802 section 3: StoredKey */
static int compute_scram(const struct storedhash *hash, const char *password, size_t length,
                         uint8_t *octets_r)
{
    static const uint8_t label[] = "Client Key";
    const EVP_MD *digest = digest_of(hash);
    uint8_t salted[EVP_MAX_MD_SIZE];
    uint8_t key[EVP_MAX_MD_SIZE];

    int done = compute_pbkdf2(hash, password, length, salted);
    if (done == 0 && (HMAC(digest, salted, (int)hash->hash_length, label, sizeof(label) - 1, key,
                           NULL) == NULL ||
                      EVP_Digest(key, hash->hash_length, octets_r, NULL, digest, NULL) != 1))
        done = -1;
    sodium_memzero(salted, sizeof(salted));
    sodium_memzero(key, sizeof(key));
    return done;
}

static enum scheme_result no_memory(void)
{
    log_error("a password could not be hashed for want of memory; lower hash_threads or "
              "hash_memory");
    return SCHEME_BROKEN;
}

static enum scheme_result compare_crypt(const struct storedhash *hash, const char *password,
                                        size_t length)
{
    char phrase[MECHANISM_PASSWORD_MAX + 1];
    struct crypt_data data = {0};
    enum scheme_result result = SCHEME_WRONG;

    memcpy(phrase, password, length);
    phrase[length] = '\0';
    const char *text = crypt_rn(phrase, hash->text, &data, sizeof(data));
    if (text != NULL && strlen(text) == strlen(hash->text) &&
        sodium_memcmp(text, hash->text, strlen(text)) == 0)
        result = SCHEME_FITS;
    else if (text == NULL && errno == ENOMEM)
        result = no_memory();
    sodium_memzero(&data, sizeof(data));
    sodium_memzero(phrase, sizeof(phrase));
    return result;
}

static int compute(const struct storedhash *hash, const char *password, size_t length,
                   uint8_t *octets_r)
{
    switch (hash->kind) {
    case STOREDHASH_OWN: return compute_own(hash, password, length, octets_r);
    case STOREDHASH_ARGON2: return compute_argon2(hash, password, length, octets_r);
    case STOREDHASH_CRYPT: break;
    case STOREDHASH_DIGEST: return compute_digest(hash, password, length, octets_r);
    case STOREDHASH_PBKDF2: return compute_pbkdf2(hash, password, length, octets_r);
    case STOREDHASH_SCRAM: return compute_scram(hash, password, length, octets_r);
    }
    return -1;
}

enum scheme_result scheme_compare(const struct storedhash *hash, const char *password,
                                  size_t length)
{
    uint8_t octets[sizeof(hash->hash)];

    if (hash->kind == STOREDHASH_CRYPT)
        return compare_crypt(hash, password, length);
    if (compute(hash, password, length, octets) < 0)
        return no_memory();
    bool same = sodium_memcmp(octets, hash->hash, hash->hash_length) == 0;
    sodium_memzero(octets, sizeof(octets));
    return same ? SCHEME_FITS : SCHEME_WRONG;
}

void scheme_init(void)
{
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
        log_fatal("OpenSSL does not work on this machine");
}
