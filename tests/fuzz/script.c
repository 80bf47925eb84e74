#include <string.h>

#include "tests/fuzz/script.h"

void script_begin(struct script *script, const uint8_t **data, size_t *size)
{
    const uint8_t *end = *size > 0 ? memchr(*data, '\n', *size) : NULL;
    size_t length = end != NULL ? (size_t)(end - *data) : *size;
    size_t taken = end != NULL ? length + 1 : length;

    *script = (struct script){.letters = *data, .length = length, .next = 1};
    *data += taken;
    *size -= taken;
}

unsigned script_draw(struct script *script, unsigned choices)
{
    if (script->length < 2)
        return 0;
    if (script->next == script->length)
        script->next = 1;
    return (uint8_t)(script->letters[script->next++] - 'A') % choices;
}

size_t script_piece(const struct script *script, const uint8_t *data, size_t size)
{
    const uint8_t *end = memchr(data, '\n', size);
    size_t piece = size;

    switch (script->length > 0 ? script->letters[0] : 'A') {
    case 'B': piece = end != NULL ? (size_t)(end - data) + 1 : size; break;
    case 'C': piece = 7; break;
    case 'D': piece = 1; break;
    default: break;
    }
    return piece < size ? piece : size;
}
