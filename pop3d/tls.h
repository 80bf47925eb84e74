#ifndef POP3D_TLS_H
#define POP3D_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

#define TLS_BINDING_SIZE 32

/*
 * Whether a login can be bound to this connection, by tls-exporter (RFC 9266). TLS 1.3 alone: what
 * binds in 1.2 knows tls-unique as a rule, and would be refused. NULL is no TLS.
 */
bool tls_can_bind(const SSL *tls);

/* The binding of a connection that can be bound to. Returns 0, or -1 where OpenSSL fails. */
int tls_binding(SSL *tls, uint8_t binding_r[TLS_BINDING_SIZE]);

#endif
