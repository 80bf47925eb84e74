#ifndef LIB_SIGNATURE_H
#define LIB_SIGNATURE_H

#include <stddef.h>
#include <stdint.h>

/*
 * How a webhook's requests are signed, so that who gets them knows that they come from here and are
 * not sent again by somebody else: "Bellhop-Signature: t=TIME,v1=SIGNATURE", where the signature is
 * HMAC-SHA-256 in hexadecimal, with the secret's text as the key, of TIME (seconds since 1970, in
 * decimal), "." and the body. While a secret is being replaced there are two, ",v1=" before each,
 * and one that fits is enough.
 */

#define SIGNATURE_SECRET_SIZE 32 /* octets that are drawn */
#define SIGNATURE_TEXT_SIZE   69 /* of its text with the NUL: "bhw_" and 64 hexadecimal digits */
#define SIGNATURE_SECRETS_MAX 2
#define SIGNATURE_VALUE_SIZE  168 /* of the header's value with the NUL */

/* The secret's text, as the webhook's owner has it. */
void signature_secret(char text_r[SIGNATURE_TEXT_SIZE],
                      const uint8_t secret[SIGNATURE_SECRET_SIZE]);

/* The header's value for a body, with 1 to SIGNATURE_SECRETS_MAX secrets. */
void signature_make(char value_r[SIGNATURE_VALUE_SIZE], uint8_t (*secrets)[SIGNATURE_SECRET_SIZE],
                    unsigned count, uint64_t time, const void *body, size_t length);

#endif
