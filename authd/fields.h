#ifndef AUTHD_FIELDS_H
#define AUTHD_FIELDS_H

#include <stddef.h>

/*
 * Lines of the Dovecot auth protocol: fields with tabs between them, in which the octet 0x01 and a
 * letter stand for an octet that would break the line.
 */

/* More fields than any client sends (Postfix and Exim: below 16). */
#define FIELDS_MAX 64

/*
 * Splits a line, of which `length` does not count the LF, in place: line[length] must be writable,
 * and the fields are C strings within the line. Returns how many fields there are (at least 1), or
 * -1 for a NUL, a broken escape, an escaped NUL or too many fields.
 */
int fields_split(char *line, size_t length, char *fields_r[FIELDS_MAX]);

/*
 * The value of the first field at or after `first` that begins with `name` and '=', or NULL.
 */
const char *fields_find(char *const fields[], int count, int first, const char *name);

/* Room for an escaped text of this length with its NUL. */
#define FIELDS_ESCAPED_SIZE(length) (2 * (size_t)(length) + 1)

/* Writes a text in escaped form, with a NUL behind it. Returns its length. */
size_t fields_escape(char *escaped_r, const char *text, size_t length);

/* Reads a request id: a decimal number of 32 bits and nothing else. Returns 0 or -1. */
int fields_number(const char *text, unsigned *number_r);

#endif
