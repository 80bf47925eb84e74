#ifndef CLI_NUMBER_H
#define CLI_NUMBER_H

#include <stdint.h>

/* Parses a decimal number from `least` to `most`. Returns 0 or -1. */
int number_parse(const char *text, uint64_t least, uint64_t most, uint64_t *number_r);

/* The same for a size in octets, which may end in K, M or G (powers of 1024). */
int number_parse_size(const char *text, uint64_t least, uint64_t most, uint64_t *number_r);

#define NUMBER_SIZE_TEXT 24

/* A size for a person: "1000", "64M", "1.3G". */
void number_format_size(uint64_t size, char text_r[NUMBER_SIZE_TEXT]);

#endif
