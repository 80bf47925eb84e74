#ifndef TESTS_UNIT_PIECES_H
#define TESTS_UNIT_PIECES_H

#include <stddef.h>
#include <stdint.h>

struct evbuffer;

/* Adds the surrogate (lib/surrogate.h) of a whole message that comes `step` octets at a time. */
void surrogate_in_pieces(struct evbuffer *output, const char *octets, size_t length,
                         uint64_t top_length, size_t step);

#endif
