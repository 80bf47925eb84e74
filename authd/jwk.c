#include <sodium.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "authd/jwk.h"

/* Octets of an RSA modulus: 2048 (RFC 7518 section 3.3) to 8192 bits. */
#define RSA_LEAST 256
#define RSA_MOST  1024

#define POINT_MAX     48 /* octets of a coordinate: of P-384 */
#define SIGNATURE_MAX RSA_MOST

struct jwk_algorithm {
    const char *name;
    const char *type;  /* "kty" */
    const char *curve; /* "crv"; NULL: it has none */
    const char *group; /* as OpenSSL calls it */
    size_t octets;     /* of a coordinate or a raw key */
    const char *digest;
    bool pss;
};

static const struct jwk_algorithm algorithms[] = {
    {"RS256", "RSA", NULL, NULL, 0, "SHA256", false},
    {"PS256", "RSA", NULL, NULL, 0, "SHA256", true},
    {"ES256", "EC", "P-256", "prime256v1", 32, "SHA256", false},
    {"ES384", "EC", "P-384", "secp384r1", 48, "SHA384", false},
    {"EdDSA", "OKP", "Ed25519", NULL, 32, NULL, false},
};

const struct jwk_algorithm *jwk_algorithm(const char *name)
{
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
        if (strcmp(algorithms[i].name, name) == 0)
            return &algorithms[i];
    return NULL;
}

/* --- what a key says of itself */

/* Whether a member is this text; also where it is not there, if `missing`. */
static bool member_is(const json_t *key, const char *name, const char *text, bool missing)
{
    const json_t *member = json_object_get(key, name);

    if (member == NULL)
        return missing;
    return json_is_string(member) && strcmp(json_string_value(member), text) == 0;
}

/* RFC 7517 section 4.3 */
static bool may_verify(const json_t *key)
{
    const json_t *operations = json_object_get(key, "key_ops");
    const json_t *operation;
    size_t i;

    if (operations == NULL)
        return true;
    json_array_foreach(operations, i, operation) if (json_is_string(operation) &&
                                                     strcmp(json_string_value(operation),
                                                            "verify") == 0) return true;
    return false;
}

