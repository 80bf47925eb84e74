/* What comes and goes between a client and us in other portions than one command or answer. */
#include <event2/buffer.h>
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/ssl.h>
#include <sodium.h>

#include "lib/keyschedule.h"
#include "lib/ticketkeys.h"
#include "lib/tls.h"
#include "pop3d/limits.h"
#include "pop3d/stream.h"
#include "tests/unit/certificates.h"

struct fixture {
    int memory, file;
    struct certbundle_entry entry;
    struct ticketkeys *keys;
    struct tls *server;
    SSL_CTX *context;
    struct event_base *base;
    SSL *far; /* the server's end */
    struct stream stream;
    SSL *near; /* the client's end */
    int fd;
    bool secured, lost;
    size_t taken; /* octets that have come */
};

static void on_readable(void *context)
{
    struct fixture *fixture = context;
    size_t length = evbuffer_get_length(fixture->stream.input);

    fixture->taken += length;
    assert_int_equal(evbuffer_drain(fixture->stream.input, length), 0);
}

static void on_written(void *context)
{
    (void)context;
}

static void on_secured(void *context)
{
    struct fixture *fixture = context;

    fixture->secured = true;
}

static void on_lost(void *context, bool failed)
{
    struct fixture *fixture = context;
    (void)failed;

    fixture->lost = true;
    stream_stop(&fixture->stream);
}

static const struct stream_events events = {
    .readable = on_readable, .written = on_written, .secured = on_secured, .lost = on_lost};

static int set_up(void **state)
{
    static struct fixture fixture;
    const char *error = "";

    memset(&fixture, 0, sizeof(fixture));
    fixture.memory = memfd_create("ticketkeys", MFD_CLOEXEC);
    fixture.file = memfd_create("certificates", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fixture.memory, (off_t)ticketkeys_size()), 0);
    fixture.keys = ticketkeys_make(fixture.memory);
    certificate_make(&fixture.entry, CERTBUNDLE_ECDSA, "tls", "mail.host.example", 17, -3600);
    certificates_write(fixture.file, &fixture.entry, 1);
    fixture.server = tls_new(fixture.file, fixture.keys, &error);
    if (fixture.server == NULL)
        fail_msg("%s", error);
    fixture.context = SSL_CTX_new(TLS_client_method());
    fixture.base = event_base_new();
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    stream_close(&fixture->stream);
    SSL_free(fixture->far);
    SSL_free(fixture->near);
    close(fixture->stream.fd);
    close(fixture->fd);
    event_base_free(fixture->base);
    SSL_CTX_free(fixture->context);
    tls_free(fixture->server);
    ticketkeys_detach(fixture->keys);
    certificate_free(&fixture->entry);
    close(fixture->file);
    return close(fixture->memory);
}

static void turn(const struct fixture *fixture)
{
    assert_int_not_equal(event_base_loop(fixture->base, EVLOOP_ONCE | EVLOOP_NONBLOCK), -1);
}

static void meet(struct fixture *fixture, int version)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    fixture->fd = fds[0];
    fixture->near = SSL_new(fixture->context);
    SSL_set_max_proto_version(fixture->near, version);
    SSL_set_fd(fixture->near, fds[0]);
    SSL_set_connect_state(fixture->near);
    fixture->far = tls_connection(fixture->server);
    stream_open(&fixture->stream, fixture->base, fds[1], fixture->far, &events, fixture);
    for (unsigned i = 0; i < 10; i++) {
        (void)SSL_do_handshake(fixture->near);
        turn(fixture);
    }
    assert_true(fixture->secured);
    assert_int_equal(SSL_version(fixture->near), version);
}

