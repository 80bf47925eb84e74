#include "lib/apikey.h"

#include <stdbool.h>
#include <string.h>

#include <sodium.h>

#define PREFIX "bh_"

#define PREFIX_LENGTH (sizeof(PREFIX) - 1)
#define RANDOM_OCTETS 32
#define CHECK_OCTETS  4
#define OCTETS        (RANDOM_OCTETS + CHECK_OCTETS)
#define VARIANT       sodium_base64_VARIANT_URLSAFE_NO_PADDING

_Static_assert(CHECK_OCTETS <= crypto_generichash_BYTES_MIN, "a digest has as many octets");
_Static_assert(sodium_base64_ENCODED_LEN(OCTETS, VARIANT) + PREFIX_LENGTH == APIKEY_TEXT_SIZE,
               "a key fits");

static void make_check(uint8_t check_r[CHECK_OCTETS], const uint8_t *octets)
{
    uint8_t digest[crypto_generichash_BYTES_MIN];

    crypto_generichash(digest, sizeof(digest), octets, RANDOM_OCTETS, NULL, 0);
    memcpy(check_r, digest, CHECK_OCTETS);
}

void apikey_draw(char text_r[APIKEY_TEXT_SIZE])
{
    uint8_t octets[OCTETS];

    randombytes_buf(octets, RANDOM_OCTETS);
    make_check(octets + RANDOM_OCTETS, octets);
    memcpy(text_r, PREFIX, PREFIX_LENGTH);
    sodium_bin2base64(text_r + PREFIX_LENGTH, APIKEY_TEXT_SIZE - PREFIX_LENGTH, octets,
                      sizeof(octets), VARIANT);
    sodium_memzero(octets, sizeof(octets));
}

static bool parse(uint8_t octets_r[OCTETS], const char *text, size_t length)
{
    uint8_t check[CHECK_OCTETS];
    size_t size;

    if (length != APIKEY_TEXT_SIZE - 1 || memcmp(text, PREFIX, PREFIX_LENGTH) != 0 ||
        sodium_base642bin(octets_r, OCTETS, text + PREFIX_LENGTH, length - PREFIX_LENGTH, NULL,
                          &size, NULL, VARIANT) != 0 ||
        size != OCTETS)
        return false;
    make_check(check, octets_r);
    return memcmp(check, octets_r + RANDOM_OCTETS, CHECK_OCTETS) == 0;
}

int apikey_digest(uint8_t digest_r[APIKEY_DIGEST_SIZE], const uint8_t key[APIKEY_KEY_SIZE],
                  const char *text, size_t length)
{
    uint8_t octets[OCTETS];

    bool good = parse(octets, text, length);
    if (good)
        crypto_generichash(digest_r, APIKEY_DIGEST_SIZE, octets, RANDOM_OCTETS, key,
                           APIKEY_KEY_SIZE);
    sodium_memzero(octets, sizeof(octets));
    return good ? 0 : -1;
}