/* The octets of a member in base64url (RFC 7515 section 2), 0 where it is none. */
static size_t member_octets(const json_t *key, const char *name, uint8_t *octets_r, size_t size)
{
    const json_t *member = json_object_get(key, name);
    size_t length;

    if (!json_is_string(member) ||
        sodium_base642bin(octets_r, size, json_string_value(member), json_string_length(member),
                          NULL, &length, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
        return 0;
    return length;
}

static bool has_size(const json_t *key, const struct jwk_algorithm *algorithm)
{
    uint8_t octets[RSA_MOST];

    if (algorithm->octets > 0)
        return member_octets(key, "x", octets, sizeof(octets)) == algorithm->octets;
    const size_t length = member_octets(key, "n", octets, sizeof(octets));
    return length >= RSA_LEAST && octets[0] != 0;
}

bool jwk_is_for(const json_t *key, const struct jwk_algorithm *algorithm, const char *kid)
{
    return json_is_object(key) && member_is(key, "kty", algorithm->type, false) &&
           (algorithm->curve == NULL || member_is(key, "crv", algorithm->curve, false)) &&
           member_is(key, "use", "sig", true) && member_is(key, "alg", algorithm->name, true) &&
           may_verify(key) && (kid == NULL || member_is(key, "kid", kid, false)) &&
           has_size(key, algorithm);
}

/* --- keys as OpenSSL has them; NULL: it is none */

static EVP_PKEY *make_key(const char *type, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);

    if (parameters == NULL || context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    return key;
}

static EVP_PKEY *make_rsa(const json_t *json)
{
    uint8_t octets[RSA_MOST];
    uint8_t exponent[8];
    EVP_PKEY *key = NULL;

    const size_t length = member_octets(json, "n", octets, sizeof(octets));
    const size_t exponent_length = member_octets(json, "e", exponent, sizeof(exponent));
    /* One that is even or 1 would make anything a signature. */
    if (exponent_length == 0 || (exponent[exponent_length - 1] & 1) == 0 ||
        (exponent_length == 1 && exponent[0] < 3))
        return NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *n = BN_bin2bn(octets, (int)length, NULL);
    BIGNUM *e = BN_bin2bn(exponent, (int)exponent_length, NULL);
    if (builder != NULL && n != NULL && e != NULL &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        key = make_key("RSA", builder);
    BN_free(n);
    BN_free(e);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

/* OpenSSL takes no point that is not on the curve. */
static EVP_PKEY *make_ec(const json_t *json, const struct jwk_algorithm *algorithm)
{
    const size_t octets = algorithm->octets;
    uint8_t point[1 + 2 * POINT_MAX] = {POINT_CONVERSION_UNCOMPRESSED};
    EVP_PKEY *key = NULL;

    if (member_octets(json, "x", point + 1, octets) != octets ||
        member_octets(json, "y", point + 1 + octets, octets) != octets)
        return NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (builder != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, algorithm->group, 0) ==
            1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * octets) ==
            1)
        key = make_key("EC", builder);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

static EVP_PKEY *make_ed25519(const json_t *json)
{
    uint8_t octets[32];

    if (member_octets(json, "x", octets, sizeof(octets)) != sizeof(octets))
        return NULL;
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, octets, sizeof(octets));
}

static EVP_PKEY *make(const json_t *json, const struct jwk_algorithm *algorithm)
{
    if (algorithm->curve == NULL)
        return make_rsa(json);
    return algorithm->group != NULL ? make_ec(json, algorithm) : make_ed25519(json);
}

/* --- signatures */

/* RFC 7518 section 3.4: both numbers one behind the other, which OpenSSL wants in DER. */
static size_t to_der(const struct jwk_algorithm *algorithm, const uint8_t *signature, size_t length,
                     uint8_t der_r[SIGNATURE_MAX])
{
    const int octets = (int)algorithm->octets;
    uint8_t *end = der_r;
    int size = 0;

    if (length != 2 * algorithm->octets)
        return 0;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature, octets, NULL);
    BIGNUM *s = BN_bin2bn(signature + octets, octets, NULL);
    if (pair != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(pair, r, s) == 1) {
        size = i2d_ECDSA_SIG(pair, &end);
    } else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(pair);
    return size > 0 ? (size_t)size : 0;
}

static bool set_padding(EVP_PKEY_CTX *context, const struct jwk_algorithm *algorithm)
{
    if (!algorithm->pss)
        return true;
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static bool fits(EVP_PKEY *key, const struct jwk_algorithm *algorithm, const char *text,
                 size_t length, const uint8_t *signature, size_t signature_length)
{
    EVP_PKEY_CTX *parameters; /* the context's own */
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    const bool good =
        context != NULL &&
        EVP_DigestVerifyInit_ex(context, &parameters, algorithm->digest, NULL, NULL, key, NULL) ==
            1 &&
        set_padding(parameters, algorithm) &&
        EVP_DigestVerify(context, signature, signature_length, (const uint8_t *)text, length) == 1;
    EVP_MD_CTX_free(context);
    return good;
}

bool jwk_verify(const json_t *key, const struct jwk_algorithm *algorithm, const char *text,
                size_t length, const uint8_t *signature, size_t signature_length)
{
    uint8_t der[SIGNATURE_MAX];
    bool good = false;

    if (algorithm->group != NULL) {
        signature_length = to_der(algorithm, signature, signature_length, der);
        signature = der;
    }
    EVP_PKEY *made = make(key, algorithm);
    if (made != NULL && signature_length > 0)
        good = fits(made, algorithm, text, length, signature, signature_length);
    EVP_PKEY_free(made);
    ERR_clear_error();
    return good;
}
