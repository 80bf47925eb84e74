#include "lib/signature.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

void signature_secret(char text_r[SIGNATURE_TEXT_SIZE], const uint8_t secret[SIGNATURE_SECRET_SIZE])
{
    static const char prefix[] = "bhw_";
    const size_t length = sizeof(prefix) - 1;
    memcpy(text_r, prefix, length);
    sodium_bin2hex(text_r + length, SIGNATURE_TEXT_SIZE - length, secret, SIGNATURE_SECRET_SIZE);
}

#define MAC_SIZE crypto_auth_hmacsha256_BYTES

static void sign(uint8_t mac_r[MAC_SIZE], const uint8_t secret[SIGNATURE_SECRET_SIZE],
                 uint64_t time, const void *body, size_t length)
{
    crypto_auth_hmacsha256_state state;
    char key[SIGNATURE_TEXT_SIZE];
    char moment[24];

    snprintf(moment, sizeof(moment), "%" PRIu64 ".", time);
    signature_secret(key, secret);
    crypto_auth_hmacsha256_init(&state, (const uint8_t *)key, strlen(key));
    crypto_auth_hmacsha256_update(&state, (const uint8_t *)moment, strlen(moment));
    crypto_auth_hmacsha256_update(&state, body, length);
    crypto_auth_hmacsha256_final(&state, mac_r);
    sodium_memzero(key, sizeof(key));
    sodium_memzero(&state, sizeof(state));
}

void signature_make(char value_r[SIGNATURE_VALUE_SIZE], uint8_t (*secrets)[SIGNATURE_SECRET_SIZE],
                    unsigned count, uint64_t time, const void *body, size_t length)
{
    uint8_t mac[MAC_SIZE];
    char hex[2 * MAC_SIZE + 1];

    size_t size = (size_t)snprintf(value_r, SIGNATURE_VALUE_SIZE, "t=%" PRIu64, time);
    for (unsigned i = 0; i < count && i < SIGNATURE_SECRETS_MAX; i++) {
        sign(mac, secrets[i], time, body, length);
        size += (size_t)snprintf(value_r + size, SIGNATURE_VALUE_SIZE - size, ",v1=%s",
                                 sodium_bin2hex(hex, sizeof(hex), mac, sizeof(mac)));
    }
}
