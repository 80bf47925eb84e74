/* Session tickets between a client and the contexts of two processes, without a network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ssl.h>
#include <sodium.h>

#include "lib/ticketkeys.h"
#include "lib/tls.h"
#include "tests/unit/certificates.h"

#define SERVERS 2

struct fixture {
    int memory;
    struct ticketkeys *keys;
    const struct ticketkeys *attached[SERVERS];
    struct tls *servers[SERVERS];
    SSL_CTX *client;
    SSL_SESSION *session; /* the last one that the client was given */
};

/* A file with a new certificate. */
static int certificate_file(void)
{
    int fd = memfd_create("certificate", MFD_CLOEXEC);
    struct certbundle_entry entry;

    certificate_make(&entry, CERTBUNDLE_ECDSA, "tls", "", 0, -3600);
    certificates_write(fd, &entry, 1);
    certificate_free(&entry);
    return fd;
}

static void load(struct fixture *fixture, unsigned server, int fd)
{
    const char *error;

    tls_free(fixture->servers[server]);
    fixture->servers[server] = tls_new(fd, fixture->attached[server], &error);
    assert_non_null(fixture->servers[server]);
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct fixture *fixture = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    SSL_SESSION_free(fixture->session);
    fixture->session = session;
    return 1;
}

static int set_up(void **state)
{
    static struct fixture fixture;

    if (sodium_init() < 0)
        return -1;
    memset(&fixture, 0, sizeof(fixture));
    fixture.memory = memfd_create("ticketkeys", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fixture.memory, (off_t)ticketkeys_size()), 0);
    fixture.keys = ticketkeys_make(fixture.memory);
    assert_non_null(fixture.keys);
    int certificate = certificate_file();
    for (unsigned i = 0; i < SERVERS; i++) {
        fixture.attached[i] = ticketkeys_attach(fixture.memory);
        assert_non_null(fixture.attached[i]);
        load(&fixture, i, certificate);
    }
    close(certificate);
    fixture.client = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_session_cache_mode(fixture.client,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(fixture.client, keep_session);
    SSL_CTX_set_app_data(fixture.client, &fixture);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    SSL_SESSION_free(fixture->session);
    SSL_CTX_free(fixture->client);
    for (unsigned i = 0; i < SERVERS; i++) {
        tls_free(fixture->servers[i]);
        ticketkeys_detach(fixture->attached[i]);
    }
    ticketkeys_detach(fixture->keys);
    return close(fixture->memory);
}

