#ifndef ADMIN_DISCOVERY_H
#define ADMIN_DISCOVERY_H

#include <stddef.h>

#include "lib/fetchmsg.h"

/*
 * Where an issuer of tokens says what (OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3),
 * and what is taken of it. Texts of others' servers: nothing is believed of them but by whom they
 * come. Sentences are static, and for the customer.
 */

enum discovery_place { DISCOVERY_OPENID, DISCOVERY_OAUTH };

/* Makes the URL of its metadata. The issuer is one of db_issuer_check()'s. */
void discovery_url(char url_r[FETCH_URL_MAX + 1], const char *issuer, enum discovery_place place);

/*
 * Takes the URL of its keys from the metadata, which have to be this very issuer's. Returns 0, or
 * -1 with a sentence.
 */
int discovery_keys_url(char url_r[FETCH_URL_MAX + 1], const char *issuer, const char *text,
                       size_t length, const char **error_r);

/*
 * Takes the keys of a set (RFC 7517) that can verify signatures, and of each what is needed for
 * that, as JSON without spaces of at most `most` octets. To be freed; NULL: there are none, with a
 * sentence.
 */
char *discovery_keys(const char *text, size_t length, size_t most, const char **error_r);

#endif
