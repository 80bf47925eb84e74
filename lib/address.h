#ifndef LIB_ADDRESS_H
#define LIB_ADDRESS_H

#include <stddef.h>

/*
 * Mail addresses in the one form in which Bellhop stores and compares them: the local part in
 * lower case (ASCII letters only) and prepared with SASLprep (lib/saslprep.h), the domain as
 * lower-case A-labels (IDNA 2008, by libidn2).
 */

#define ADDRESS_LOCAL_MAX  64  /* octets, RFC 5321 section 4.5.3.1.1 */
#define ADDRESS_DOMAIN_MAX 253 /* octets of an A-label domain without its final dot */
#define ADDRESS_MAX        (ADDRESS_LOCAL_MAX + 1 + ADDRESS_DOMAIN_MAX)

struct address {
    char text[ADDRESS_MAX + 1]; /* local@domain */
    char local[ADDRESS_LOCAL_MAX + 1];
    char domain[ADDRESS_DOMAIN_MAX + 1];
};

/*
 * Parses `length` octets as local@domain: a dot-atom (RFC 5321 section 4.1.2) whose local part may
 * also be a quoted string, and may hold UTF-8 (RFC 6531). A quoted local part that could stand
 * unquoted is unquoted. No white space around it, no source route, no address literal.
 * Returns 0, or -1 with one sentence in *error_r (static text) that says what is wrong.
 */
int address_parse(struct address *address_r, const char *text, size_t length, const char **error_r);

/* The domain alone: at least two labels. Returns 0 or -1 as above. */
int address_parse_domain(char domain_r[ADDRESS_DOMAIN_MAX + 1], const char *text, size_t length,
                         const char **error_r);

#endif
