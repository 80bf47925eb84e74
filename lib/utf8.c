#include "lib/utf8.h"

/* The octets of the character that begins with this one, or 0: none does. */
static size_t length_of(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first >> 5 == 0x06)
        return 2;
    if (first >> 4 == 0x0e)
        return 3;
    return first >> 3 == 0x1e ? 4 : 0;
}

size_t utf8_decode(const char *text, size_t length, uint32_t *character_r)
{
    /* By the octets of a character: a smaller one has a shorter form. */
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *at = (const unsigned char *)text;
    size_t size = length > 0 ? length_of(at[0]) : 0;

    if (size == 0 || size > length)
        return 0;
    uint32_t character = size == 1 ? at[0] : at[0] & (0x7fU >> size);
    for (size_t i = 1; i < size; i++) {
        if (at[i] >> 6 != 2)
            return 0;
        character = character << 6 | (at[i] & 0x3fU);
    }
    if (character < least[size] || character > 0x10ffff ||
        (character >= 0xd800 && character <= 0xdfff))
        return 0;
    *character_r = character;
    return size;
}

bool utf8_is_valid(const char *text, size_t length)
{
    uint32_t character;

    while (length > 0) {
        size_t size = utf8_decode(text, length, &character);
        if (size == 0)
            return false;
        text += size;
        length -= size;
    }
    return true;
}
