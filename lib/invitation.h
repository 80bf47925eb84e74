#ifndef LIB_INVITATION_H
#define LIB_INVITATION_H

#include <stddef.h>
#include <stdint.h>

/*
 * The one-time token with which the owner of a mailbox chooses the first password, or another one
 * (db/invitation.h). Only its digest (BLAKE2b-256 of the token's text, without a key: 128 random
 * bits need none) is kept.
 */

#define INVITATION_DIGEST_SIZE 32
#define INVITATION_LIFETIME    (7 * 24 * 60 * 60) /* seconds */

#define INVITATION_TOKEN_OCTETS 16

/* These as unpadded URL-safe Base64, and a NUL. */
#define INVITATION_TOKEN_SIZE 23

struct invitation {
    char token[INVITATION_TOKEN_SIZE]; /* wiped by the owner of the struct */
    uint8_t digest[INVITATION_DIGEST_SIZE];
    uint64_t until; /* seconds since 1970 */
};

void invitation_draw(struct invitation *invitation_r);

/* The same of octets that nobody can guess. */
void invitation_make(struct invitation *invitation_r,
                     const uint8_t octets[INVITATION_TOKEN_OCTETS]);

/*
 * The link that its holder opens: PAGE_URL/invitation/TOKEN. Wiped by its owner. The page URL is
 * that of lib/conf.h, with or without a slash at its end.
 */
#define INVITATION_LINK_SIZE 300
void invitation_link(char link_r[INVITATION_LINK_SIZE], const char *page_url,
                     const struct invitation *invitation);

/*
 * The digest of a token that somebody showed. Returns 0, or -1: it has not the form of one.
 */
int invitation_digest(uint8_t digest_r[INVITATION_DIGEST_SIZE], const char *token, size_t length);

#endif
