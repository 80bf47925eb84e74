#ifndef ADMIN_PAGECOOKIE_H
#define ADMIN_PAGECOOKIE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The cookie that is a session of the pages (db/pagesession.h), and what keeps other sites from
 * using it. No input or output.
 *
 * Its token is 256 random bits, of which a digest is kept. A second token, which a page has to send
 * with each change in a header of its own, follows from it, so nothing is kept for that.
 */

/* 256 bits as unpadded URL-safe Base64, and a NUL. */
#define PAGECOOKIE_TOKEN_SIZE  44
#define PAGECOOKIE_DIGEST_SIZE 32

/* Wiped by its owner. */
void pagecookie_draw(char token_r[PAGECOOKIE_TOKEN_SIZE]);

/* Returns 0, or -1: it has not the form of one. */
int pagecookie_digest(uint8_t digest_r[PAGECOOKIE_DIGEST_SIZE], const char *token);

/* The token for changes that goes with one that pagecookie_digest() takes. */
void pagecookie_csrf(char csrf_r[PAGECOOKIE_TOKEN_SIZE], const char *token);

/* Whether this is it; NULL is none. */
bool pagecookie_csrf_fits(const char *token, const char *csrf);

#define PAGECOOKIE_HEADER_SIZE 160

/*
 * The value of Set-Cookie: with an empty token, it takes the cookie away. `secure`: the client came
 * over TLS. The name is another then, one that no page of another host and none without TLS can set
 * ("__Host-", RFC 6265bis section 4.1.3.2).
 */
void pagecookie_header(char header_r[PAGECOOKIE_HEADER_SIZE], const char *token, bool secure);

/*
 * Finds the token in the value of Cookie (NULL: there is none). Returns 0; or -1: none, or more
 * than one, of which nobody knows who has set them.
 */
int pagecookie_find(char token_r[PAGECOOKIE_TOKEN_SIZE], const char *cookies, bool secure);

/* What a browser says of a request; NULL: it does not. */
struct pagecookie_origin {
    const char *site;   /* Sec-Fetch-Site */
    const char *origin; /* Origin */
    const char *host;   /* Host */
    bool secure;
};

/*
 * Whether a change may come from there: from a page of ours, or from no page at all. `page_url` is
 * where the pages are (lib/conf.h).
 */
bool pagecookie_is_ours(const struct pagecookie_origin *origin, const char *page_url);

#endif
