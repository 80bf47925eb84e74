/* Which certificate a client gets by the host that it names, between two ends in memory. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sodium.h>

#include "lib/certificates.h"
#include "lib/keyschedule.h"
#include "lib/ticketkeys.h"
#include "lib/tls.h"
#include "tests/unit/certificates.h"

enum { HOST, ASTORIA, ASTORIA_RSA, BELLEVUE, WILD, ENTRIES };

static const struct {
    enum certbundle_kind kind;
    const char *label;
    const char *names;
    size_t length;
} all[ENTRIES] = {
    {CERTBUNDLE_ECDSA, "tls", "mail.host.example", 17},
    {CERTBUNDLE_ECDSA, "tls/astoria", "mail.astoria.example\0pop.astoria.example", 40},
    {CERTBUNDLE_RSA, "tls/astoria-rsa", "mail.astoria.example", 20},
    {CERTBUNDLE_RSA, "tls/bellevue", "mail.bellevue.example", 21},
    {CERTBUNDLE_ECDSA, "tls/wild", "*.wild.example", 14},
};

struct fixture {
    int memory, file;
    struct ticketkeys *keys;
    struct tls *server;
    SSL_CTX *client;
    struct certbundle_entry entries[ENTRIES];
    atomic_bool replaced;
    SSL_SESSION *session; /* the last one that the client was given */
};

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
    const char *error = "";

    memset(&fixture, 0, sizeof(fixture));
    if (sodium_init() < 0)
        return -1;
    fixture.memory = memfd_create("ticketkeys", MFD_CLOEXEC);
    fixture.file = memfd_create("certificates", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fixture.memory, (off_t)ticketkeys_size()), 0);
    fixture.keys = ticketkeys_make(fixture.memory);
    assert_non_null(fixture.keys);
    for (unsigned i = 0; i < ENTRIES; i++)
        certificate_make(&fixture.entries[i], all[i].kind, all[i].label, all[i].names,
                         all[i].length, -3600);
    certificates_write(fixture.file, fixture.entries, ENTRIES);
    fixture.server = tls_new(fixture.file, fixture.keys, &error);
    if (fixture.server == NULL)
        fail_msg("%s", error);
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
    tls_free(fixture->server);
    ticketkeys_detach(fixture->keys);
    for (unsigned i = 0; i < ENTRIES; i++)
        certificate_free(&fixture->entries[i]);
    close(fixture->file);
    return close(fixture->memory);
}

static void forget(struct fixture *fixture)
{
    SSL_SESSION_free(fixture->session);
    fixture->session = NULL;
}

static SSL *client_for(struct fixture *fixture, const char *host, const char *algorithms,
                       int version)
{
    SSL *ssl = SSL_new(fixture->client);

    SSL_set_min_proto_version(ssl, version);
    SSL_set_max_proto_version(ssl, version);
    SSL_set_connect_state(ssl);
    if (host != NULL)
        assert_int_equal(SSL_set_tlsext_host_name(ssl, host), 1);
    if (algorithms != NULL)
        assert_int_equal(SSL_set1_sigalgs_list(ssl, algorithms), 1);
    if (fixture->session != NULL)
        assert_int_equal(SSL_set_session(ssl, fixture->session), 1);
    forget(fixture);
    return ssl;
}

/* Which of `all` the certificate is. */
static int number_of(const struct fixture *fixture, X509 *certificate)
{
    unsigned char *octets = NULL;
    int found = -1;

    int length = i2d_X509(certificate, &octets);
    for (int i = 0; i < ENTRIES; i++)
        if ((size_t)length == fixture->entries[i].certificate.length &&
            memcmp(octets, fixture->entries[i].certificate.octets, (size_t)length) == 0)
            found = i;
    OPENSSL_free(octets);
    return found;
}

enum { FAILED = -1, RESUMED = -2 };

