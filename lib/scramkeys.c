/*
 * PBKDF2 is OpenSSL's: libsodium has none, and its SHA-256 does not use the processor's own. The
 * rest is libsodium's, as everywhere.
 */
#include "lib/scramkeys.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* RFC 5802 section 5.1; and no stored text makes a client compute for minutes. */
#define ITERATIONS_LEAST 4096
#define ITERATIONS_MOST  10000000

#define BASE64_SIZE(size) sodium_base64_ENCODED_LEN(size, sodium_base64_VARIANT_ORIGINAL)

_Static_assert(SCRAMKEYS_TEXT_SIZE >= sizeof("4294967295,,,") + BASE64_SIZE(SCRAMKEYS_SALT_SIZE) +
                                          2 * (BASE64_SIZE(SCRAMKEYS_KEY_SIZE)) - 3,
               "the text form fits");
_Static_assert(SCRAMKEYS_KEY_SIZE == crypto_hash_sha256_BYTES, "keys are as long as SHA-256");

void scramkeys_salt(uint8_t salt_r[SCRAMKEYS_SALT_SIZE],
                    const uint8_t secret[SCRAMKEYS_SECRET_SIZE], const char *name)
{
    crypto_generichash(salt_r, SCRAMKEYS_SALT_SIZE, (const uint8_t *)name, strlen(name), secret,
                       SCRAMKEYS_SECRET_SIZE);
}

static void hmac(uint8_t digest_r[SCRAMKEYS_KEY_SIZE], const uint8_t key[SCRAMKEYS_KEY_SIZE],
                 const char *text)
{
    crypto_auth_hmacsha256(digest_r, (const uint8_t *)text, strlen(text), key);
}

int scramkeys_make(struct scramkeys *keys, const char *password, size_t length, uint32_t iterations)
{
    uint8_t salted[SCRAMKEYS_KEY_SIZE];
    uint8_t client_key[SCRAMKEYS_KEY_SIZE];

    keys->iterations = iterations;
    if (PKCS5_PBKDF2_HMAC(password, (int)length, keys->salt, sizeof(keys->salt), (int)iterations,
                          EVP_sha256(), sizeof(salted), salted) != 1)
        return -1;
    hmac(client_key, salted, "Client Key");
    crypto_hash_sha256(keys->stored_key, client_key, sizeof(client_key));
    hmac(keys->server_key, salted, "Server Key");
    sodium_memzero(salted, sizeof(salted));
    sodium_memzero(client_key, sizeof(client_key));
    return 0;
}

void scramkeys_make_nobody(struct scramkeys *keys)
{
    keys->iterations = SCRAMKEYS_ITERATIONS;
    randombytes_buf(keys->stored_key, sizeof(keys->stored_key));
    randombytes_buf(keys->server_key, sizeof(keys->server_key));
}

static char *add_base64(char *at, const uint8_t *octets, size_t size)
{
    *at++ = ',';
    sodium_bin2base64(at, BASE64_SIZE(size), octets, size, sodium_base64_VARIANT_ORIGINAL);
    return at + strlen(at);
}

void scramkeys_format(const struct scramkeys *keys, char text_r[SCRAMKEYS_TEXT_SIZE])
{
    char *at = text_r;

    at += snprintf(text_r, SCRAMKEYS_TEXT_SIZE, "%" PRIu32, keys->iterations);
    at = add_base64(at, keys->salt, sizeof(keys->salt));
    at = add_base64(at, keys->stored_key, sizeof(keys->stored_key));
    add_base64(at, keys->server_key, sizeof(keys->server_key));
}

/* Decodes exactly `size` octets behind a comma. */
static int take_base64(const char **text, uint8_t *octets_r, size_t size)
{
    size_t length;

    if (*(*text)++ != ',')
        return -1;
    if (sodium_base642bin(octets_r, size, *text, strlen(*text), NULL, &length, text,
                          sodium_base64_VARIANT_ORIGINAL) != 0)
        return -1;
    return length == size ? 0 : -1;
}

int scramkeys_parse(struct scramkeys *keys_r, const char *text)
{
    char *end;

    errno = 0;
    unsigned long iterations = strtoul(text, &end, 10);
    if (*text < '1' || *text > '9' || errno != 0 || iterations < ITERATIONS_LEAST ||
        iterations > ITERATIONS_MOST)
        return -1;
    keys_r->iterations = (uint32_t)iterations;
    text = end;
    if (take_base64(&text, keys_r->salt, sizeof(keys_r->salt)) < 0 ||
        take_base64(&text, keys_r->stored_key, sizeof(keys_r->stored_key)) < 0 ||
        take_base64(&text, keys_r->server_key, sizeof(keys_r->server_key)) < 0)
        return -1;
    return *text == '\0' ? 0 : -1;
}
