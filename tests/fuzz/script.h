#ifndef TESTS_FUZZ_SCRIPT_H
#define TESTS_FUZZ_SCRIPT_H

#include <stddef.h>
#include <stdint.h>

/*
 * What the world around a session does, as the first line of an input says: one letter for each
 * decision, and from the beginning again after the last. A means that all goes well, and so does
 * an empty line. The rest of the input is what the client sends.
 */
struct script {
    const uint8_t *letters;
    size_t length;
    size_t next;
};

/* Takes the first line off the input. */
void script_begin(struct script *script, const uint8_t **data, size_t *size);

/* The next decision, below `choices`. */
unsigned script_draw(struct script *script, unsigned choices);

/*
 * How many of the `size` octets that are left come at once, at least 1: by the first letter, in all
 * of the input, A all of them, B a line, C seven, D one.
 */
size_t script_piece(const struct script *script, const uint8_t *data, size_t size);

#endif
