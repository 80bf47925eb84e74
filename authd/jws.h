#ifndef AUTHD_JWS_H
#define AUTHD_JWS_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

/*
 * What is signed in the compact form (JSON Web Signature, RFC 7515 section 7.1): header, payload
 * and signature, each in base64url, with dots between them. Nothing of it is believed before
 * jws_verify() has said so.
 */

/* Octets of all three: a client's line has some 12,000 for them (CLIENT_LINE_MAX). */
#define JWS_MAX 8192

#define JWS_SIGNATURE_MAX 1024

struct jws {
    const struct jwk_algorithm *algorithm;
    char kid[256];           /* of the key; empty: none is named */
    char type[64];           /* "typ"; empty: there is none */
    const char *signed_text; /* in the caller's text */
    size_t signed_length;
    char payload[JWS_MAX]; /* decoded, with a NUL behind it */
    size_t payload_length;
    uint8_t signature[JWS_SIGNATURE_MAX];
    size_t signature_length;
};

/*
 * Takes it apart; the text stays the caller's, and is needed for jws_verify(). Returns 0; or -1
 * with a phrase for the log in *fault_r (static text). An algorithm that authd/jwk.h does not know
 * is such a fault, and so is an extension that must be understood ("crit").
 */
int jws_parse(struct jws *jws_r, const char *text, size_t length, const char **fault_r);

enum jws_result {
    JWS_GOOD,
    JWS_NO_KEY, /* none of the keys is the one that it names, or could have signed it */
    JWS_WRONG
};

/* Whether one of the keys in the set (RFC 7517 section 5) has signed it. */
enum jws_result jws_verify(const struct jws *jws, const json_t *keys);

#endif
