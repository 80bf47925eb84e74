#include <sodium.h>
#include <string.h>

#include "lib/capability.h"

static void make_tag(const struct capability *capability, const uint8_t *key, uint8_t *tag_r)
{
    /* The first word keeps these tags apart from anything else made with the same key. */
    static const char purpose[] = "bellhop capability 3";
    crypto_generichash_state state;

    crypto_generichash_init(&state, key, CAPABILITY_KEY_SIZE, CAPABILITY_TAG_SIZE);
    crypto_generichash_update(&state, (const uint8_t *)purpose, sizeof(purpose));
    crypto_generichash_update(&state, (const uint8_t *)capability,
                              offsetof(struct capability, tag));
    crypto_generichash_final(&state, tag_r, CAPABILITY_TAG_SIZE);
    sodium_memzero(&state, sizeof(state));
}

void capability_seal(struct capability *capability, const uint8_t key[CAPABILITY_KEY_SIZE])
{
    make_tag(capability, key, capability->tag);
}

int capability_check(const struct capability *capability, const uint8_t key[CAPABILITY_KEY_SIZE],
                     uint64_t now)
{
    uint8_t tag[CAPABILITY_TAG_SIZE];

    make_tag(capability, key, tag);
    int fits = sodium_memcmp(tag, capability->tag, sizeof(tag));
    sodium_memzero(tag, sizeof(tag));
    return fits == 0 && now <= capability->expires ? 0 : -1;
}

void capability_format(const struct capability *capability, char text_r[CAPABILITY_TEXT_SIZE])
{
    sodium_bin2hex(text_r, CAPABILITY_TEXT_SIZE, (const uint8_t *)capability, sizeof(*capability));
}

int capability_parse(struct capability *capability, const char *text, size_t length)
{
    size_t size;

    if (length != CAPABILITY_TEXT_SIZE - 1)
        return -1;
    if (sodium_hex2bin((uint8_t *)capability, sizeof(*capability), text, length, NULL, &size,
                       NULL) != 0)
        return -1;
    return size == sizeof(*capability) ? 0 : -1;
}
