/* The PROXY protocol's header: whole, in pieces, with what follows it, and wrong in every way. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/proxyheader.h"
#include "lib/xalloc.h"

#define BEGUN  PROXYHEADER_BEGUN
#define CLIENT PROXYHEADER_CLIENT
#define OWN    PROXYHEADER_OWN
#define WRONG  PROXYHEADER_WRONG

/* Version 2: the signature, and the addresses of a client at port 4711. */
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define IPV4      "\xc0\0\x02\x07\xc6\x33\x64\x01\x12\x67\0\x6e"
#define IPV6                                                                                       \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x12\x67" \
    "\0\x6e"
#define UNIX_PATHS                                                                                 \
    "012345678901234567890123456789012345678901234567890123456789"                                 \
    "012345678901234567890123456789012345678901234567890123456789"                                 \
    "012345678901234567890123456789012345678901234567890123456789"                                 \
    "012345678901234567890123456789012345"

#define TEXT(text)           text, sizeof(text) - 1
#define BINARY(head, follow) TEXT(SIGNATURE head follow)

static const struct header_case {
    const char *octets;
    uint32_t length;
    enum proxyheader_state state;
    const char *client;
    uint16_t port;
    bool secured;
} cases[] = {
    /* Version 1. */
    {TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 4711 110\r\n"), CLIENT, "::ffff:192.0.2.7", 4711, 0},
    {TEXT("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), CLIENT,
     "::ffff:255.255.255.255", 65535, 0},
    {TEXT("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), CLIENT, "::ffff:0.0.0.0", 0, 0},
    {TEXT("PROXY TCP6 2001:db8::7 2001:DB8::1 4711 110\r\n"), CLIENT, "2001:db8::7", 4711, 0},
    {TEXT("PROXY TCP6 2001:db8::7 127.0.0.1 4711 110\r\n"), CLIENT, "2001:db8::7", 4711, 0},
    {TEXT("PROXY TCP4 192.0.2.7 2001:db8::1 4711 110\r\n"), CLIENT, "::ffff:192.0.2.7", 4711, 0},
    {TEXT("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
     CLIENT, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535, 0},
    {TEXT("PROXY UNKNOWN\r\n"), OWN, NULL, 0, 0},
    {TEXT("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
     OWN, NULL, 0, 0},
    {TEXT("PROXY UNKNOWN whatever it is\r\n"), OWN, NULL, 0, 0},

    {TEXT(""), BEGUN, NULL, 0, 0},
    {TEXT("PROXY"), BEGUN, NULL, 0, 0},
    {TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 4711 110"), BEGUN, NULL, 0, 0},
    {TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 4711 110\r"), BEGUN, NULL, 0, 0},

    {TEXT("CAPA\r\n"), WRONG, NULL, 0, 0},
    {TEXT("\x16\x03\x01\x02"), WRONG, NULL, 0, 0},
    {TEXT("proxy TCP4 192.0.2.7 198.51.100.1 4711 110\r\n"), WRONG, NULL, 0, 0},
    {TEXT("PROXY\r\n"), WRONG, NULL, 0, 0},
    {TEXT("PROXY \r\n"), WRONG, NULL, 0, 0},
    {TEXT("PROXY  TCP4 192.0.2.7 198.51.100.1 4711 110\r\n"), WRONG, NULL, 0, 0},
    {TEXT("PROXY TCP4\r\n"), WRONG, NULL, 0, 0},
    {TEXT("PROXY TCP5 192.0.2.7 198.51.100.1 4711 110\r\n"), WRONG, NULL, 0, 0},
    {TEXT("PROXY UNKNOWNS\r\n"), WRONG, NULL, 0, 0},
    {TEXT("PROXY unknown\r\n"), WRONG, NULL, 0, 0},
    {TEXT("PROXY TCP4 2001:db8::7 2001:db8::1 4711 110\r\n"), WRONG, NULL, 0, 0},
    {TEXT("PROXY TCP6 192.0.2.7 198.51.100.1 4711 110\r\n"), WRONG, NULL, 0, 0},
    {TEXT("PROXY TCP4 192.0.2.7 nobody 4711 110\r\n"), WRONG, NULL, 0, 0},
    {TEXT("PROXY TCP4 192.0.2.07 198.51.100.1 4711 110\r\n"), WRONG, NULL, 0, 0},
    {TEXT("PROXY TCP4 192.0.2.256 198.51.100.1 4711 110\r\n"), WRONG, NULL, 0, 0},
    {TEXT("PROXY TCP4 192.0.2 198.51.100.1 4711 110\r\n"), WRONG, NULL, 0, 0},
    {TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n"), WRONG, NULL, 0, 0},
    {TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 4711 110 \r\n"), WRONG, NULL, 0, 0},
    {TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 4711 110 1\r\n"), WRONG, NULL, 0, 0},
    {TEXT("PROXY TCP4 192.0.2.7  198.51.100.1 4711 110\r\n"), WRONG, NULL, 0, 0},
    {TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 65536 110\r\n"), WRONG, NULL, 0, 0},
    {TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 04711 110\r\n"), WRONG, NULL, 0, 0},
    {TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 -1 110\r\n"), WRONG, NULL, 0, 0},
    {TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 4711 0x6e\r\n"), WRONG, NULL, 0, 0},
    {TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 4711 110\n"), WRONG, NULL, 0, 0},
    {TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 4711 110\r\r\n"), WRONG, NULL, 0, 0},
    {TEXT("PROXY TCP4 192.0.2.7\0 198.51.100.1 4711 110\r\n"), WRONG, NULL, 0, 0},
    /* 107 octets without the end of a line. */
    {TEXT("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 655350\r"),
     WRONG, NULL, 0, 0},

    /* Version 2. */
    {BINARY("\x21\x11\0\x0c", IPV4), CLIENT, "::ffff:192.0.2.7", 4711, 0},
    {BINARY("\x21\x21\0\x24", IPV6), CLIENT, "2001:db8::7", 4711, 0},
    {BINARY("\x20\0\0\0", ""), OWN, NULL, 0, 0},
    {BINARY("\x20\x11\0\x0c", IPV4), OWN, NULL, 0, 0},
    {BINARY("\x20\xff\0\x02", "??"), OWN, NULL, 0, 0},
    {BINARY("\x21\0\0\0", ""), OWN, NULL, 0, 0},
    {BINARY("\x21\0\0\x05", "?????"), OWN, NULL, 0, 0},
    {BINARY("\x21\x10\0\x0c", IPV4), OWN, NULL, 0, 0},
    {BINARY("\x21\x12\0\x0c", IPV4), OWN, NULL, 0, 0},
    {BINARY("\x21\x22\0\x24", IPV6), OWN, NULL, 0, 0},
    {BINARY("\x21\x31\0\xd8", UNIX_PATHS), OWN, NULL, 0, 0},
    /* More than addresses: nothing, ALPN, TLS, none, a checksum. */
    {BINARY("\x21\x11\0\x0f", IPV4 "\x04\0\0"), CLIENT, "::ffff:192.0.2.7", 4711, 0},
    {BINARY("\x21\x11\0\x13", IPV4 "\x01\0\x04pop3"), CLIENT, "::ffff:192.0.2.7", 4711, 0},
    {BINARY("\x21\x11\0\x14", IPV4 "\x20\0\x05\x01\0\0\0\0"), CLIENT, "::ffff:192.0.2.7", 4711, 1},
    {BINARY("\x21\x11\0\x14", IPV4 "\x20\0\x05\0\0\0\0\0"), CLIENT, "::ffff:192.0.2.7", 4711, 0},
    {BINARY("\x21\x11\0\x13", IPV4 "\x03\0\x04\x5c\xa5\x8b\xfc"), CLIENT, "::ffff:192.0.2.7", 4711,
     0},

    {BINARY("", ""), BEGUN, NULL, 0, 0},
    {BINARY("\x21\x11\0", ""), BEGUN, NULL, 0, 0},
    {BINARY("\x21\x11\0\x0d", IPV4), BEGUN, NULL, 0, 0},
    {BINARY("\x20\0\0\x01", ""), BEGUN, NULL, 0, 0},

    {TEXT("\r\n\r\n\0\r\nQUIT\r"), WRONG, NULL, 0, 0},
    {BINARY("\x11\x11\0\x0c", ""), WRONG, NULL, 0, 0},
    {BINARY("\x31\x11\0\x0c", ""), WRONG, NULL, 0, 0},
    {BINARY("\x22\x11\0\x0c", ""), WRONG, NULL, 0, 0},
    {BINARY("\x21\x41\0\0", ""), WRONG, NULL, 0, 0},
    {BINARY("\x21\x13\0\x0c", IPV4), WRONG, NULL, 0, 0},
    {BINARY("\x21\x11\0\0", ""), WRONG, NULL, 0, 0},
    {BINARY("\x21\x11\0\x0b", "\xc0\0\x02\x07\xc6\x33\x64\x01\x12\x67\0"), WRONG, NULL, 0, 0},
    {BINARY("\x21\x21\0\x0c", IPV4), WRONG, NULL, 0, 0},
    {BINARY("\x21\x31\0\x0c", IPV4), WRONG, NULL, 0, 0},
    {BINARY("\x21\x11\0\x0d", IPV4 "\x04"), WRONG, NULL, 0, 0},
    {BINARY("\x21\x11\0\x0f", IPV4 "\x04\0\x01"), WRONG, NULL, 0, 0},
    {BINARY("\x21\x11\0\x0f", IPV4 "\x20\0\0"), WRONG, NULL, 0, 0},
    {BINARY("\x21\x11\0\x12", IPV4 "\x03\0\x03\x5c\xa5\x8b"), WRONG, NULL, 0, 0},
    {BINARY("\x21\x11\0\x13", IPV4 "\x03\0\x04\x5c\xa5\x8b\xfd"), WRONG, NULL, 0, 0},
    /* Two checksums, each of them right. */
    {BINARY("\x21\x11\0\x1a", IPV4 "\x03\0\x04\x67\xe2\x38\x5f\x03\0\x04\x41\x72\xcf\xa2"), WRONG,
     NULL, 0, 0},
    /* One octet more than there is room for, and as many as the field can say. */
    {BINARY("\x21\x11\x0f\xf1", ""), WRONG, NULL, 0, 0},
    {BINARY("\x20\0\xff\xff", ""), WRONG, NULL, 0, 0},
};

#define CASES (sizeof(cases) / sizeof(cases[0]))

static void check(const struct header_case *wanted, const struct proxyheader *header)
{
    char client[INET6_ADDRSTRLEN];

    if (header->state != wanted->state)
        fail_msg("row %zu of cases: %d", (size_t)(wanted - cases), header->state);
    if (wanted->state != CLIENT)
        return;
    assert_int_equal(header->client.sin6_family, AF_INET6);
    inet_ntop(AF_INET6, &header->client.sin6_addr, client, sizeof(client));
    assert_string_equal(client, wanted->client);
    assert_int_equal(ntohs(header->client.sin6_port), wanted->port);
    assert_int_equal(header->secured, wanted->secured);
}

static void at_once(void **state)
{
    (void)state;

    for (size_t i = 0; i < CASES; i++) {
        struct proxyheader *header = xcalloc(1, sizeof(*header));
        size_t taken = proxyheader_take(header, cases[i].octets, cases[i].length);
        check(&cases[i], header);
        if (cases[i].state != WRONG)
            assert_int_equal(taken, cases[i].length);
        free(header);
    }
}

static void octet_by_octet(void **state)
{
    (void)state;

    for (size_t i = 0; i < CASES; i++) {
        struct proxyheader *header = xcalloc(1, sizeof(*header));
        for (size_t at = 0; at < cases[i].length && header->state == BEGUN; at++) {
            assert_int_equal(proxyheader_take(header, cases[i].octets + at, 1), 1);
            if (at + 1 < cases[i].length && header->state != BEGUN)
                assert_int_equal(cases[i].state, WRONG);
        }
        check(&cases[i], header);
        free(header);
    }
}

/* What follows is the client's, be it a handshake, a command or another header. */
static void what_follows_stays(void **state)
{
    char octets[512];
    (void)state;

    for (size_t i = 0; i < CASES; i++) {
        if (cases[i].state != CLIENT && cases[i].state != OWN)
            continue;
        struct proxyheader *header = xcalloc(1, sizeof(*header));
        memcpy(octets, cases[i].octets, cases[i].length);
        memcpy(octets + cases[i].length, TEXT("PROXY UNKNOWN\r\n"));
        size_t length = cases[i].length + 15;
        assert_int_equal(proxyheader_take(header, octets, length), cases[i].length);
        check(&cases[i], header);
        assert_int_equal(proxyheader_take(header, octets, length), 0);
        free(header);
    }
}

static void the_longest_is_taken(void **state)
{
    static const char head[] = SIGNATURE "\x21\x11\x0f\xf0" IPV4 "\x04\x0f\xe1";
    struct proxyheader *header = xcalloc(1, sizeof(*header));
    char *octets = xcalloc(1, PROXYHEADER_MAX);
    (void)state;

    memcpy(octets, head, sizeof(head) - 1);
    assert_int_equal(proxyheader_take(header, octets, PROXYHEADER_MAX), PROXYHEADER_MAX);
    assert_int_equal(header->state, CLIENT);
    free(octets);
    free(header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_once),
        cmocka_unit_test(octet_by_octet),
        cmocka_unit_test(what_follows_stays),
        cmocka_unit_test(the_longest_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
