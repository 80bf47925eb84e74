#ifndef LIB_TICKETS_H
#define LIB_TICKETS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

struct ticketkeys;

#define TICKETS_BINDING_SIZE 32

/*
 * Lets clients resume the sessions of this context with tickets: what a server has to remember of a
 * session, sealed and kept by the client. One is given in each handshake, but for a resumed one of
 * TLS 1.2. `keys` are those that all processes share (lib/ticketkeys.h). The binding, a hash of the
 * certificates and their keys, enters into what seals a ticket: it is good for these only. Returns
 * 0, or -1 when OpenSSL lacks something.
 */
int tickets_enable(SSL_CTX *context, const struct ticketkeys *keys,
                   const uint8_t binding[TICKETS_BINDING_SIZE]);

/*
 * Gives a connection that shows other certificates than its context a binding of its own; before
 * OpenSSL looks at a ticket. Returns 0, or -1 when there is no memory.
 */
int tickets_bind(SSL *ssl, const uint8_t binding[TICKETS_BINDING_SIZE]);

/* Whether it has one. */
bool tickets_bound(const SSL *ssl);

#endif
