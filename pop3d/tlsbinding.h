#ifndef POP3D_TLSBINDING_H
#define POP3D_TLSBINDING_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#define TLS_BINDING_SIZE 32

/*
 * Whether a login can be bound to this connection, by tls-exporter (RFC 9266). TLS 1.3 alone: what
 * binds in 1.2 knows tls-unique as a rule, and would be refused. NULL is no TLS.
 */
bool tls_can_bind(const SSL *tls);

/* The binding of a connection that can be bound to. Returns 0, or -1 where OpenSSL fails. */
int tls_binding(SSL *tls, uint8_t binding_r[TLS_BINDING_SIZE]);

#endif