/* One connection, with the session that the client has; tells whether that was resumed. */
static bool resumes(struct fixture *fixture, unsigned server, int version)
{
    SSL *near = SSL_new(fixture->client);
    SSL *far = tls_connection(fixture->servers[server]);
    SSL_SESSION *offered = fixture->session;
    BIO *near_end;
    BIO *far_end;
    char octet;

    assert_int_equal(BIO_new_bio_pair(&near_end, 0, &far_end, 0), 1);
    SSL_set_bio(near, near_end, near_end);
    SSL_set_bio(far, far_end, far_end);
    SSL_set_min_proto_version(near, version);
    SSL_set_max_proto_version(near, version);
    SSL_set_connect_state(near);
    SSL_set_accept_state(far);
    fixture->session = NULL;
    if (offered != NULL)
        assert_int_equal(SSL_set_session(near, offered), 1);
    SSL_SESSION_free(offered);
    for (unsigned i = 0; i < 10; i++) {
        (void)SSL_do_handshake(near);
        (void)SSL_do_handshake(far);
    }
    assert_true(SSL_is_init_finished(near) && SSL_is_init_finished(far));
    assert_int_equal(SSL_version(far), version);
    (void)SSL_read(near, &octet, 1); /* takes the ticket of TLS 1.3 */
    bool resumed = SSL_session_reused(far) == 1;
    assert_int_equal(SSL_session_reused(near), resumed);
    /* OpenSSL tells of no new ticket when it has resumed a session of TLS 1.2. */
    if (fixture->session == NULL && version == TLS1_2_VERSION)
        fixture->session = SSL_get1_session(near);
    SSL_shutdown(near);
    SSL_free(near);
    SSL_free(far);
    return resumed;
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

#define FOR_EACH_VERSION(version)                                                                  \
    for (const int *version = versions; version < versions + 2; version++)

static void forget(struct fixture *fixture)
{
    SSL_SESSION_free(fixture->session);
    fixture->session = NULL;
}

/* A ticket of one process is opened by another. */
static void test_any_process(void **state)
{
    struct fixture *fixture = *state;

    FOR_EACH_VERSION(version)
    {
        forget(fixture);
        assert_false(resumes(fixture, 0, *version));
        for (unsigned i = 0; i < 4; i++) {
            assert_non_null(fixture->session);
            assert_true(resumes(fixture, i % SERVERS, *version));
        }
    }
}

/* With TLS 1.3 nobody on the way sees a ticket twice; with 1.2 the first one stays good. */
static void test_renewal(void **state)
{
    struct fixture *fixture = *state;

    FOR_EACH_VERSION(version)
    {
        unsigned char first[4096];
        const unsigned char *ticket;
        size_t length;
        size_t first_length;
        forget(fixture);
        assert_false(resumes(fixture, 0, *version));
        SSL_SESSION_get0_ticket(fixture->session, &ticket, &first_length);
        assert_in_range(first_length, 1, sizeof(first));
        memcpy(first, ticket, first_length);
        assert_true(resumes(fixture, 1, *version));
        SSL_SESSION_get0_ticket(fixture->session, &ticket, &length);
        bool same = length == first_length && memcmp(ticket, first, length) == 0;
        assert_int_equal(same, *version == TLS1_2_VERSION);
    }
}

static void test_rotation(void **state)
{
    struct fixture *fixture = *state;

    FOR_EACH_VERSION(version)
    {
        forget(fixture);
        assert_false(resumes(fixture, 0, *version));
        ticketkeys_rotate(fixture->keys);
        assert_true(resumes(fixture, 1, *version));
        ticketkeys_rotate(fixture->keys);
        /* What came with the last connection was sealed with the key of then. */
        assert_int_equal(resumes(fixture, 0, *version), *version == TLS1_3_VERSION);
        ticketkeys_rotate(fixture->keys);
        ticketkeys_rotate(fixture->keys);
        assert_false(resumes(fixture, 0, *version));
    }
}

static void test_other_certificate(void **state)
{
    struct fixture *fixture = *state;

    FOR_EACH_VERSION(version)
    {
        forget(fixture);
        assert_false(resumes(fixture, 0, *version));
        int certificate = certificate_file();
        load(fixture, 0, certificate);
        assert_false(resumes(fixture, 0, *version));
        assert_true(resumes(fixture, 0, *version));
        load(fixture, 0, certificate); /* a reload that changes nothing */
        assert_true(resumes(fixture, 0, *version));
        close(certificate);
    }
}

/* The session that the client has, with one bit of its ticket changed. */
static void spoil(struct fixture *fixture, size_t octet)
{
    const unsigned char *ticket;
    unsigned char *text = NULL;
    size_t length;

    SSL_SESSION_get0_ticket(fixture->session, &ticket, &length);
    assert_true(octet < length);
    int size = i2d_SSL_SESSION(fixture->session, &text);
    assert_true(size > 0);
    unsigned char *at = memmem(text, (size_t)size, ticket, length);
    assert_non_null(at);
    at[octet] ^= 1;
    const unsigned char *input = text;
    forget(fixture);
    fixture->session = d2i_SSL_SESSION(NULL, &input, size);
    assert_non_null(fixture->session);
    OPENSSL_free(text);
}

static void test_forged(void **state)
{
    struct fixture *fixture = *state;

    FOR_EACH_VERSION(version)
    for (size_t octet = 0; octet < 120; octet += 7) {
        forget(fixture);
        assert_false(resumes(fixture, 0, *version));
        spoil(fixture, octet);
        assert_false(resumes(fixture, 0, *version));
    }
}

/* Neither longer than its key is kept, nor with data before the handshake. */
static void test_bounds(void **state)
{
    struct fixture *fixture = *state;

    FOR_EACH_VERSION(version)
    {
        forget(fixture);
        assert_false(resumes(fixture, 0, *version));
        assert_int_equal(SSL_SESSION_get_ticket_lifetime_hint(fixture->session), TICKETKEYS_PERIOD);
        assert_int_equal(SSL_SESSION_get_max_early_data(fixture->session), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_any_process, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_renewal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rotation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_certificate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_forged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bounds, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("pop3d_tickets", tests, NULL, NULL);
}
