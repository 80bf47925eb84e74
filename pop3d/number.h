#ifndef POP3D_NUMBER_H
#define POP3D_NUMBER_H

#include <stddef.h>
#include <stdint.h>

/* Numbers on the wire, without printf: a LIST of a large mailbox is nothing but numbers. */

/* Octets that number_format() and number_format_hex() write at most; they write no NUL. */
#define NUMBER_MAX 20

/* Each returns how many octets it wrote. Hexadecimal digits are in lower case. */
size_t number_format(char *text_r, uint64_t number);
size_t number_format_hex(char *text_r, uint64_t number);

/*
 * Parses decimal digits and nothing else. A number that does not fit becomes UINT64_MAX, which is
 * no message's number and more than any message's lines. Returns 0, or -1 for anything else.
 */
int number_parse(uint64_t *number_r, const char *text);

#endif
