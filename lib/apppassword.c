#include <sodium.h>
#include <string.h>

#include "lib/apppassword.h"

/* As password_generate() has it: 32 characters, 5 bits each. */
static const char alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789";

#define CHARACTERS 28
#define GROUP      4

/* The octets, then 12 bits of their digest, and 4 that are not written. */
struct filled {
    uint8_t octets[APPPASSWORD_OCTETS + 2];
};

_Static_assert(CHARACTERS * 5 == APPPASSWORD_OCTETS * 8 + 12, "the characters hold all bits");
_Static_assert(CHARACTERS + CHARACTERS / GROUP == APPPASSWORD_TEXT_SIZE, "the text fits");

static void fill(struct filled *filled_r, const uint8_t octets[APPPASSWORD_OCTETS])
{
    uint8_t digest[crypto_generichash_BYTES_MIN];

    crypto_generichash(digest, sizeof(digest), octets, APPPASSWORD_OCTETS, NULL, 0);
    memcpy(filled_r->octets, octets, APPPASSWORD_OCTETS);
    filled_r->octets[APPPASSWORD_OCTETS] = digest[0];
    filled_r->octets[APPPASSWORD_OCTETS + 1] = digest[1] & 0xf0;
    sodium_memzero(digest, sizeof(digest));
}

/* The five bits from this one on, the highest of the first octet being number 0. */
static unsigned five_bits(const struct filled *filled, size_t bit)
{
    size_t octet = bit / 8;
    unsigned pair = (unsigned)filled->octets[octet] << 8;

    if (octet + 1 < sizeof(filled->octets))
        pair |= filled->octets[octet + 1];
    return pair >> (11 - bit % 8) & 0x1f;
}

void apppassword_draw(uint8_t octets_r[APPPASSWORD_OCTETS], char text_r[APPPASSWORD_TEXT_SIZE])
{
    struct filled filled;
    char *at = text_r;

    randombytes_buf(octets_r, APPPASSWORD_OCTETS);
    fill(&filled, octets_r);
    for (size_t i = 0; i < CHARACTERS; i++) {
        if (i > 0 && i % GROUP == 0)
            *at++ = '-';
        *at++ = alphabet[five_bits(&filled, 5 * i)];
    }
    *at = '\0';
    sodium_memzero(&filled, sizeof(filled));
}

/* Five bits, or 32 for another character. */
static unsigned value_of(char character)
{
    if (character >= 'A' && character <= 'Z')
        character = (char)(character - 'A' + 'a');
    const char *found = character != '\0' ? strchr(alphabet, character) : NULL;
    return found != NULL ? (unsigned)(found - alphabet) : 32;
}

/* Collects the characters' bits. Returns 0, or -1 for another number or kind of characters. */
static int collect(struct filled *filled_r, const char *text, size_t length)
{
    size_t count = 0;

    memset(filled_r, 0, sizeof(*filled_r));
    for (size_t i = 0; i < length; i++) {
        if (text[i] == ' ' || text[i] == '-')
            continue;
        unsigned value = value_of(text[i]);
        if (value == 32 || count == CHARACTERS)
            return -1;
        size_t bit = 5 * count++;
        unsigned pair = value << (11 - bit % 8);
        filled_r->octets[bit / 8] |= (uint8_t)(pair >> 8);
        if (bit / 8 + 1 < sizeof(filled_r->octets))
            filled_r->octets[bit / 8 + 1] |= (uint8_t)pair;
    }
    return count == CHARACTERS ? 0 : -1;
}

int apppassword_parse(uint8_t octets_r[APPPASSWORD_OCTETS], const char *text, size_t length)
{
    struct filled typed;
    struct filled right;

    int result = collect(&typed, text, length);
    if (result == 0) {
        fill(&right, typed.octets);
        result = sodium_memcmp(&typed, &right, sizeof(typed));
        memcpy(octets_r, typed.octets, APPPASSWORD_OCTETS);
        sodium_memzero(&right, sizeof(right));
    }
    sodium_memzero(&typed, sizeof(typed));
    return result;
}

void apppassword_digest(uint8_t digest_r[APPPASSWORD_DIGEST_SIZE],
                        const uint8_t key[APPPASSWORD_KEY_SIZE], uint64_t mailbox,
                        const uint8_t octets[APPPASSWORD_OCTETS])
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, key, APPPASSWORD_KEY_SIZE, APPPASSWORD_DIGEST_SIZE);
    crypto_generichash_update(&state, (const uint8_t *)&mailbox, sizeof(mailbox));
    crypto_generichash_update(&state, octets, APPPASSWORD_OCTETS);
    crypto_generichash_final(&state, digest_r, APPPASSWORD_DIGEST_SIZE);
    sodium_memzero(&state, sizeof(state));
}
