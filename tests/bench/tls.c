#include <errno.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/xalloc.h"
#include "tests/bench/tls.h"

/* Several records with one read: the generator shares the cores with the server. */
#define READ_AHEAD (64 * 1024)

/* What OpenSSL, or else the system, says is wrong. */
static const char *reason(int error)
{
    const char *text = ERR_reason_error_string(ERR_peek_error());

    if (text != NULL)
        return text;
    return error != 0 ? strerror(error) : "the server has closed the connection";
}

/* TLS 1.3 has its tickets after the handshake, 1.2 in a full one; the latest one is kept. */
static int on_session(SSL *openssl, SSL_SESSION *session)
{
    struct tls *tls = SSL_get_app_data(openssl);

    SSL_SESSION_free(tls->latest);
    tls->latest = session;
    return 1;
}

struct tls_context *tls_context_new(const char *authorities, int version, bool resume)
{
    struct tls_context *context = xcalloc(1, sizeof(*context));

    signal(SIGPIPE, SIG_IGN);
    context->resume = resume;
    context->openssl = SSL_CTX_new(TLS_client_method());
    if (context->openssl == NULL)
        log_fatal("OpenSSL does not start: %s", reason(0));
    if (SSL_CTX_load_verify_file(context->openssl, authorities) != 1)
        log_fatal("%s holds no certificate in PEM: %s", authorities, reason(errno));
    SSL_CTX_set_verify(context->openssl, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_min_proto_version(context->openssl, version != 0 ? version : TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(context->openssl, version);
    SSL_CTX_set_options(context->openssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context->openssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                           SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context->openssl, 1);
    SSL_CTX_set_default_read_buffer_len(context->openssl, READ_AHEAD);
    SSL_CTX_set_session_cache_mode(context->openssl,
                                   resume ? SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL
                                          : SSL_SESS_CACHE_OFF);
    SSL_CTX_sess_set_new_cb(context->openssl, on_session);
    return context;
}

void tls_context_free(struct tls_context *context)
{
    if (context == NULL)
        return;
    SSL_CTX_free(context->openssl);
    free(context);
}

size_t tls_hello(unsigned char hello_r[TLS_HELLO_MAX])
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    BIO *input = BIO_new(BIO_s_mem());
    BIO *output = BIO_new(BIO_s_mem());
    SSL *openssl = context != NULL ? SSL_new(context) : NULL;

    if (openssl == NULL || input == NULL || output == NULL)
        log_fatal("OpenSSL does not start: %s", reason(0));
    SSL_set_bio(openssl, input, output);
    (void)SSL_connect(openssl);
    int length = BIO_read(output, hello_r, TLS_HELLO_MAX);
    if (length <= 0)
        log_fatal("there is no ClientHello: %s", reason(0));
    SSL_free(openssl);
    SSL_CTX_free(context);
    return (size_t)length;
}

void tls_open(struct tls *tls, struct tls_context *context, int fd)
{
    tls->context = context;
    tls->openssl = SSL_new(context->openssl);
    if (tls->openssl == NULL || SSL_set_fd(tls->openssl, fd) != 1)
        log_fatal("TLS does not start: %s", reason(0));
    SSL_set_app_data(tls->openssl, tls);
    SSL_set_connect_state(tls->openssl);
    /* The server has closed already, or is not to be told. */
    SSL_set_quiet_shutdown(tls->openssl, 1);
    if (tls->latest != NULL && SSL_set_session(tls->openssl, tls->latest) != 1)
        log_fatal("a session cannot be resumed: %s", reason(0));
}

void tls_close(struct tls *tls)
{
    if (tls->openssl == NULL)
        return;
    /* Without this, OpenSSL holds the session for broken and does not resume it. */
    SSL_shutdown(tls->openssl);
    SSL_free(tls->openssl);
    tls->openssl = NULL;
}

void tls_forget(struct tls *tls)
{
    SSL_SESSION_free(tls->latest);
    tls->latest = NULL;
}

static void count_handshake(struct tls *tls)
{
    struct tls_context *context = tls->context;
    bool resumed = SSL_session_reused(tls->openssl) == 1;

    context->handshakes++;
    context->resumed += resumed;
    context->version = SSL_get_version(tls->openssl);
    /* A ticket in a resumed handshake of 1.2 replaces the one before, and nothing tells of it. */
    if (resumed && SSL_version(tls->openssl) == TLS1_2_VERSION)
        on_session(tls->openssl, SSL_get1_session(tls->openssl));
    if (context->resume && tls->again && !resumed)
        log_fatal("connection %llu did not resume its session with %s: %s",
                  (unsigned long long)context->handshakes, context->version,
                  tls->latest == NULL ? "the server has given no ticket"
                                      : "the server does not take its ticket back");
    tls->again = true;
}

enum tls_progress tls_shake_hands(struct tls *tls)
{
    int result = SSL_do_handshake(tls->openssl);
    int error = errno;

    if (result == 1) {
        count_handshake(tls);
        return TLS_DONE;
    }
    switch (SSL_get_error(tls->openssl, result)) {
    case SSL_ERROR_WANT_READ: return TLS_WANTS_INPUT;
    case SSL_ERROR_WANT_WRITE: return TLS_WANTS_OUTPUT;
    case SSL_ERROR_SYSCALL: break;
    default: error = 0;
    }
    long verified = SSL_get_verify_result(tls->openssl);
    if (verified != X509_V_OK)
        log_fatal("the server's certificate is not good: %s (see --ca)",
                  X509_verify_cert_error_string(verified));
    log_fatal("TLS handshake: %s", reason(error));
}

/* What a socket would have returned. */
static ssize_t not_now(struct tls *tls, int result)
{
    int error = errno;

    switch (SSL_get_error(tls->openssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: errno = EAGAIN; return -1;
    case SSL_ERROR_ZERO_RETURN: return 0;
    case SSL_ERROR_SYSCALL:
        ERR_clear_error();
        errno = error != 0 ? error : ECONNRESET;
        return -1;
    default: log_fatal("TLS: %s", reason(0));
    }
}

ssize_t tls_receive(struct tls *tls, char *data, size_t room)
{
    size_t total = 0;
    size_t got;
    int result;

    errno = 0;
    /* Not each record by itself: what is there of a long answer is copied with each return. */
    do {
        result = SSL_read_ex(tls->openssl, data + total, room - total, &got);
        total += result == 1 ? got : 0;
    } while (result == 1 && total < room && tls_pending(tls));
    return total > 0 ? (ssize_t)total : not_now(tls, result);
}

ssize_t tls_send(struct tls *tls, const char *data, size_t length)
{
    size_t sent;

    errno = 0;
    int result = SSL_write_ex(tls->openssl, data, length, &sent);
    return result == 1 ? (ssize_t)sent : not_now(tls, result);
}

bool tls_pending(const struct tls *tls)
{
    return tls->openssl != NULL && SSL_has_pending(tls->openssl) == 1;
}
