/*
 * RFC 5077 section 4 for how a ticket is sealed (AES-256-CBC, then HMAC-SHA256 over all of it), RFC
 * 8446 section 4.6.1 for its use with TLS 1.3.
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ticketkeys.h"
#include "lib/tickets.h"
#include "lib/xalloc.h"

#define CIPHER_KEY 32
#define MAC_KEY    32

/* What a context has for its tickets. */
struct tickets {
    const struct ticketkeys *keys;
    uint8_t binding[TICKETS_BINDING_SIZE]; /* of connections that have none of their own */
    EVP_CIPHER *cipher;
};

/* Answers of on_ticket(); below 0 it would end the connection. */
enum { TICKET_REFUSED, TICKET_GOOD, TICKET_GOOD_RENEW };

static void free_tickets(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index, long argl,
                         void *argp)
{
    struct tickets *tickets = pointer;
    (void)parent;
    (void)data;
    (void)index;
    (void)argl;
    (void)argp;

    if (tickets == NULL)
        return;
    EVP_CIPHER_free(tickets->cipher);
    sodium_memzero(tickets, sizeof(*tickets));
    free(tickets);
}

/* Where a context keeps them. */
static int place(void)
{
    static int index = -1;

    if (index < 0)
        index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_tickets);
    return index;
}

static void free_binding(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index, long argl,
                         void *argp)
{
    (void)parent;
    (void)data;
    (void)index;
    (void)argl;
    (void)argp;
    free(pointer);
}

/* Where a connection keeps its own binding. */
static int binding_place(void)
{
    static int index = -1;

    if (index < 0)
        index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_binding);
    return index;
}

/* The key that a new ticket is sealed with; name_r and iv_r travel with it in clear. */
static int choose(const struct ticketkeys *keys, uint8_t name_r[TICKETKEYS_NAME_SIZE],
                  uint8_t iv_r[EVP_MAX_IV_LENGTH], struct ticketkey *key_r)
{
    struct ticketkey both[TICKETKEYS__MAX];

    /* TLS 1.3 knows no empty ticket: in the moment of a rotation, one is given that nobody opens.*/
    if (ticketkeys_read(keys, both) == 0)
        *key_r = both[TICKETKEYS_CURRENT];
    else
        randombytes_buf(key_r, sizeof(*key_r));
    sodium_memzero(both, sizeof(both));
    memcpy(name_r, key_r->name, sizeof(key_r->name));
    return RAND_bytes(iv_r, EVP_MAX_IV_LENGTH) == 1 ? TICKET_GOOD : -1;
}

/*
 * The key that a ticket is sealed with. With TLS 1.3 the client gets a new ticket for each that it
 * uses, so that nobody on the way sees one twice (RFC 8446 appendix C.4). With 1.2 tickets are
 * given in clear, and a new one would not live longer either: the time of a session began with its
 * handshake in full, and each ticket can be opened for all of it.
 */
static int find(const struct ticketkeys *keys, int version,
                const uint8_t name[TICKETKEYS_NAME_SIZE], struct ticketkey *key_r)
{
    struct ticketkey both[TICKETKEYS__MAX];
    int result = TICKET_REFUSED;

    if (ticketkeys_read(keys, both) < 0)
        return TICKET_REFUSED;
    for (unsigned i = 0; i < TICKETKEYS__MAX; i++)
        if (memcmp(name, both[i].name, sizeof(both[i].name)) == 0) {
            *key_r = both[i];
            result = version == TLS1_2_VERSION ? TICKET_GOOD : TICKET_GOOD_RENEW;
        }
    sodium_memzero(both, sizeof(both));
    return result;
}

static int set_keys(const struct tickets *tickets, const uint8_t *binding,
                    const struct ticketkey *key, const uint8_t *iv, EVP_CIPHER_CTX *cipher,
                    EVP_MAC_CTX *mac, int sealing)
{
    static char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    uint8_t derived[CIPHER_KEY + MAC_KEY];

    crypto_generichash(derived, sizeof(derived), binding, TICKETS_BINDING_SIZE, key->secret,
                       sizeof(key->secret));
    int result = EVP_CipherInit_ex2(cipher, tickets->cipher, derived, iv, sealing, NULL) == 1 &&
                 EVP_MAC_init(mac, derived + CIPHER_KEY, MAC_KEY, parameters) == 1;
    sodium_memzero(derived, sizeof(derived));
    return result;
}

/* See SSL_CTX_set_tlsext_ticket_key_evp_cb(3). */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int sealing)
{
    const struct tickets *tickets = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), place());
    const uint8_t *binding = SSL_get_ex_data(ssl, binding_place());
    struct ticketkey key;

    int result = sealing ? choose(tickets->keys, name, iv, &key)
                         : find(tickets->keys, SSL_version(ssl), name, &key);
    if (result > TICKET_REFUSED && !set_keys(tickets, binding != NULL ? binding : tickets->binding,
                                             &key, iv, cipher, mac, sealing))
        result = -1;
    sodium_memzero(&key, sizeof(key));
    return result;
}

int tickets_enable(SSL_CTX *context, const struct ticketkeys *keys,
                   const uint8_t binding[TICKETS_BINDING_SIZE])
{
    struct tickets *tickets = xcalloc(1, sizeof(*tickets));

    tickets->keys = keys;
    memcpy(tickets->binding, binding, sizeof(tickets->binding));
    tickets->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if (tickets->cipher == NULL || SSL_CTX_set_ex_data(context, place(), tickets) != 1) {
        free_tickets(NULL, tickets, NULL, 0, 0, NULL);
        return -1;
    }
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_timeout(context, TICKETKEYS_PERIOD);
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket) == 1 ? 0 : -1;
}

int tickets_bind(SSL *ssl, const uint8_t binding[TICKETS_BINDING_SIZE])
{
    uint8_t *own = SSL_get_ex_data(ssl, binding_place());

    if (own == NULL) {
        own = xmalloc(TICKETS_BINDING_SIZE);
        if (SSL_set_ex_data(ssl, binding_place(), own) != 1) {
            free(own);
            return -1;
        }
    }
    memcpy(own, binding, TICKETS_BINDING_SIZE);
    return 0;
}

bool tickets_bound(const SSL *ssl)
{
    return SSL_get_ex_data(ssl, binding_place()) != NULL;
}
