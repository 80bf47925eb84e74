#ifndef LIB_STOREDHASH_H
#define LIB_STOREDHASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What is kept of a password, read: our own Argon2id, or what another server kept, as Dovecot
 * writes it ({SCHEME}hash, or a hash with its $ alone). authd/scheme.h compares passwords.
 *
 * Ours are made of the password as SASLprep has it, others of the octets that somebody typed. So
 * one from elsewhere that looks like ours is stored with {SCHEME} before it: storedhash_import().
 */

#define STOREDHASH_MAX 255 /* octets of the text, as accounts.db has it */

enum storedhash_kind {
    STOREDHASH_OWN,    /* of crypto_pwhash_str(): Argon2id, one lane; never with {SCHEME} */
    STOREDHASH_ARGON2, /* any other Argon2 */
    STOREDHASH_CRYPT,  /* by crypt(): bcrypt, yescrypt, SHA-512, SHA-256 and MD5 */
    STOREDHASH_DIGEST, /* of the password with the salt behind it */
    STOREDHASH_PBKDF2,
    STOREDHASH_SCRAM /* digest of HMAC(PBKDF2 of the password, "Client Key"), RFC 5802 section 3 */
};

enum storedhash_digest { STOREDHASH_MD5, STOREDHASH_SHA1, STOREDHASH_SHA256, STOREDHASH_SHA512 };

enum storedhash_argon2 { STOREDHASH_ARGON2D, STOREDHASH_ARGON2I, STOREDHASH_ARGON2ID };

/* Holds what a guess can be compared with: wiped by its owner. */
struct storedhash {
    enum storedhash_kind kind;
    const char *scheme;            /* as people call it, in capitals */
    char text[STOREDHASH_MAX + 1]; /* STOREDHASH_CRYPT: for crypt() */
    enum storedhash_digest digest; /* the last three kinds */
    enum storedhash_argon2 argon2; /* the first two, and the next two members */
    uint32_t version;              /* 0x10 or 0x13 */
    uint32_t lanes;
    uint32_t iterations; /* passes of Argon2, PBKDF2's and crypt()'s rounds, bcrypt's as 2^cost */
    uint64_t memory;     /* octets that a comparison takes, where they are many */
    size_t salt_length;
    size_t hash_length;
    uint8_t salt[STOREDHASH_MAX];
    uint8_t hash[64];
};

/*
 * Returns 0, or -1 with one sentence in *error_r (static text) that does not show the hash: it is
 * damaged, its scheme is unknown or one that is not taken, which it says with what to do instead.
 */
int storedhash_parse(struct storedhash *hash_r, const char *text, const char **error_r);

/*
 * Checks a hash that comes from elsewhere, its cost too, and writes it as it is to be stored.
 * Returns as storedhash_parse().
 */
int storedhash_import(char stored_r[STOREDHASH_MAX + 1], const char *text, const char **error_r);

/*
 * Whether a comparison takes seconds at most, and memory that a machine has: 256 MiB. Ours are made
 * at the instance's cost, so this is asked of what comes from elsewhere. Returns 0, or -1 with one
 * sentence in *error_r (static text).
 */
int storedhash_check_cost(const struct storedhash *hash, const char **error_r);

/* Whether it needs no upgrade: it is one of ours and costs no less than is configured. */
bool storedhash_is_current(const struct storedhash *hash, uint64_t operations, uint64_t memory);

#endif
