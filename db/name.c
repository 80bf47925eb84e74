#include <string.h>

#include "db/handle.h"
#include "lib/utf8.h"

/* Names that people gave to things: shown on pages and in listings, so they must stay one line. */

/*
 * C0, DEL and C1; line and paragraph separator; and what turns the direction of what stands behind
 * it, for a name could then look like another one. No script needs it: marks of direction are good.
 */
static bool is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || (code >= 0x2028 && code <= 0x202E) ||
           (code >= 0x2066 && code <= 0x2069);
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
        size_t step = utf8_decode(name + at, length - at, &code);
        if (step == 0 || is_control(code)) {
            return false;
        }
        at += step;
    }
    return true;
}
