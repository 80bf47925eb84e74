#include <stdint.h>

#include "cli/text.h"

/* Decodes one character; returns its octets, or 0 for what is not UTF-8. */
static size_t decode(const unsigned char *at, size_t left, uint32_t *character_r)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = at[0] < 0x80             ? 1
                  : (at[0] & 0xe0) == 0xc0 ? 2
                  : (at[0] & 0xf0) == 0xe0 ? 3
                  : (at[0] & 0xf8) == 0xf0 ? 4
                                           : 0;

    if (size == 0 || size > left)
        return 0;
    uint32_t character = size == 1 ? at[0] : at[0] & (0x7fU >> size);
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        character = character << 6 | (at[i] & 0x3f);
    }
    if (character < least[size] || character > 0x10ffff ||
        (character >= 0xd800 && character <= 0xdfff))
        return 0;
    *character_r = character;
    return size;
}

enum text_state text_check(const char *text, size_t length)
{
    const unsigned char *at = (const unsigned char *)text;
    enum text_state state = TEXT_GOOD;
    uint32_t character = 0;

    while (length > 0) {
        size_t size = decode(at, length, &character);
        if (size == 0)
            return TEXT_NOT_UTF8;
        if (character < 0x20 || (character >= 0x7f && character <= 0x9f))
            state = TEXT_CONTROL;
        at += size;
        length -= size;
    }
    return state;
}
