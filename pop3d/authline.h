#ifndef POP3D_AUTHLINE_H
#define POP3D_AUTHLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/capability.h"
#include "lib/language.h"

/* Lines of the Dovecot authentication protocol as authd sends them. Parsing only. */

enum auth_outcome {
    AUTH_OK,
    AUTH_CHALLENGE,   /* the mechanism asks the client for more */
    AUTH_REFUSED,     /* no: the credentials are wrong */
    AUTH_MALFORMED,   /* no: the client's data is not what the mechanism sends */
    AUTH_SUSPENDED,   /* no: the credentials are right, but the mailbox may not be used */
    AUTH_FOR_ANOTHER, /* no: asks to act for somebody else */
    AUTH_DELAYED,     /* not now: too many wrong passwords */
    AUTH_UNAVAILABLE  /* not now */
};

struct auth_answer {
    enum auth_outcome outcome;
    struct capability capability; /* of AUTH_OK */
    uint32_t retention_days;      /* of AUTH_OK; 0: messages stay */
    enum language language;       /* of AUTH_OK */
    uint32_t seconds;             /* of AUTH_DELAYED: until it is worth while to come again */
    const char *challenge;        /* of AUTH_CHALLENGE: base64, points into the line */
};

enum auth_line {
    AUTH_LINE_ANSWER,    /* to the request `id` */
    AUTH_LINE_MECHANISM, /* part of the handshake */
    AUTH_LINE_PLANS,     /* what all plans have in common, also later */
    AUTH_LINE_DONE,      /* the end of the handshake */
    AUTH_LINE_OTHER,     /* part of the handshake that says nothing to us */
    AUTH_LINE_BAD
};

/* Long enough for a SASL mechanism's name (RFC 4422 section 3.1). */
#define AUTH_MECHANISM_SIZE 21

struct auth_mechanism {
    char name[AUTH_MECHANISM_SIZE];
    bool plaintext; /* sends the password itself */
    bool binds;     /* binds to the TLS connection, and needs one that can be bound to */
    bool tokens;    /* takes tokens, and is of use where any are taken */
};

/* What all plans have in common. A retention of 0 days is the longest. */
struct auth_plans {
    bool known;
    uint32_t retention_least, retention_most;
    uint32_t poll_least, poll_most; /* seconds from one login to the next */
    bool tokens;                    /* some customer has an issuer of tokens */
};

/* What a line tells. */
struct auth_told {
    uint32_t id; /* with `answer` */
    struct auth_answer answer;
    struct auth_mechanism mechanism;
    struct auth_plans plans;
};

/*
 * Parses one line (without its LF), cutting it up in place. Fills in what goes with the result; the
 * rest is zero.
 */
enum auth_line authline_parse(char *line, struct auth_told *told_r);

/* Whether these octets can be a response in base64; "=" alone is not. May be empty. */
bool authline_is_base64(const char *text);

#endif
