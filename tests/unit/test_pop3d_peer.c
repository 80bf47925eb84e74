/* Which clients are on this machine: they may log in without TLS. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pop3d/peer.h"

static void set(struct peer *peer_r, const char *text)
{
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
    struct sockaddr_in ipv4 = {.sin_family = AF_INET};

    if (inet_pton(AF_INET, text, &ipv4.sin_addr) == 1) {
        peer_set(peer_r, (struct sockaddr *)&ipv4);
        return;
    }
    assert_int_equal(inet_pton(AF_INET6, text, &ipv6.sin6_addr), 1);
    peer_set(peer_r, (struct sockaddr *)&ipv6);
}

static void test_loopback(void **state)
{
    static const struct {
        const char *address;
        const char *text;
        bool loopback;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1", true},
        {"127.255.255.254", "127.255.255.254", true},
        {"126.255.255.255", "126.255.255.255", false},
        {"128.0.0.1", "128.0.0.1", false},
        {"0.0.0.0", "0.0.0.0", false},
        {"192.0.2.127", "192.0.2.127", false},
        {"::1", "::1", true},
        {"::2", "::2", false},
        {"::", "::", false},
        {"::127.0.0.1", "::127.0.0.1", false},
        {"::ffff:127.0.0.1", "127.0.0.1", true},
        {"::ffff:127.9.9.9", "127.9.9.9", true},
        {"::ffff:192.0.2.1", "192.0.2.1", false},
        {"2001:db8::1", "2001:db8::1", false},
        {"fe80::1", "fe80::1", false},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer peer;
        set(&peer, cases[i].address);
        assert_string_equal(peer.text, cases[i].text);
        assert_int_equal(peer.near, cases[i].loopback);
        assert_int_equal(peer.shared, cases[i].loopback);
    }
}

static void test_other_family(void **state)
{
    const struct sockaddr address = {.sa_family = AF_UNIX};
    struct peer peer;
    (void)state;

    peer_set(&peer, &address);
    assert_string_equal(peer.text, "unknown");
    assert_false(peer.near);
    assert_false(peer.shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_other_family),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
