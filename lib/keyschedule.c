/*
 * OpenSSL gives all parameters with each call (ssl/tls13_enc.c), so there is no context to keep.
 * HMAC is RFC 2104's, Extract and Expand are RFC 5869's; what HMAC takes as its key is never longer
 * than one hash. What the peers have agreed on may be (P-521, ffdhe2048): it is the text there.
 */
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <sodium.h>
#include <stdint.h>
#include <string.h>

#include "lib/keyschedule.h"

#define LABEL_MAX 255
#define HASH_MAX  48
#define BLOCK_MAX 128

struct hash {
    const char *names[2];
    size_t size;
    size_t block;
    EVP_MD *digest;
};

/* Those of the ciphers of TLS 1.3. */
static struct hash hashes[] = {
    {{"SHA2-256", "SHA256"}, 32, 64, NULL},
    {{"SHA2-384", "SHA384"}, 48, 128, NULL},
};

#define HASHES (sizeof(hashes) / sizeof(hashes[0]))

static EVP_MD_CTX *hashing;
static OSSL_PROVIDER *ours;
static OSSL_PROVIDER *theirs;

struct piece {
    const void *octets;
    size_t length;
};

static int hash_pieces(const struct hash *hash, struct piece first, const struct piece *rest,
                       size_t count, uint8_t *result_r)
{
    int good = EVP_DigestInit_ex2(hashing, hash->digest, NULL) &
               EVP_DigestUpdate(hashing, first.octets, first.length);

    for (size_t i = 0; i < count; i++)
        good &= EVP_DigestUpdate(hashing, rest[i].octets, rest[i].length);
    return good & EVP_DigestFinal_ex(hashing, result_r, NULL);
}

static void set_pad(uint8_t pad[BLOCK_MAX], const struct hash *hash, struct piece key, uint8_t with)
{
    const uint8_t *octets = key.octets;

    memset(pad, with, hash->block);
    for (size_t i = 0; i < key.length; i++)
        pad[i] ^= octets[i];
}

/* The key is at most one hash long. */
static int hmac(const struct hash *hash, struct piece key, const struct piece *pieces, size_t count,
                uint8_t *result_r)
{
    uint8_t pad[BLOCK_MAX];
    uint8_t inner[HASH_MAX];
    const struct piece padded = {pad, hash->block};
    const struct piece hashed = {inner, hash->size};

    set_pad(pad, hash, key, 0x36);
    int good = hash_pieces(hash, padded, pieces, count, inner);
    set_pad(pad, hash, key, 0x5c);
    good &= hash_pieces(hash, padded, &hashed, 1, result_r);
    /* What the context still holds is the result, which may be a key. */
    good &= EVP_DigestInit_ex2(hashing, hash->digest, NULL);
    sodium_memzero(pad, sizeof(pad));
    sodium_memzero(inner, sizeof(inner));
    return good;
}

/* What one call is asked for. */
struct order {
    const struct hash *hash;
    struct piece key;    /* HKDF's input, of any length; or to expand what was extracted */
    struct piece salt;   /* the secret before, from which the salt is derived */
    struct piece prefix; /* of the label */
    struct piece label;
    struct piece context;
};

/* HKDF-Expand-Label, of at most one hash. */
static int expand(const struct order *order, struct piece key, struct piece context,
                  uint8_t *result_r, size_t length)
{
    const uint8_t head[] = {(uint8_t)(length >> 8), (uint8_t)length,
                            (uint8_t)(order->prefix.length + order->label.length)};
    const uint8_t context_length = (uint8_t)context.length;
    const uint8_t first = 1;
    uint8_t block[HASH_MAX];
    const struct piece pieces[] = {{head, sizeof(head)}, order->prefix, order->label,
                                   {&context_length, 1}, context,       {&first, 1}};

    if (key.length != order->hash->size || length > order->hash->size ||
        order->prefix.length + order->label.length > LABEL_MAX || context.length > LABEL_MAX)
        return 0;
    int good = hmac(order->hash, key, pieces, sizeof(pieces) / sizeof(pieces[0]), block);
    memcpy(result_r, block, length);
    sodium_memzero(block, sizeof(block));
    return good;
}

/* The next of the three secrets; its salt is Derive-Secret() of the one before, if there is one. */
static int extract(const struct order *order, uint8_t *result_r, size_t length)
{
    static const uint8_t zeros[HASH_MAX];
    const size_t size = order->hash->size;
    uint8_t nothing[HASH_MAX];
    uint8_t salt[HASH_MAX] = {0};
    struct piece input = order->key;

    if (length != size)
        return 0;
    if (order->key.octets == NULL)
        input = (struct piece){zeros, size};
    int good = 1;
    if (order->salt.octets != NULL)
        good = hash_pieces(order->hash, (struct piece){0}, NULL, 0, nothing) &
               expand(order, order->salt, (struct piece){nothing, size}, salt, size);
    good &= hmac(order->hash, (struct piece){salt, size}, &input, 1, result_r);
    sodium_memzero(salt, sizeof(salt));
    return good;
}

