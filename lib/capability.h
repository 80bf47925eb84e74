#ifndef LIB_CAPABILITY_H
#define LIB_CAPABILITY_H

#include <stddef.h>
#include <stdint.h>

/*
 * The proof that a mailbox's owner has logged in: authd seals it after a successful check, a front
 * carries it, stored opens the mailbox for it. Only authd and stored hold the key (drawn by the
 * supervisor at each start), so a front that is taken over cannot make one. The tag is keyed
 * BLAKE2b over the other members.
 */

#define CAPABILITY_KEY_SIZE 32
#define CAPABILITY_TAG_SIZE 32

/* Long enough for a busy machine to pass it on, too short to be worth keeping. */
#define CAPABILITY_LIFETIME 30

struct capability {
    uint64_t mailbox; /* the mailbox's id in the account database, above 0 */
    uint64_t session; /* counts from a random number: names the login in all programs' logs */
    uint64_t expires; /* seconds since 1970 */
    uint64_t delay;   /* seconds that the plan wants between two logins; 0: none */
    uint64_t logout;  /* the newest one when the login was checked: later ones end the session
                         (db/logout.h) */
    uint8_t tag[CAPABILITY_TAG_SIZE];
};

/* As one word of hexadecimal digits, for the Dovecot auth protocol. */
#define CAPABILITY_TEXT_SIZE (2 * sizeof(struct capability) + 1)

/* Fills in `tag` for the other members. Only authd calls this. */
void capability_seal(struct capability *capability, const uint8_t key[CAPABILITY_KEY_SIZE]);

/*
 * Tells whether the tag fits and `now` (seconds since 1970) is not past the expiry. Returns 0, or
 * -1 for a forged, damaged or expired one. Constant time in the tag. Only stored calls this.
 */
int capability_check(const struct capability *capability, const uint8_t key[CAPABILITY_KEY_SIZE],
                     uint64_t now);

void capability_format(const struct capability *capability, char text_r[CAPABILITY_TEXT_SIZE]);

/* Returns 0, or -1 when the `length` octets are not what capability_format() makes. */
int capability_parse(struct capability *capability, const char *text, size_t length);

#endif
