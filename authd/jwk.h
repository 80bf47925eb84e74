#ifndef AUTHD_JWK_H
#define AUTHD_JWK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

/*
 * Public keys of issuers (JSON Web Key, RFC 7517) and what they sign with (RFC 7518, RFC 8037), by
 * OpenSSL. Only signatures that nobody but the issuer can make are known: no "none" and no HMAC,
 * and an algorithm is taken with a key of its own kind alone (RFC 8725 sections 3.1 and 3.2).
 */

struct jwk_algorithm;

/* RS256, PS256, ES256, ES384 and EdDSA (Ed25519), or NULL. The name is compared as it is. */
const struct jwk_algorithm *jwk_algorithm(const char *name);

/*
 * Whether one of a set's keys may verify a signature of this algorithm: its kind, curve and size
 * fit, and "use", "key_ops" and "alg" do not say otherwise. `kid` is NULL where none was named.
 */
bool jwk_is_for(const json_t *key, const struct jwk_algorithm *algorithm, const char *kid);

/* Whether the signature over `text` is by this key, for which jwk_is_for() has said yes. */
bool jwk_verify(const json_t *key, const struct jwk_algorithm *algorithm, const char *text,
                size_t length, const uint8_t *signature, size_t signature_length);

#endif