/* --- as OpenSSL calls it, see provider-kdf(7) ------------------------------------------------- */

static struct piece find(const OSSL_PARAM *parameters, const char *name)
{
    const OSSL_PARAM *found = OSSL_PARAM_locate_const(parameters, name);
    struct piece piece = {0};

    if (found != NULL)
        piece = (struct piece){found->data, found->data_size};
    return piece;
}

static const struct hash *find_hash(const OSSL_PARAM *parameters)
{
    const char *name = find(parameters, OSSL_KDF_PARAM_DIGEST).octets;

    for (size_t i = 0; name != NULL && i < HASHES; i++)
        if (strcmp(name, hashes[i].names[0]) == 0 || strcmp(name, hashes[i].names[1]) == 0)
            return &hashes[i];
    return NULL;
}

static int derive(void *context, unsigned char *key, size_t length, const OSSL_PARAM parameters[])
{
    const OSSL_PARAM *mode = OSSL_PARAM_locate_const(parameters, OSSL_KDF_PARAM_MODE);
    struct order order = {
        .hash = find_hash(parameters),
        .key = find(parameters, OSSL_KDF_PARAM_KEY),
        .salt = find(parameters, OSSL_KDF_PARAM_SALT),
        .prefix = find(parameters, OSSL_KDF_PARAM_PREFIX),
        .label = find(parameters, OSSL_KDF_PARAM_LABEL),
        .context = find(parameters, OSSL_KDF_PARAM_DATA),
    };
    int wanted;
    (void)context;

    if (order.hash == NULL || mode == NULL || OSSL_PARAM_get_int(mode, &wanted) == 0)
        return 0;
    switch (wanted) {
    case EVP_KDF_HKDF_MODE_EXTRACT_ONLY: return extract(&order, key, length);
    case EVP_KDF_HKDF_MODE_EXPAND_ONLY:
        return expand(&order, order.key, order.context, key, length);
    default: return 0;
    }
}

/* All share one context, for there is nothing in it. */
static void *new_context(void *provider)
{
    return provider;
}

static void free_context(void *context)
{
    (void)context;
}

#define FUNCTION(id, name)                                                                         \
    {                                                                                              \
        id, (void (*)(void))name                                                                   \
    }

static const OSSL_DISPATCH functions[] = {
    FUNCTION(OSSL_FUNC_KDF_NEWCTX, new_context),
    FUNCTION(OSSL_FUNC_KDF_FREECTX, free_context),
    FUNCTION(OSSL_FUNC_KDF_RESET, free_context),
    FUNCTION(OSSL_FUNC_KDF_DERIVE, derive),
    {0, NULL},
};

static const OSSL_ALGORITHM algorithms[] = {
    {OSSL_KDF_NAME_TLS1_3_KDF, "provider=bellhop", functions, "key schedule of TLS 1.3"},
    {NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache_r)
{
    (void)provider;
    *no_cache_r = 0;
    return operation == OSSL_OP_KDF ? algorithms : NULL;
}

static const OSSL_DISPATCH provider_functions[] = {
    FUNCTION(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
    {0, NULL},
};

static int start(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                 void **context_r)
{
    static char nothing;
    (void)handle;
    (void)in;

    *out = provider_functions;
    *context_r = &nothing;
    return 1;
}

/* Of two that can do the same, OpenSSL takes the provider that was loaded first. */
int keyschedule_register(void)
{
    if (OSSL_PROVIDER_add_builtin(NULL, "bellhop", start) != 1 ||
        (ours = OSSL_PROVIDER_load(NULL, "bellhop")) == NULL ||
        (theirs = OSSL_PROVIDER_load(NULL, "default")) == NULL)
        return -1;
    hashing = EVP_MD_CTX_new();
    for (size_t i = 0; i < HASHES; i++)
        hashes[i].digest = EVP_MD_fetch(NULL, hashes[i].names[0], NULL);
    return hashing != NULL && hashes[0].digest != NULL && hashes[1].digest != NULL ? 0 : -1;
}

void keyschedule_unregister(void)
{
    for (size_t i = 0; i < HASHES; i++) {
        EVP_MD_free(hashes[i].digest);
        hashes[i].digest = NULL;
    }
    EVP_MD_CTX_free(hashing);
    OSSL_PROVIDER_unload(ours);
    OSSL_PROVIDER_unload(theirs);
    hashing = NULL;
    ours = theirs = NULL;
}
