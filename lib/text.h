#ifndef LIB_TEXT_H
#define LIB_TEXT_H

#include <stddef.h>

enum text_state { TEXT_GOOD, TEXT_CONTROL, TEXT_NOT_UTF8 };

/*
 * Tells whether the octets are UTF-8 (RFC 3629: shortest forms, no surrogates) without control
 * characters (U+0000 to U+001F, U+007F to U+009F).
 */
enum text_state text_check(const char *text, size_t length);

#endif
