#ifndef AUTHD_SCRAM_H
#define AUTHD_SCRAM_H

#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/scramkeys.h"

/*
 * The server's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677): what the messages
 * say, and the proofs. Pure, without an allocation, 7 microseconds a login. What the two
 * proofs are over is taken in message by message, so no message is kept between two.
 *
 * The one channel binding is tls-exporter (RFC 9266).
 */

/* The client's part of the nonce: clients send 16 to 64. */
#define SCRAM_CLIENT_NONCE_MAX 128

/* 192 random bits in base64, with a NUL. */
#define SCRAM_SERVER_NONCE_OCTETS 24
#define SCRAM_SERVER_NONCE_SIZE                                                                    \
    sodium_base64_ENCODED_LEN(SCRAM_SERVER_NONCE_OCTETS, sodium_base64_VARIANT_ORIGINAL)

#define SCRAM_BINDING_SIZE 32

/* Of the server's longest message with its NUL. */
#define SCRAM_MESSAGE_SIZE 256

enum scram_result {
    SCRAM_GOOD,
    SCRAM_AUTHZ,     /* no: asks to act for somebody else; the name is set */
    SCRAM_DOWNGRADE, /* no: see scram_first() */
    SCRAM_WRONG,     /* no: the proof does not fit */
    SCRAM_MALFORMED  /* no: not a message as RFC 5802 section 7 has it */
};

/* What is kept between two messages. Begins zeroed; wiped by its owner. */
struct scram {
    size_t nonce_length;
    char nonce[SCRAM_CLIENT_NONCE_MAX + SCRAM_SERVER_NONCE_SIZE];
    uint8_t header[crypto_hash_sha256_BYTES]; /* digest of what the last message has to repeat */
    uint8_t stored_key[SCRAMKEYS_KEY_SIZE];
    crypto_auth_hmacsha256_state client; /* over the messages so far, with StoredKey */
    crypto_auth_hmacsha256_state server; /* with ServerKey */
};

/* What the client's first message says. */
struct scram_first {
    const char *bare; /* within the message */
    size_t bare_length;
    size_t name_length; /* in name_r */
};

/*
 * Takes the client's first message. The name, as the client's user typed it and at most `size`
 * octets, goes to name_r without a NUL behind it. `binding` is the channel's SCRAM_BINDING_SIZE
 * octets, or NULL where it has none; `plus` tells which mechanism was named.
 *
 * With a binding, the server has announced that it takes it. A client that says that it could but
 * that the server does not has seen another list of mechanisms: SCRAM_DOWNGRADE (section 6).
 */
enum scram_result scram_first(struct scram *scram, struct scram_first *first_r, char *name_r,
                              size_t size, const char *message, size_t length,
                              const uint8_t *binding, bool plus);

/* Draws the server's part of the nonce. */
void scram_draw(char nonce_r[SCRAM_SERVER_NONCE_SIZE]);

/*
 * Makes the server's first message, with what was found for the name. `nonce` is as of
 * scram_draw(), or another one that is no longer.
 */
void scram_challenge(struct scram *scram, const struct scram_first *first,
                     const struct scramkeys *keys, const char *nonce,
                     char message_r[SCRAM_MESSAGE_SIZE]);

/*
 * Takes the client's last message, once. SCRAM_GOOD: the proof fits, and message_r is the server's
 * own.
 */
enum scram_result scram_last(struct scram *scram, const char *message, size_t length,
                             char message_r[SCRAM_MESSAGE_SIZE]);

#endif
