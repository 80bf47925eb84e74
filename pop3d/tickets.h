#ifndef POP3D_TICKETS_H
#define POP3D_TICKETS_H

#include <openssl/ssl.h>
#include <stddef.h>

struct ticketkeys;

/*
 * Lets clients resume the sessions of this context with tickets: what a server has to remember of a
 * session, sealed and kept by the client. One is given in each handshake, but for a resumed one of
 * TLS 1.2. `keys` are those that all processes share (lib/ticketkeys.h). The certificate and its
 * key, in PEM, enter into what seals a ticket: it is good for this certificate only. Returns 0, or
 * -1 when OpenSSL lacks something.
 */
int tickets_enable(SSL_CTX *context, const struct ticketkeys *keys, const void *pem, size_t length);

#endif
