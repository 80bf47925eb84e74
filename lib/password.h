#ifndef LIB_PASSWORD_H
#define LIB_PASSWORD_H

#include <stddef.h>
#include <stdint.h>

#include "lib/scramkeys.h"
#include "lib/storedhash.h"

/*
 * Passwords of mailboxes: what can be one, and what is kept of them. Which of them people may
 * choose is in lib/passwordrule.h.
 */

/* Characters, each code point of the prepared form one: the least of NIST SP 800-63B. */
#define PASSWORD_LEAST 8

/*
 * Octets, as typed and as prepared. PASS has 255 for its line (RFC 2449 section 4), so a longer one
 * would be good on one way to log in and not on the other. PLAIN takes 255 (RFC 4616 section 2).
 */
#define PASSWORD_MOST 248

/* Octets that another server's password may have. */
#define PASSWORD_ROOM 512

/* Wiped by its owner with password_wipe() right after use. */
struct password {
    char text[PASSWORD_ROOM + 1];
    size_t length;
};

void password_wipe(struct password *password);

/*
 * Tells whether the octets can be a password: UTF-8 without control characters within the bounds
 * above, which SASLprep takes (lib/saslprep.h), not of the form of an app password
 * (lib/apppassword.h). Nothing is ever cut off. Returns NULL, or one sentence that does not show
 * it.
 */
const char *password_check(const char *text, size_t length);

/* Draws one of 80 random bits, easy to read out and to type. */
void password_generate(struct password *password_r);

/* The same of octets that nobody can guess. */
#define PASSWORD_OCTETS 16
void password_make(struct password *password_r, const uint8_t octets[PASSWORD_OCTETS]);

/* What is kept of a password. Wiped by its owner. */
struct password_kept {
    char hash[STOREDHASH_MAX + 1];
    char scram[SCRAMKEYS_TEXT_SIZE]; /* empty: the password that they would be made of is unknown */
};

/* At what cost, and with which secret of the instance (db/secret.h) the salts of SCRAM are made. */
struct password_cost {
    uint64_t operations; /* as in lib/conf.h */
    uint64_t memory;
    uint8_t salt_secret[SCRAMKEYS_SECRET_SIZE];
};

/*
 * Hashes with Argon2id a password that password_check() takes, and makes the keys for SCRAM, for
 * the mailbox with this address in its one form: tens of milliseconds and of megabytes. From any
 * thread. Returns 0, or -1 where the memory cannot be had.
 */
int password_hash(struct password_kept *kept_r, const struct password_cost *cost,
                  const struct password *password, const char *address);

#endif
