#ifndef LIB_SCRAMKEYS_H
#define LIB_SCRAMKEYS_H

#include <stddef.h>
#include <stdint.h>

/*
 * What is kept of a password for SCRAM-SHA-256 (RFC 5802 section 3, RFC 7677): enough to check a
 * proof that somebody knows it, and to prove that the server does. Who has these keys can guess
 * passwords at the price of PBKDF2, and can pretend to be the server, but cannot log in with them.
 */

#define SCRAMKEYS_KEY_SIZE    32
#define SCRAMKEYS_SALT_SIZE   16
#define SCRAMKEYS_SECRET_SIZE 32

/*
 * Each login costs the client as many, some milliseconds. RFC 7677 section 4 asks for 4096 at
 * least, and names 15,000 as what took a machine of its time 0.1 seconds.
 */
#define SCRAMKEYS_ITERATIONS 15000

/* Of the text form with its NUL. */
#define SCRAMKEYS_TEXT_SIZE 128

/* Wiped by its owner. */
struct scramkeys {
    uint32_t iterations;
    uint8_t salt[SCRAMKEYS_SALT_SIZE];
    uint8_t stored_key[SCRAMKEYS_KEY_SIZE];
    uint8_t server_key[SCRAMKEYS_KEY_SIZE];
};

/*
 * The salt for a name: a keyed digest of it. The secret is drawn once for an instance, and every
 * name has a salt, so a stranger who asks for one cannot tell whether there is such a mailbox, nor
 * when its password was changed (RFC 5802 section 9).
 */
void scramkeys_salt(uint8_t salt_r[SCRAMKEYS_SALT_SIZE],
                    const uint8_t secret[SCRAMKEYS_SECRET_SIZE], const char *name);

/*
 * Makes the keys of a password that is in its one form (lib/saslprep.h), with the salt that is in
 * keys->salt; some milliseconds. Returns 0, or -1 where OpenSSL fails.
 */
int scramkeys_make(struct scramkeys *keys, const char *password, size_t length,
                   uint32_t iterations);

/* Keys that fit no password, for a name that has none; keys->salt is left as it is. */
void scramkeys_make_nobody(struct scramkeys *keys);

/* "iterations,salt,StoredKey,ServerKey", the last three in base64. */
void scramkeys_format(const struct scramkeys *keys, char text_r[SCRAMKEYS_TEXT_SIZE]);

/* Returns 0, or -1 where it is not what scramkeys_format() writes. */
int scramkeys_parse(struct scramkeys *keys_r, const char *text);

#endif
