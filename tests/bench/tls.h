#ifndef BENCH_TLS_H
#define BENCH_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The client's side of TLS 1.2 and 1.3 over non-blocking sockets. What is wrong with it ends the
 * program with a clear line: a certificate that is not trusted, a session that is not resumed.
 */

/* For all connections of a run. */
struct tls_context {
    SSL_CTX *openssl;
    bool resume;
    uint64_t handshakes; /* that were done */
    uint64_t resumed;    /* of these, with a session from before */
    const char *version; /* of the last one, as "TLSv1.3"; NULL: none was done */
};

/* One connection; and, over all connections of a client, what the next one resumes. */
struct tls {
    struct tls_context *context;
    SSL *openssl; /* NULL: not open */
    SSL_SESSION *latest;
    bool again; /* this client has been connected before */
};

/*
 * `authorities`: a PEM file with the certificates to trust. `version`: OpenSSL's number of the only
 * one that is spoken, or 0. `resume`: every connection of a client but its first must resume a
 * session.
 */
struct tls_context *tls_context_new(const char *authorities, int version, bool resume);

/* NULL is allowed. */
void tls_context_free(struct tls_context *context);

#define TLS_HELLO_MAX 2048

/* Writes what every connection could begin with, a ClientHello, and returns its length. */
size_t tls_hello(unsigned char hello_r[TLS_HELLO_MAX]);

/* Begins TLS on a socket, which need not be connected yet. */
void tls_open(struct tls *tls, struct tls_context *context, int fd);

/* Closes; what the next connection resumes stays. Closing twice is allowed. */
void tls_close(struct tls *tls);

/* Frees what the next connection would resume. */
void tls_forget(struct tls *tls);

enum tls_progress { TLS_DONE, TLS_WANTS_INPUT, TLS_WANTS_OUTPUT };

/* Goes on with the handshake; to be called until it is done. */
enum tls_progress tls_shake_hands(struct tls *tls);

/* As recv(2) and send(2): -1 and errno, which is EAGAIN when the socket must be waited for. */
ssize_t tls_receive(struct tls *tls, char *data, size_t room);
ssize_t tls_send(struct tls *tls, const char *data, size_t length);

/* There is input that was read from the socket already, of which epoll does not tell. */
bool tls_pending(const struct tls *tls);

#endif
