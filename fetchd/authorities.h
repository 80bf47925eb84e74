#ifndef FETCHD_AUTHORITIES_H
#define FETCHD_AUTHORITIES_H

/*
 * The authorities whose certificates are believed: what the supervisor has read from the
 * operator's file (`fetch_authorities`), parsed once for all connections, when the first one needs
 * them: many an installation fetches nothing.
 */

struct authorities;

/* Those of the descriptor "authorities". One that holds none is a line of warning. */
struct authorities *authorities_new(void);

/* NULL is allowed. */
void authorities_free(struct authorities *authorities);

/* Has a new connection believe them and nobody else. `context` is OpenSSL's SSL_CTX. */
void authorities_use(struct authorities *authorities, void *context);

#endif
