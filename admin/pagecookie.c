#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <sodium.h>

#include "admin/pagecookie.h"

#define OCTETS  32
#define VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING

_Static_assert(sodium_base64_ENCODED_LEN(OCTETS, VARIANT) == PAGECOOKIE_TOKEN_SIZE, "a token fits");

void pagecookie_draw(char token_r[PAGECOOKIE_TOKEN_SIZE])
{
    uint8_t octets[OCTETS];

    randombytes_buf(octets, sizeof(octets));
    sodium_bin2base64(token_r, PAGECOOKIE_TOKEN_SIZE, octets, sizeof(octets), VARIANT);
    sodium_memzero(octets, sizeof(octets));
}

int pagecookie_digest(uint8_t digest_r[PAGECOOKIE_DIGEST_SIZE], const char *token)
{
    uint8_t octets[OCTETS];
    size_t length;

    if (strnlen(token, PAGECOOKIE_TOKEN_SIZE) != PAGECOOKIE_TOKEN_SIZE - 1 ||
        sodium_base642bin(octets, sizeof(octets), token, PAGECOOKIE_TOKEN_SIZE - 1, NULL, &length,
                          NULL, VARIANT) != 0 ||
        length != sizeof(octets))
        return -1;
    crypto_generichash(digest_r, PAGECOOKIE_DIGEST_SIZE, octets, sizeof(octets), NULL, 0);
    sodium_memzero(octets, sizeof(octets));
    return 0;
}

/* Keyed with the token, so it does not follow from the digest that is kept. */
void pagecookie_csrf(char csrf_r[PAGECOOKIE_TOKEN_SIZE], const char *token)
{
    static const char purpose[] = "changes";
    uint8_t digest[OCTETS];

    crypto_generichash(digest, sizeof(digest), (const unsigned char *)purpose, sizeof(purpose) - 1,
                       (const unsigned char *)token, strlen(token));
    sodium_bin2base64(csrf_r, PAGECOOKIE_TOKEN_SIZE, digest, sizeof(digest), VARIANT);
    sodium_memzero(digest, sizeof(digest));
}

bool pagecookie_csrf_fits(const char *token, const char *csrf)
{
    char right[PAGECOOKIE_TOKEN_SIZE];

    if (csrf == NULL || strlen(csrf) != sizeof(right) - 1)
        return false;
    pagecookie_csrf(right, token);
    bool fits = sodium_memcmp(right, csrf, sizeof(right) - 1) == 0;
    sodium_memzero(right, sizeof(right));
    return fits;
}

static const char *name_of(bool secure)
{
    return secure ? "__Host-bellhop" : "bellhop";
}

void pagecookie_header(char header_r[PAGECOOKIE_HEADER_SIZE], const char *token, bool secure)
{
    snprintf(header_r, PAGECOOKIE_HEADER_SIZE, "%s=%s; Path=/; HttpOnly; SameSite=Strict%s%s",
             name_of(secure), token, secure ? "; Secure" : "",
             token[0] != '\0' ? "" : "; Max-Age=0");
}

int pagecookie_find(char token_r[PAGECOOKIE_TOKEN_SIZE], const char *cookies, bool secure)
{
    const char *name = name_of(secure);
    size_t size = strlen(name);
    unsigned found = 0;

    while (cookies != NULL && *cookies != '\0') {
        cookies += strspn(cookies, " \t;");
        size_t length = strcspn(cookies, ";");
        if (length > size && strncmp(cookies, name, size) == 0 && cookies[size] == '=') {
            if (length - size - 1 != PAGECOOKIE_TOKEN_SIZE - 1)
                return -1;
            memcpy(token_r, cookies + size + 1, PAGECOOKIE_TOKEN_SIZE - 1);
            token_r[PAGECOOKIE_TOKEN_SIZE - 1] = '\0';
            found++;
        }
        cookies += length;
    }
    return found == 1 ? 0 : -1;
}

static const char *skip(const char *text, const char *prefix)
{
    size_t length = strlen(prefix);

    return strncasecmp(text, prefix, length) == 0 ? text + length : NULL;
}

/* The scheme of who came without TLS says nothing: a proxy may have had it. */
static bool is_host(const struct pagecookie_origin *origin)
{
    const char *host = skip(origin->origin, "https://");

    if (host == NULL && !origin->secure)
        host = skip(origin->origin, "http://");
    return host != NULL && origin->host != NULL && strcasecmp(host, origin->host) == 0;
}

/* Without its path. */
static bool is_page_url(const char *origin, const char *page_url)
{
    const char *host = strstr(page_url, "://");
    size_t length = host == NULL ? 0 : (size_t)(host - page_url) + 3 + strcspn(host + 3, "/");

    return length > 0 && strlen(origin) == length && strncasecmp(origin, page_url, length) == 0;
}

bool pagecookie_is_ours(const struct pagecookie_origin *origin, const char *page_url)
{
    if (origin->site != NULL)
        return strcmp(origin->site, "same-origin") == 0 || strcmp(origin->site, "none") == 0;
    return origin->origin == NULL || is_host(origin) || is_page_url(origin->origin, page_url);
}
