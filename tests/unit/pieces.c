#include "tests/unit/pieces.h"
#include "lib/surrogate.h"

void surrogate_in_pieces(struct evbuffer *output, const char *octets, size_t length,
                         uint64_t top_length, size_t step)
{
    struct surrogate surrogate;

    surrogate_init(&surrogate, top_length);
    while (length > 0) {
        size_t part = step < length ? step : length;
        surrogate_take(&surrogate, octets, part, output);
        octets += part;
        length -= part;
    }
    surrogate_end(&surrogate, output);
    surrogate_clear(&surrogate);
}
