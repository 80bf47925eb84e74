#ifndef LIB_CERTIFICATES_H
#define LIB_CERTIFICATES_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CERTIFICATES_HASH_SIZE 32

/* How many a process keeps parsed, with their keys: 7 KiB each. One that is not, costs as much as a
 * handshake. */
#define CERTIFICATES_PARSED_MAX 4096

/*
 * The certificates that the supervisor has read (lib/certbundle.h), as OpenSSL takes them. One is
 * parsed when a client first asks for its name; CERTIFICATES_PARSED_MAX are kept parsed, those that
 * were asked for last.
 */
struct certificates;

/* Of what is in the file now. Returns NULL (errno). */
struct certificates *certificates_new(int fd);

/* Whether nothing newer is in the file by now. */
bool certificates_are_current(const struct certificates *certificates, int fd);

/* Connections keep what they were given. NULL is allowed. */
void certificates_free(struct certificates *certificates);

/*
 * Gives a context the default certificates, and tells a hash of them with their keys. Returns 0, or
 * -1 when OpenSSL does not take one of them.
 */
int certificates_use_default(struct certificates *certificates, SSL_CTX *context,
                             uint8_t hash_r[CERTIFICATES_HASH_SIZE]);

/*
 * Gives a connection, which has the default ones, those of the host that a client names (as it came
 * from the network), and tells a hash of them, of their keys and of the name. Returns false when it
 * goes on with the default ones: there are no others for that name.
 */
bool certificates_use_named(struct certificates *certificates, SSL *ssl, const uint8_t *name,
                            size_t length, uint8_t hash_r[CERTIFICATES_HASH_SIZE]);

#endif
