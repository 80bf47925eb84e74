#include <stdbool.h>
#include <string.h>
#include <stringprep.h>

#include "lib/saslprep.h"
#include "lib/utf8.h"

static bool is_ascii(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] >= 0x80)
            return false;
    return true;
}

/* libidn frees its buffers without wiping them; text_r is all that is ours. */
long saslprep(char *text_r, size_t size, const char *text, size_t length)
{
    if (length >= size)
        return -1;
    memcpy(text_r, text, length);
    text_r[length] = '\0';
    if (is_ascii(text, length))
        return (long)length;
    if (!utf8_is_valid(text, length) || memchr(text, '\0', length) != NULL ||
        stringprep(text_r, size, 0, stringprep_saslprep) != STRINGPREP_OK)
        return -1;
    size_t prepared = strlen(text_r);
    return prepared > 0 ? (long)prepared : -1;
}
