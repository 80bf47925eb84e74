#include <string.h>

#include "db/handle.h"

/* Names that people gave to things: shown on pages and in listings, so they must stay one line. */

/* The length of the UTF-8 character at `text` (RFC 3629 section 4), or 0. */
static size_t character(const unsigned char *text, uint32_t *code_r)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = text[0] < 0x80 ? 1 : text[0] >> 5 == 6 ? 2 : text[0] >> 4 == 14 ? 3 : 4;
    if (length == 4 && text[0] >> 3 != 30) {
        return 0;
    }
    uint32_t code = length == 1 ? text[0] : text[0] & (0x7FU >> length);
    for (size_t i = 1; i < length; i++) {
        if (text[i] >> 6 != 2) {
            return 0;
        }
        code = code << 6 | (text[i] & 0x3F);
    }
    if (code < least[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
        return 0;
    }
    *code_r = code;
    return length;
}

/* C0, DEL and C1; line and paragraph separator. */
static bool is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029;
}

bool name_is_clean(const char *name, size_t min, size_t max)
{
    size_t length = strnlen(name, max + 1);
    if (length < min || length > max) {
        return false;
    }
    if (length > 0 && (name[0] == ' ' || name[length - 1] == ' ')) {
        return false;
    }
    for (size_t at = 0; at < length;) {
        uint32_t code = 0;
        size_t step = character((const unsigned char *)name + at, &code);
        if (step == 0 || is_control(code)) {
            return false;
        }
        at += step;
    }
    return true;
}
