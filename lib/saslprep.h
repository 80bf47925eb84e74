#ifndef LIB_SASLPREP_H
#define LIB_SASLPREP_H

#include <stddef.h>

/*
 * SASLprep (RFC 4013), by libidn: one form for what people type as the same name or password on
 * different keyboards and systems. Debian 12 has no library for its successor PRECIS (RFC 8265)
 * that a C program could use.
 */

/* So many times as many octets can come out: U+FDFA is 3, and 18 characters of 33 once prepared. */
#define SASLPREP_GROWTH 11

/*
 * Prepares `length` octets into text_r with a NUL behind them. Returns how many there are, or -1:
 * not UTF-8 (RFC 3629), a character that RFC 4013 section 2.3 forbids, mixed directions, nothing
 * left, or not within `size`. Text that is ASCII alone comes out as it is, control characters too.
 *
 * Characters that Unicode 3.2 did not know are let through: libidn's tables will never know them,
 * so they stay as they are for ever.
 */
long saslprep(char *text_r, size_t size, const char *text, size_t length);

#endif
