#ifndef TESTS_UNIT_PIECES_H
#define TESTS_UNIT_PIECES_H

#include <stddef.h>

struct evbuffer;
struct store_surrogate;

/* Adds the surrogate (lib/surrogate.h) of a whole message that comes `step` octets at a time. */
void surrogate_in_pieces(struct evbuffer *output, const char *octets, size_t length, size_t step);

/* What there is to tell of the surrogate of a message in stored form, found by making it. */
struct store_surrogate surrogate_measured(const char *octets, size_t length);

#endif
