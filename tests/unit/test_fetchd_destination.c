/* Which addresses are connected to. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <string.h>

#include "fetchd/destination.h"
#include "lib/networks.h"

static bool ask(const char *listed, const char *text, bool encrypted)
{
    struct networks networks;
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
    struct sockaddr_in ipv4 = {.sin_family = AF_INET};

    assert_int_equal(networks_parse(&networks, listed), 0);
    if (inet_pton(AF_INET, text, &ipv4.sin_addr) == 1)
        return destination_is_allowed(&networks, (struct sockaddr *)&ipv4, encrypted);
    assert_int_equal(inet_pton(AF_INET6, text, &ipv6.sin6_addr), 1);
    return destination_is_allowed(&networks, (struct sockaddr *)&ipv6, encrypted);
}

static const struct {
    const char *address;
    bool allowed;
} rows[] = {
    {"8.8.8.8", true},
    {"192.0.1.1", true},
    {"172.15.255.255", true},
    {"172.32.0.1", true},
    {"223.255.255.255", true},
    {"2606:4700::1111", true},
    {"2a00:1450::1", true},
    {"::ffff:8.8.8.8", true},
    {"64:ff9b::8.8.8.8", true},

    {"0.0.0.0", false},
    {"10.1.2.3", false},
    {"100.64.0.1", false},
    {"127.0.0.1", false},
    {"127.255.255.255", false},
    {"169.254.169.254", false},
    {"172.16.0.1", false},
    {"172.31.255.255", false},
    {"192.0.0.8", false},
    {"192.168.1.1", false},
    {"198.18.0.1", false},
    {"224.0.0.1", false},
    {"240.0.0.1", false},
    {"255.255.255.255", false},
    {"::", false},
    {"::1", false},
    {"::127.0.0.1", false},
    {"::ffff:127.0.0.1", false},
    {"::ffff:10.0.0.1", false},
    {"::ffff:169.254.169.254", false},
    {"64:ff9b::10.0.0.1", false},
    {"64:ff9b:1::1", false},
    {"2001::1", false},
    {"2001:db8::1", false},
    {"2002:7f00:1::1", false},
    {"fc00::1", false},
    {"fd12:3456::1", false},
    {"fe80::1", false},
    {"fec0::1", false},
    {"ff02::1", false},
};

static void test_what_is_public(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (ask("", rows[i].address, true) != rows[i].allowed)
            fail_msg("%s", rows[i].address);
}

/* Without TLS nothing goes to the Internet, wherever it leads. */
static void test_in_the_clear(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (ask("", rows[i].address, false))
            fail_msg("%s", rows[i].address);
}

static void test_listed(void **state)
{
    (void)state;
    assert_true(ask("127.0.0.0/8", "127.0.0.1", false));
    assert_true(ask("127.0.0.0/8", "::ffff:127.0.0.1", true));
    assert_false(ask("127.0.0.0/8", "::1", true));
    assert_true(ask("10.0.0.0/24 fd00::/8", "fd00::1", true));
    assert_false(ask("10.0.0.0/24 fd00::/8", "10.0.1.1", true));
    assert_true(ask("10.0.0.0/24 fd00::/8", "8.8.8.8", true));
    assert_false(ask("10.0.0.0/24 fd00::/8", "8.8.8.8", false));
}

static void test_another_family(void **state)
{
    const struct networks none = {0};
    const struct sockaddr local = {.sa_family = AF_UNIX};
    (void)state;

    assert_false(destination_is_allowed(&none, &local, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_public),
        cmocka_unit_test(test_in_the_clear),
        cmocka_unit_test(test_listed),
        cmocka_unit_test(test_another_family),
    };

    destination_init();
    return cmocka_run_group_tests_name("destination", tests, NULL, NULL);
}