/* One connection: the number of the certificate that the client has got, or one of the above. */
static int meet(struct fixture *fixture, const char *host, const char *algorithms, int version)
{
    SSL *near = client_for(fixture, host, algorithms, version);
    SSL *far = tls_connection(fixture->server);
    BIO *near_end;
    BIO *far_end;
    char octet;
    int result = FAILED;

    assert_int_equal(BIO_new_bio_pair(&near_end, 0, &far_end, 0), 1);
    SSL_set_bio(near, near_end, near_end);
    SSL_set_bio(far, far_end, far_end);
    SSL_set_accept_state(far);
    for (unsigned i = 0; i < 10; i++) {
        (void)SSL_do_handshake(near);
        (void)SSL_do_handshake(far);
    }
    if (SSL_is_init_finished(near) && SSL_is_init_finished(far)) {
        (void)SSL_read(near, &octet, 1); /* takes the ticket of TLS 1.3 */
        result =
            SSL_session_reused(far) ? RESUMED : number_of(fixture, SSL_get0_peer_certificate(near));
        if (fixture->session == NULL && version == TLS1_2_VERSION)
            fixture->session = SSL_get1_session(near);
    }
    SSL_shutdown(near);
    SSL_free(near);
    SSL_free(far);
    return result;
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

#define FOR_EACH_VERSION(version)                                                                  \
    for (const int *version = versions; version < versions + 2; version++)

#define ECDSA_ONLY "ECDSA+SHA256"
#define RSA_ONLY   "RSA-PSS+SHA256:RSA+SHA256"

static const struct {
    const char *host;
    int any, ecdsa, rsa; /* what a client gets that knows both, and only one kind of key */
} hosts[] = {
    {NULL, HOST, HOST, FAILED},
    {"mail.host.example", HOST, HOST, FAILED},
    {"nobody.example", HOST, HOST, FAILED},
    {"mail.astoria.example", ASTORIA, ASTORIA, ASTORIA_RSA},
    {"Mail.ASTORIA.Example", ASTORIA, ASTORIA, ASTORIA_RSA},
    {"pop.astoria.example", ASTORIA, ASTORIA, FAILED},
    {"astoria.example", HOST, HOST, FAILED},
    {"mail.bellevue.example", BELLEVUE, FAILED, BELLEVUE},
    {"any.wild.example", WILD, WILD, FAILED},
    {"any.thing.wild.example", HOST, HOST, FAILED},
    {"wild.example", HOST, HOST, FAILED},
};

static void test_hosts(void **state)
{
    struct fixture *fixture = *state;

    FOR_EACH_VERSION(version)
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        const int wanted[] = {hosts[i].any, hosts[i].ecdsa, hosts[i].rsa};
        const char *const algorithms[] = {NULL, ECDSA_ONLY, RSA_ONLY};
        for (unsigned j = 0; j < 3; j++) {
            forget(fixture);
            int got = meet(fixture, hosts[i].host, algorithms[j], *version);
            if (got != wanted[j])
                fail_msg("%s by %s: %d, not %d", hosts[i].host,
                         algorithms[j] != NULL ? algorithms[j] : "all", got, wanted[j]);
        }
    }
}

/* A ticket is good for the name that it was given for. */
static void test_tickets(void **state)
{
    static const char *const names[] = {NULL, "mail.astoria.example", "pop.astoria.example",
                                        "mail.bellevue.example", "any.wild.example"};
    enum { NAMES = sizeof(names) / sizeof(names[0]) };
    struct fixture *fixture = *state;

    FOR_EACH_VERSION(version)
    for (unsigned i = 0; i < NAMES; i++)
        for (unsigned j = 0; j < NAMES; j++) {
            forget(fixture);
            assert_true(meet(fixture, names[i], NULL, *version) >= 0);
            assert_non_null(fixture->session);
            assert_int_equal(meet(fixture, names[j], NULL, *version) == RESUMED, i == j);
        }
}

/* Names that nobody knows are all the default's. */
static void test_unknown_names_resume(void **state)
{
    struct fixture *fixture = *state;

    FOR_EACH_VERSION(version)
    {
        forget(fixture);
        assert_int_equal(meet(fixture, "one.example", NULL, *version), HOST);
        assert_int_equal(meet(fixture, "one.example", NULL, *version), RESUMED);
    }
}

/* Only what has changed costs its clients a handshake in full. */
static void test_reload(void **state)
{
    struct fixture *fixture = *state;
    const char *error = NULL;

    FOR_EACH_VERSION(version)
    {
        forget(fixture);
        assert_int_equal(meet(fixture, "mail.bellevue.example", NULL, *version), BELLEVUE);
        SSL_SESSION *bellevue = fixture->session;
        fixture->session = NULL;
        assert_int_equal(meet(fixture, "any.wild.example", NULL, *version), WILD);
        certificate_free(&fixture->entries[WILD]);
        certificate_make(&fixture->entries[WILD], CERTBUNDLE_ECDSA, "tls/wild", "*.wild.example",
                         14, -1800);
        certificates_write(fixture->file, fixture->entries, ENTRIES);
        assert_int_equal(meet(fixture, "any.wild.example", NULL, *version), RESUMED);
        assert_int_equal(tls_reload(fixture->server, &error), 0);
        assert_int_equal(meet(fixture, "any.wild.example", NULL, *version), WILD);
        forget(fixture);
        fixture->session = bellevue;
        assert_int_equal(meet(fixture, "mail.bellevue.example", NULL, *version), RESUMED);
    }
}

