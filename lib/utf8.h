#ifndef LIB_UTF8_H
#define LIB_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* UTF-8 as RFC 3629 has it: shortest forms only, no surrogates, nothing above U+10FFFF. */

/*
 * Decodes the character at the beginning of `length` octets. Returns its octets (1 to 4), or 0,
 * with *character_r untouched, where no whole character stands: also when `length` is 0.
 */
size_t utf8_decode(const char *text, size_t length, uint32_t *character_r);

/* Whether all of it is UTF-8; also when it is empty. */
bool utf8_is_valid(const char *text, size_t length);

#endif