/* Many updates of the client's key (RFC 8446 section 4.6.3), made before they are sent. */
static void test_new_keys_leave_time_for_others(void **state)
{
    enum { UPDATES = 5000, UPDATE_MOST = 64 };
    static uint8_t octets[UPDATES * UPDATE_MOST];
    struct fixture *fixture = *state;
    const int room = (int)sizeof(octets);
    size_t length = 0;
    int left;

    meet(fixture, TLS1_3_VERSION);
    assert_int_equal(setsockopt(fixture->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
    BIO *made = BIO_new(BIO_s_mem());
    SSL_set0_wbio(fixture->near, made);
    for (unsigned i = 0; i < UPDATES; i++) {
        assert_int_equal(SSL_key_update(fixture->near, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(fixture->near), 1);
        length += (size_t)BIO_read(made, octets + length, UPDATE_MOST);
    }
    ssize_t sent = send(fixture->fd, octets, length, MSG_NOSIGNAL);
    assert_true(sent > 4 * LIMIT_INPUT);
    turn(fixture);
    assert_int_equal(ioctl(fixture->stream.fd, FIONREAD, &left), 0);
    assert_true(left > sent / 2);
    for (unsigned i = 0; left > 0 && i < 100; i++) {
        turn(fixture);
        assert_int_equal(ioctl(fixture->stream.fd, FIONREAD, &left), 0);
    }
    assert_int_equal(left, 0);
    assert_false(fixture->lost);
}

/* A record that fills the input, and one behind it that OpenSSL reads with the same call. */
static void test_what_was_read_ahead_is_taken(void **state)
{
    static char octets[SSL3_RT_MAX_PLAIN_LENGTH], records[2 * sizeof(octets)];
    struct fixture *fixture = *state;

    meet(fixture, TLS1_3_VERSION);
    BIO *made = BIO_new(BIO_s_mem());
    SSL_set0_wbio(fixture->near, made);
    assert_true(sizeof(octets) >= LIMIT_INPUT);
    assert_int_equal(SSL_write(fixture->near, octets, sizeof(octets)), sizeof(octets));
    assert_int_equal(SSL_write(fixture->near, "QUIT\r\n", 6), 6);
    int length = BIO_read(made, records, sizeof(records));
    assert_int_equal(send(fixture->fd, records, (size_t)length, MSG_NOSIGNAL), length);
    for (unsigned i = 0; i < 10; i++)
        turn(fixture);
    assert_int_equal(fixture->taken, sizeof(octets) + 6);
}

/* More than the socket takes, behind what was left to the end of the turn. */
static void test_what_comes_in_one_turn_is_sent(void **state)
{
    enum { MUCH = 4 * 1024 * 1024 };
    static char octets[MUCH];
    struct fixture *fixture = *state;
    ssize_t got = 0, part;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    fixture->fd = fds[0];
    stream_open(&fixture->stream, fixture->base, fds[1], NULL, &events, fixture);
    evbuffer_add(fixture->stream.output, octets, 100);
    stream_send(&fixture->stream, STREAM_LATER);
    evbuffer_add(fixture->stream.output, octets, sizeof(octets));
    stream_send(&fixture->stream, STREAM_NOW);
    assert_true(stream_waiting(&fixture->stream) > 0);
    for (unsigned i = 0; got < 100 + MUCH && i < 10000; i++) {
        turn(fixture);
        while ((part = recv(fixture->fd, octets, sizeof(octets), 0)) > 0)
            got += part;
    }
    assert_int_equal(got, 100 + MUCH);
}

/* What a client of TLS 1.2 seals its records with (RFC 5246 section 6.3, RFC 5288). */
static EVP_CIPHER_CTX *sealing(SSL *near, uint8_t salt_r[4])
{
    static char digest[] = "SHA256", label[] = "key expansion";
    uint8_t master[48], seed[2 * SSL3_RANDOM_SIZE], keys[2 * 16 + 2 * 4];
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, master, sizeof(master)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, label, sizeof(label) - 1),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed, sizeof(seed)),
        OSSL_PARAM_construct_end(),
    };

    assert_string_equal(SSL_get_cipher(near), "ECDHE-ECDSA-AES128-GCM-SHA256");
    assert_int_equal(SSL_SESSION_get_master_key(SSL_get_session(near), master, sizeof(master)),
                     sizeof(master));
    SSL_get_server_random(near, seed, SSL3_RANDOM_SIZE);
    SSL_get_client_random(near, seed + SSL3_RANDOM_SIZE, SSL3_RANDOM_SIZE);
    EVP_KDF *function = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
    EVP_KDF_CTX *derivation = EVP_KDF_CTX_new(function);
    assert_int_equal(EVP_KDF_derive(derivation, keys, sizeof(keys), parameters), 1);
    EVP_KDF_CTX_free(derivation);
    EVP_KDF_free(function);
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptInit_ex2(cipher, EVP_aes_128_gcm(), keys, NULL, NULL), 1);
    memcpy(salt_r, keys + 32, 4);
    return cipher;
}

enum { HELLO = 4, HEADER = 5, NONCE = 8, TAG = 16, RECORD = HEADER + NONCE + HELLO + TAG };

/* The number-th record: a ClientHello, of which OpenSSL looks at no more than the first octets. */
static void seal_hello(EVP_CIPHER_CTX *cipher, const uint8_t salt[4], uint64_t number,
                       uint8_t record_r[RECORD])
{
    static const uint8_t hello[HELLO] = {SSL3_MT_CLIENT_HELLO};
    const uint8_t header[HEADER] = {SSL3_RT_HANDSHAKE, 3, 3, 0, RECORD - HEADER};
    uint8_t iv[4 + NONCE], known[NONCE + HEADER];
    int length;

    memcpy(iv, salt, 4);
    for (unsigned i = 0; i < NONCE; i++)
        iv[4 + i] = (uint8_t)(number >> (56 - 8 * i));
    memcpy(known, iv + 4, NONCE);
    memcpy(known + NONCE, header, HEADER);
    known[NONCE + HEADER - 1] = HELLO;
    memcpy(record_r, header, HEADER);
    memcpy(record_r + HEADER, iv + 4, NONCE);
    EVP_EncryptInit_ex2(cipher, NULL, NULL, iv, NULL);
    EVP_EncryptUpdate(cipher, NULL, &length, known, sizeof(known));
    EVP_EncryptUpdate(cipher, record_r + HEADER + NONCE, &length, hello, HELLO);
    EVP_EncryptFinal_ex(cipher, record_r + HEADER + NONCE + HELLO, &length);
    EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, TAG, record_r + RECORD - TAG);
}

/* Each ClientHello within a session of TLS 1.2 is answered that there is none. */
static void test_answers_that_nobody_reads(void **state)
{
    enum { HELLOS = 100 * 1000 };
    struct fixture *fixture = *state;
    uint8_t salt[4], hello[RECORD];
    size_t most = 0;

    meet(fixture, TLS1_2_VERSION);
    EVP_CIPHER_CTX *cipher = sealing(fixture->near, salt);
    for (uint64_t i = 1; !fixture->lost && i <= HELLOS; i++) {
        seal_hello(cipher, salt, i, hello);
        if (send(fixture->fd, hello, RECORD, MSG_NOSIGNAL) != RECORD)
            break;
        turn(fixture);
        most = stream_waiting(&fixture->stream) > most ? stream_waiting(&fixture->stream) : most;
    }
    EVP_CIPHER_CTX_free(cipher);
    assert_true(fixture->lost);
    assert_in_range(most, 1, LIMIT_SEALED + LIMIT_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_new_keys_leave_time_for_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_was_read_ahead_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_comes_in_one_turn_is_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_answers_that_nobody_reads, set_up, tear_down),
    };

    if (sodium_init() < 0 || keyschedule_register() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
