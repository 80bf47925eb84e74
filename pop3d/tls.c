/*
 * TLS as RFC 8314 and Mozilla's "intermediate" settings want it: 1.2 or newer, forward secrecy and
 * authenticated encryption only. All ciphers are good, so the fastest here comes first: AES-128,
 * and SHA-256 with it, which the processor computes itself; a handshake with SHA-384 costs a tenth
 * more. A client that puts ChaCha20 first computes AES slowly, and gets its will. Sessions are
 * resumed by tickets alone (pop3d/tickets.h), without early data.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/child.h"
#include "lib/xalloc.h"
#include "pop3d/limits.h"
#include "pop3d/tickets.h"
#include "pop3d/tls.h"

#define TLS_1_2_CIPHERS                                                                            \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                   \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                                   \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

#define TLS_1_3_CIPHERS "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

/* The passphrase that is tried: without one, OpenSSL would ask for it on the terminal. */
static char no_passphrase[] = "";

static int use_chain(SSL_CTX *context, const void *text, int length)
{
    BIO *pem = BIO_new_mem_buf(text, length);
    X509 *certificate = PEM_read_bio_X509_AUX(pem, NULL, NULL, no_passphrase);
    int result = certificate != NULL && SSL_CTX_use_certificate(context, certificate) == 1;

    X509_free(certificate);
    while (result == 1 && (certificate = PEM_read_bio_X509(pem, NULL, NULL, no_passphrase)) != NULL)
        if (SSL_CTX_add0_chain_cert(context, certificate) != 1) {
            X509_free(certificate);
            result = 0;
        }
    BIO_free(pem);
    return result;
}

static int use_key(SSL_CTX *context, const void *text, int length)
{
    BIO *pem = BIO_new_mem_buf(text, length);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(pem, NULL, NULL, no_passphrase);
    int result = key != NULL && SSL_CTX_use_PrivateKey(context, key) == 1;

    EVP_PKEY_free(key);
    BIO_free(pem);
    return result;
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

/* Returns what is missing or wrong, or NULL. */
static const char *fill_context(SSL_CTX *context, const struct ticketkeys *keys, const void *text,
                                int length)
{
    if (set_policy(context) == 0 || tickets_enable(context, keys, text, (size_t)length) < 0)
        return "OpenSSL does not accept the settings of this program";
    if (use_chain(context, text, length) == 0)
        return "it holds no certificate chain in PEM that OpenSSL accepts";
    if (use_key(context, text, length) == 0)
        return "it holds no private key in PEM without a passphrase";
    if (SSL_CTX_check_private_key(context) != 1)
        return "its private key does not belong to its first certificate";
    return NULL;
}

SSL_CTX *tls_load(int fd, const struct ticketkeys *keys, char error_r[TLS_ERROR_SIZE])
{
    const char *error = NULL;
    char *text = xmalloc(LIMIT_TLS_FILE);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    long length = child_read(fd, text, LIMIT_TLS_FILE);
    if (length < 0 || length == LIMIT_TLS_FILE)
        error = "it cannot be read, or is larger than a certificate can be";
    else if (context == NULL)
        error = "OpenSSL does not start";
    else
        error = fill_context(context, keys, text, (int)length);
    sodium_memzero(text, LIMIT_TLS_FILE);
    free(text);
    ERR_clear_error();
    if (error == NULL)
        return context;
    snprintf(error_r, TLS_ERROR_SIZE, "%s", error);
    SSL_CTX_free(context);
    return NULL;
}

bool tls_can_bind(const SSL *tls)
{
    return tls != NULL && SSL_version(tls) == TLS1_3_VERSION;
}

int tls_binding(SSL *tls, uint8_t binding_r[TLS_BINDING_SIZE])
{
    static const char label[] = "EXPORTER-Channel-Binding";

    return SSL_export_keying_material(tls, binding_r, TLS_BINDING_SIZE, label, sizeof(label) - 1,
                                      NULL, 0, 0) == 1
               ? 0
               : -1;
}
