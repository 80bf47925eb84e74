#ifndef LIB_FIELDTOKEN_H
#define LIB_FIELDTOKEN_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The words that a structured header field is made of (RFC 5322 section 3.2), as octets of an
 * unfolded value: a text and where it ends. What is never closed goes to the end.
 */

/* Whether there is nothing but ASCII. */
bool field_is_ascii(const char *at, const char *end);

/* Space or tab. */
bool field_is_space(char octet);

/*
 * The end of the token that begins at `at`, which is not `end`: a quoted string, a comment with
 * those in it, an address or route in angle brackets, a domain literal, or any one octet.
 */
const char *field_token(const char *at, const char *end);

/*
 * Where the token that begins with one of these octets is, or `end`; what is inside of other tokens
 * does not count.
 */
const char *field_find(const char *at, const char *end, const char *octets);

/* Moves both ends over white space. */
void field_trim(const char **at, const char **end);

/*
 * Copies without comments, the quotes of strings and their backslashes. text_r has room for
 * end - at octets. Returns how many there are.
 */
size_t field_unquote(const char *at, const char *end, char *text_r);

#endif
