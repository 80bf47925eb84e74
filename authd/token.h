#ifndef AUTHD_TOKEN_H
#define AUTHD_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "authd/jws.h"

/*
 * Tokens of customers' issuers (JSON Web Token, RFC 7519; access tokens of RFC 9068, and ID tokens
 * where an issuer has nothing else): what they say, and whether that opens a mailbox. Strict, as
 * RFC 8725 advises.
 */

/* Clocks may differ by so many seconds. */
#define TOKEN_LEEWAY 60

struct token {
    struct jws jws;
    json_t *claims;
};

/*
 * Takes a token apart; as jws_parse(). Freed by token_free() when it has returned 0. Nothing of it
 * is to be believed before its signature has been verified.
 */
int token_parse(struct token *token_r, const char *text, size_t length, const char **fault_r);

/* Frees and wipes. */
void token_free(struct token *token);

/* The "iss" claim: whose it claims to be. */
const char *token_issuer(const struct token *token);

struct token_rules {
    const char *audience; /* must be in "aud" */
    const char *claim;    /* holds the address */
    const char *address;  /* of the mailbox, in its one form (lib/address.h) */
    int64_t now;          /* seconds since 1970 */
};

/* Why it does not open the mailbox, as a phrase for the log (static text); NULL: it does. */
const char *token_fault(const struct token *token, const struct token_rules *rules);

#endif
