#include <stdint.h>

#include "lib/text.h"
#include "lib/utf8.h"

enum text_state text_check(const char *text, size_t length)
{
    enum text_state state = TEXT_GOOD;
    uint32_t character;

    while (length > 0) {
        size_t size = utf8_decode(text, length, &character);
        if (size == 0)
            return TEXT_NOT_UTF8;
        if (character < 0x20 || (character >= 0x7f && character <= 0x9f))
            state = TEXT_CONTROL;
        text += size;
        length -= size;
    }
    return state;
}
