#ifndef LIB_COMMONPASSWORD_H
#define LIB_COMMONPASSWORD_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The list of common passwords, texts/common-passwords.txt, built in: who takes over a program or
 * fills a disk cannot shorten it, and a confined program needs no path for it.
 */

/* Whether the word is in it: ASCII letters in lower case, no ASCII but letters and digits. */
bool commonpassword_is(const char *word, size_t length);

#endif