static void *replace(void *context)
{
    struct fixture *fixture = context;

    for (unsigned i = 0; i < 2000; i++)
        certificates_write(fixture->file, fixture->entries, ENTRIES);
    atomic_store(&fixture->replaced, true);
    return NULL;
}

/* Two reloads while a program starts, again and again. */
static void test_replaced_meanwhile(void **state)
{
    struct fixture *fixture = *state;
    const char *error = NULL;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, replace, fixture), 0);
    while (!atomic_load(&fixture->replaced))
        if (tls_reload(fixture->server, &error) < 0)
            fail_msg("%s", error);
    pthread_join(thread, NULL);
    assert_int_equal(meet(fixture, NULL, NULL, TLS1_3_VERSION), HOST);
}

/* What OpenSSL does not take leaves its name with the default, and a file of it changes nothing. */
static void test_unusable(void **state)
{
    struct fixture *fixture = *state;
    struct certbundle_entry entries[ENTRIES];
    const char *error = NULL;

    memcpy(entries, fixture->entries, sizeof(entries));
    entries[WILD].key = entries[ASTORIA].key;
    entries[BELLEVUE].certificate.length--;
    certificates_write(fixture->file, entries, ENTRIES);
    assert_int_equal(tls_reload(fixture->server, &error), 0);
    FOR_EACH_VERSION(version)
    {
        forget(fixture);
        assert_int_equal(meet(fixture, "any.wild.example", NULL, *version), HOST);
        assert_int_equal(meet(fixture, "any.wild.example", NULL, *version), RESUMED);
        forget(fixture);
        assert_int_equal(meet(fixture, "mail.bellevue.example", NULL, *version), HOST);
        forget(fixture);
        assert_int_equal(meet(fixture, "mail.astoria.example", NULL, *version), ASTORIA);
    }
    entries[HOST].key = entries[ASTORIA].key;
    certificates_write(fixture->file, entries, ENTRIES);
    assert_int_equal(tls_reload(fixture->server, &error), -1);
    assert_non_null(error);
    forget(fixture);
    assert_int_equal(meet(fixture, NULL, NULL, TLS1_3_VERSION), HOST);
}

/* More names than are kept parsed: each gets its own, again and again. */
static void test_many(void **state)
{
    enum { MANY = CERTIFICATES_PARSED_MAX + 4 };
    static char names[MANY][32];
    struct fixture *fixture = *state;
    uint8_t hash[CERTIFICATES_HASH_SIZE];

    struct certwriter *writer = certwriter_begin(fixture->file);
    for (unsigned i = 0; i < MANY; i++) {
        struct certbundle_entry entry = fixture->entries[i % ENTRIES];
        snprintf(names[i], sizeof(names[i]), "h%05u.example", i);
        entry.label = names[i];
        entry.names = (struct certbundle_octets){names[i], strlen(names[i]) + 1};
        certwriter_add(writer, &entry);
    }
    assert_int_equal(certwriter_end(writer, 0), 0);
    struct certificates *certificates = certificates_new(fixture->file);
    SSL *ssl = tls_connection(fixture->server);
    for (unsigned i = 1; i < MANY + 10; i++) {
        const unsigned number = i < MANY ? i : i - MANY + 1; /* the first ones once more */
        assert_true(certificates_use_named(certificates, ssl, (const uint8_t *)names[number],
                                           strlen(names[number]), hash));
        assert_int_equal(number_of(fixture, SSL_get_certificate(ssl)), number % ENTRIES);
    }
    SSL_free(ssl);
    certificates_free(certificates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hosts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tickets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unknown_names_resume, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reload, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replaced_meanwhile, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unusable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
    };

    if (keyschedule_register() < 0)
        return 1;
    int failed = cmocka_run_group_tests_name("pop3d_tls", tests, NULL, NULL);
    keyschedule_unregister();
    return failed;
}
