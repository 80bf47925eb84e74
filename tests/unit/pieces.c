#include <event2/buffer.h>
#include <stdint.h>
#include <string.h>

#include "lib/storemsg.h"
#include "lib/surrogate.h"
#include "tests/unit/pieces.h"

void surrogate_in_pieces(struct evbuffer *output, const char *octets, size_t length, size_t step)
{
    struct surrogate surrogate;

    surrogate_init(&surrogate);
    while (length > 0) {
        size_t part = step < length ? step : length;
        surrogate_take(&surrogate, octets, part, output);
        octets += part;
        length -= part;
    }
    surrogate_end(&surrogate, output);
    surrogate_clear(&surrogate);
}

/* As a client counts that takes the stuffing away. */
static int64_t octets_of(const char *stored, size_t length)
{
    int64_t octets = (int64_t)length;
    bool start = true;

    for (size_t i = 0; i < length; i++) {
        octets -= start && stored[i] == '.';
        start = stored[i] == '\n';
    }
    return octets;
}

struct store_surrogate surrogate_measured(const char *octets, size_t length)
{
    struct store_surrogate measured = {.version = SURROGATE_VERSION};
    struct evbuffer *output = evbuffer_new();

    surrogate_in_pieces(output, octets, length, length + 1);
    size_t made = evbuffer_get_length(output);
    const char *text = made > 0 ? (const char *)evbuffer_pullup(output, -1) : "";
    measured.needed = made != length || memcmp(text, octets, made) != 0;
    measured.growth = octets_of(text, made) - octets_of(octets, length);
    evbuffer_free(output);
    return measured;
}
