#ifndef AUTHD_TYPED_H
#define AUTHD_TYPED_H

#include <stddef.h>
#include <stdint.h>

#include "authd/cache.h"
#include "authd/mechanism.h"

/*
 * A password in the form that SASLprep gives it, and as it was sent. Ours are hashed in the first
 * form, other servers' in whatever was typed. Wiped by its owner.
 */
struct typed {
    char prepared[MECHANISM_PASSWORD_MAX + 1];
    size_t prepared_length; /* 0: it has no such form */
    const char *raw;
    size_t raw_length; /* 0: it need not be tried */
};

#define TYPED_KEY_SIZE 32

/* In the forms that are to be compared with this hash. `password` stays the caller's. */
void typed_prepare(struct typed *typed_r, const char *hash, const char *password, size_t length);

/* Of the credentials: of all that decides whether the password is right. */
void typed_digest(const struct typed *typed, const char *address, const char *hash,
                  const uint8_t key[TYPED_KEY_SIZE], uint8_t digest_r[CACHE_DIGEST_SIZE]);

#endif
