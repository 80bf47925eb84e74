#ifndef AUTHD_MECHANISM_H
#define AUTHD_MECHANISM_H

#include <stdbool.h>
#include <stddef.h>

#include "authd/scram.h"

/*
 * SASL mechanisms (RFC 4422) as pure steps: octets in, the next challenge or complete credentials
 * out. A new mechanism is a row in the table in mechanism.c.
 */

/* Longer than any address in whatever form it is typed, ADDRESS_MAX. */
#define MECHANISM_NAME_MAX 512

/* Octets of a password. Passphrases are far shorter; it is what a check costs in memory. */
#define MECHANISM_PASSWORD_MAX 512

enum mechanism_result {
    MECHANISM_CHALLENGE,   /* send `challenge` and come back with the client's response */
    MECHANISM_CREDENTIALS, /* name and password are complete */
    MECHANISM_TOKEN,       /* name and token are complete */
    MECHANISM_NAME,        /* the name is complete: go on with mechanism_keys() */
    MECHANISM_FITS,        /* send `challenge`, which tells that the proof fits, and come back */
    MECHANISM_PROVED,      /* the client knows the password that the keys are of */
    MECHANISM_WRONG,       /* no: it does not */
    MECHANISM_AUTHZ,       /* no: asks to act for somebody else; the name is set */
    MECHANISM_DOWNGRADE,   /* no: somebody has changed the list of mechanisms on its way */
    MECHANISM_REFUSED,     /* no: the client has taken note of mechanism_refuse() */
    MECHANISM_MALFORMED    /* no: not what this mechanism sends */
};

/* What a mechanism keeps between two steps. Zeroed before the first; then the caller sets `bound`
 * and `binding` where the client's connection has something to bind to. */
struct exchange {
    unsigned step;
    bool bound;
    uint8_t binding[SCRAM_BINDING_SIZE];
    size_t name_length;
    char name[MECHANISM_NAME_MAX];
    struct scram scram;
};

/* Points into the exchange or into the response, and is valid as long as both are. */
struct mechanism_outcome {
    const char *challenge; /* a C string */
    struct scram_first first;
    char text[SCRAM_MESSAGE_SIZE];
    const char *name;
    size_t name_length;
    const char *password;
    size_t password_length;
    const char *token;
    size_t token_length;
};

struct mechanism {
    const char *name;
    const char *flags; /* as in the handshake's MECH line, tabs between them */
    bool binds;        /* only for a connection with something to bind to */
    /* Of a mechanism that takes tokens: what a refusal tells the client, which answers before it is
     * over. Writes a JSON object with what is known of an issuer of its tokens ("": nothing). */
    void (*refusal)(char *text_r, size_t size, const char *issuer);
    /* One step. `response` is NULL where the client sent no initial response. */
    enum mechanism_result (*step)(struct exchange *exchange, const char *response, size_t length,
                                  struct mechanism_outcome *outcome_r);
};

/* After MECHANISM_NAME, while the response is valid: makes the challenge from the name's keys. */
void mechanism_keys(struct exchange *exchange, const struct scramkeys *keys,
                    struct mechanism_outcome *outcome);

/* Of a mechanism with refusal(), after MECHANISM_TOKEN: the token is none, and the client is told.
 */
void mechanism_refuse(struct exchange *exchange);

/* Ends with a row whose name is NULL. */
extern const struct mechanism mechanisms[];

/* Finds by name in any case, or returns NULL. */
const struct mechanism *mechanism_find(const char *name);

#endif
