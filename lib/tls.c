/*
 * TLS as RFC 8314 and Mozilla's "intermediate" settings want it: 1.2 or newer, forward secrecy and
 * authenticated encryption only. All ciphers are good, so the fastest here comes first: AES-128,
 * and SHA-256 with it, which the processor computes itself; a handshake with SHA-384 costs a tenth
 * more. A client that puts ChaCha20 first computes AES slowly, and gets its will. Sessions are
 * resumed by tickets alone (lib/tickets.h), without early data.
 */
#include <openssl/err.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/certificates.h"
#include "lib/tickets.h"
#include "lib/tls.h"
#include "lib/xalloc.h"

#define TLS_1_2_CIPHERS                                                                            \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                   \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                                   \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

#define TLS_1_3_CIPHERS "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

struct tls {
    int fd;
    const struct ticketkeys *keys;
    struct certificates *certificates;
    SSL_CTX *context;
};

/*
 * The name in a server_name extension (RFC 6066 section 3), which lists one name of the type
 * host_name, the only one that there is. OpenSSL ends the handshake of what is none later.
 */
static const uint8_t *host_name(SSL *ssl, size_t *length_r)
{
    enum { LIST = 2, TYPE = 1, LENGTH = 2, HEAD = LIST + TYPE + LENGTH };
    const uint8_t *octets;
    size_t size;

    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &octets, &size) != 1 ||
        size < HEAD || octets[LIST] != TLSEXT_NAMETYPE_host_name)
        return NULL;
    *length_r = (size_t)octets[LIST + TYPE] << 8 | octets[LIST + TYPE + 1];
    return *length_r == size - HEAD ? octets + HEAD : NULL;
}

/* Called before OpenSSL looks at anything else, a ticket too. */
static int on_client_hello(SSL *ssl, int *alert_r, void *context)
{
    struct tls *tls = context;
    uint8_t hash[CERTIFICATES_HASH_SIZE];
    size_t length;

    const uint8_t *name = host_name(ssl, &length);
    if (name == NULL || !certificates_use_named(tls->certificates, ssl, name, length, hash) ||
        tickets_bind(ssl, hash) == 0)
        return SSL_CLIENT_HELLO_SUCCESS;
    *alert_r = SSL_AD_INTERNAL_ERROR;
    return SSL_CLIENT_HELLO_ERROR;
}

/* RFC 6066 section 3: the client is told when its name was of use. */
/* NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL's type of callback */
static int on_server_name(SSL *ssl, int *alert_r, void *context)
{
    (void)alert_r;
    (void)context;
    return tickets_bound(ssl) ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static int set_policy(SSL_CTX *context)
{
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    /* Idle sessions are the rule: without its buffers a connection costs 34 KiB less. */
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(context, TLS_1_2_CIPHERS) == 1 &&
           SSL_CTX_set_ciphersuites(context, TLS_1_3_CIPHERS) == 1;
}

static int set_resumption(SSL_CTX *context, const struct ticketkeys *keys,
                          const uint8_t hash[CERTIFICATES_HASH_SIZE])
{
    if (keys != NULL)
        return tickets_enable(context, keys, hash);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    return SSL_CTX_set_num_tickets(context, 0) == 1 ? 0 : -1;
}

/* Returns what is wrong, or NULL. */
static const char *fill_context(SSL_CTX *context, struct tls *tls,
                                struct certificates *certificates)
{
    uint8_t hash[CERTIFICATES_HASH_SIZE];

    if (certificates_use_default(certificates, context, hash) < 0)
        return "OpenSSL does not take the default certificate";
    if (set_policy(context) == 0 || set_resumption(context, tls->keys, hash) < 0)
        return "OpenSSL does not take the settings of this program";
    SSL_CTX_set_client_hello_cb(context, on_client_hello, tls);
    SSL_CTX_set_tlsext_servername_callback(context, on_server_name);
    return NULL;
}

/* Connections hold the context that they began with, and what they were given of certificates. */
static int load(struct tls *tls, struct certificates *certificates, const char **error_r)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    *error_r =
        context != NULL ? fill_context(context, tls, certificates) : "there is no memory for it";
    ERR_clear_error();
    if (*error_r != NULL) {
        SSL_CTX_free(context);
        return -1;
    }
    SSL_CTX_free(tls->context);
    certificates_free(tls->certificates);
    tls->context = context;
    tls->certificates = certificates;
    return 0;
}

/* What is replaced twice while it is being read is gone; then there is something new to read. */
int tls_reload(struct tls *tls, const char **error_r)
{
    for (;;) {
        struct certificates *certificates = certificates_new(tls->fd);
        if (certificates == NULL) {
            *error_r = "there is nothing to read";
            return -1;
        }
        if (load(tls, certificates, error_r) == 0)
            return 0;
        bool current = certificates_are_current(certificates, tls->fd);
        certificates_free(certificates);
        if (current)
            return -1;
    }
}

struct tls *tls_new(int fd, const struct ticketkeys *keys, const char **error_r)
{
    struct tls *tls = xcalloc(1, sizeof(*tls));

    tls->fd = fd;
    tls->keys = keys;
    if (tls_reload(tls, error_r) == 0)
        return tls;
    free(tls);
    return NULL;
}

void tls_free(struct tls *tls)
{
    if (tls == NULL)
        return;
    SSL_CTX_free(tls->context);
    certificates_free(tls->certificates);
    free(tls);
}

SSL *tls_connection(struct tls *tls)
{
    return SSL_new(tls->context);
}
