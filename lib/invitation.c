#include <stdio.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "lib/conf.h"
#include "lib/invitation.h"

_Static_assert(sodium_base64_ENCODED_LEN(INVITATION_TOKEN_OCTETS,
                                         sodium_base64_VARIANT_URLSAFE_NO_PADDING) ==
                   INVITATION_TOKEN_SIZE,
               "a token fits");

void invitation_make(struct invitation *invitation_r, const uint8_t octets[INVITATION_TOKEN_OCTETS])
{
    sodium_bin2base64(invitation_r->token, INVITATION_TOKEN_SIZE, octets, INVITATION_TOKEN_OCTETS,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    (void)invitation_digest(invitation_r->digest, invitation_r->token, strlen(invitation_r->token));
    invitation_r->until = (uint64_t)time(NULL) + INVITATION_LIFETIME;
}

void invitation_draw(struct invitation *invitation_r)
{
    uint8_t octets[INVITATION_TOKEN_OCTETS];

    randombytes_buf(octets, sizeof(octets));
    invitation_make(invitation_r, octets);
    sodium_memzero(octets, sizeof(octets));
}

int invitation_digest(uint8_t digest_r[INVITATION_DIGEST_SIZE], const char *token, size_t length)
{
    unsigned char octets[INVITATION_TOKEN_OCTETS];
    size_t size;

    if (length != INVITATION_TOKEN_SIZE - 1 ||
        sodium_base642bin(octets, sizeof(octets), token, length, NULL, &size, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
        return -1;
    sodium_memzero(octets, sizeof(octets));
    crypto_generichash(digest_r, INVITATION_DIGEST_SIZE, (const unsigned char *)token, length, NULL,
                       0);
    return 0;
}

#define PATH "/invitation/"

_Static_assert(INVITATION_LINK_SIZE >= CONF_TEXT_MAX + sizeof(PATH) + INVITATION_TOKEN_SIZE,
               "a link fits");

void invitation_link(char link_r[INVITATION_LINK_SIZE], const char *page_url,
                     const struct invitation *invitation)
{
    size_t length = strlen(page_url);

    while (length > 0 && page_url[length - 1] == '/')
        length--;
    snprintf(link_r, INVITATION_LINK_SIZE, "%.*s" PATH "%s", (int)length, page_url,
             invitation->token);
}
