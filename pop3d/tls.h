#ifndef POP3D_TLS_H
#define POP3D_TLS_H

#include <openssl/ssl.h>
#include <stddef.h>

struct ticketkeys;

/* Room for the sentence about a certificate that cannot be used. */
#define TLS_ERROR_SIZE 256

/*
 * Makes a server's context from an open PEM file: the certificate chain, the server's own first,
 * and its private key, in any order. The file's offset is not moved. Its sessions can be resumed
 * with `keys`, which must outlive the context (pop3d/tickets.h). Returns NULL with one sentence in
 * error_r. The caller frees it with SSL_CTX_free(); connections hold their own reference.
 */
SSL_CTX *tls_load(int fd, const struct ticketkeys *keys, char error_r[TLS_ERROR_SIZE]);

#endif
