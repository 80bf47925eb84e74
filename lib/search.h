#ifndef LIB_SEARCH_H
#define LIB_SEARCH_H

#include <stdbool.h>

/*
 * Looking for a part of a text without regard to case: both are folded as RFC 3454 says it of table
 * B.2 and then brought to NFKC, so "STRASSE" is in "Straße". Letters that Unicode has had since 3.2
 * are each only themselves.
 */

/* Octets of a part, and of the texts it is looked for in; what is behind them is not looked at. */
#define SEARCH_TEXT_MAX 400

/* Folded, a character of three octets becomes 33 at most (U+FDFA). */
#define SEARCH_FOLDED_SIZE (SEARCH_TEXT_MAX * 11 + 1)

struct search {
    char folded[SEARCH_FOLDED_SIZE]; /* empty: any text fits */
};

/* `part` is UTF-8; NULL: any text fits. */
void search_begin(struct search *search_r, const char *part);

bool search_fits(const struct search *search, const char *text);

/* The same of an address or a domain (lib/address.h): as it is, and as people write its domain. */
bool search_fits_address(const struct search *search, const char *text);

#endif
