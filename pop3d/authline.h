#ifndef POP3D_AUTHLINE_H
#define POP3D_AUTHLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/capability.h"

/* Lines of the Dovecot authentication protocol as authd sends them. Parsing only. */

enum auth_outcome {
    AUTH_OK,
    AUTH_CHALLENGE,  /* the mechanism asks the client for more */
    AUTH_REFUSED,    /* no: the credentials are wrong */
    AUTH_SUSPENDED,  /* no: the credentials are right, but the mailbox may not be used */
    AUTH_UNAVAILABLE /* not now */
};

struct auth_answer {
    enum auth_outcome outcome;
    struct capability capability; /* of AUTH_OK */
    const char *challenge;        /* of AUTH_CHALLENGE: base64, points into the line */
};

enum auth_line {
    AUTH_LINE_ANSWER,    /* to the request `id` */
    AUTH_LINE_MECHANISM, /* part of the handshake */
    AUTH_LINE_OTHER,     /* part of the handshake that says nothing to us */
    AUTH_LINE_BAD
};

/* Long enough for a SASL mechanism's name (RFC 4422 section 3.1). */
#define AUTH_MECHANISM_SIZE 21

struct auth_mechanism {
    char name[AUTH_MECHANISM_SIZE];
    bool plaintext; /* sends the password itself: only where nobody can listen */
};

/*
 * Parses one line (without its LF), cutting it up in place. Which outputs are filled in depends
 * on the result.
 */
enum auth_line authline_parse(char *line, uint32_t *id_r, struct auth_answer *answer_r,
                              struct auth_mechanism *mechanism_r);

/* Whether these octets can be a response in base64; "=" alone is not. May be empty. */
bool authline_is_base64(const char *text);

#endif
