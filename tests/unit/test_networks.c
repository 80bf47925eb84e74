/* Lists of addresses and networks in settings. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/networks.h"

static bool holds(const struct networks *networks, const char *text)
{
    struct sockaddr_in ipv4 = {.sin_family = AF_INET};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &ipv4.sin_addr) == 1)
        return networks_hold(networks, (struct sockaddr *)&ipv4);
    assert_int_equal(inet_pton(AF_INET6, text, &ipv6.sin6_addr), 1);
    return networks_hold(networks, (struct sockaddr *)&ipv6);
}

static void who_is_in_it(void **state)
{
    static const struct {
        const char *list;
        const char *address;
        bool held;
    } cases[] = {
        {"", "192.0.2.1", false},
        {" , ", "::1", false},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.1", "::ffff:192.0.2.1", true},
        {"::ffff:192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1/32", "192.0.2.1", true},
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"172.16.0.0/12", "172.31.255.255", true},
        {"172.16.0.0/12", "172.32.0.0", false},
        {"0.0.0.0/0", "198.51.100.7", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "198.51.100.7", true},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"::1", "::1", true},
        {"::1", "127.0.0.1", false},
        {"192.0.2.1 198.51.100.0/24,2001:db8::/32", "198.51.100.9", true},
        {"192.0.2.1 198.51.100.0/24,2001:db8::/32", "2001:db8::9", true},
        {"192.0.2.1 198.51.100.0/24,2001:db8::/32", "203.0.113.1", false},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct networks networks;
        assert_int_equal(networks_parse(&networks, cases[i].list), 0);
        if (holds(&networks, cases[i].address) != cases[i].held)
            fail_msg("\"%s\" and %s", cases[i].list, cases[i].address);
    }
}

static void what_lies_within_it(void **state)
{
    static const struct {
        const char *outer;
        const char *inner;
        bool held;
    } cases[] = {
        {"10.0.0.0/8", "10.0.0.0/8", true},
        {"10.0.0.0/8", "10.1.0.0/16 10.2.3.4", true},
        {"10.0.0.0/8", "10.1.0.0/16 11.2.3.4", false},
        {"10.0.0.0/8", "10.0.0.0/7", false},
        {"10.0.0.0/8", "0.0.0.0/0", false},
        {"10.0.0.0/8 192.0.2.0/24", "192.0.2.7", true},
        {"2001:db8::/32", "2001:db8:1::/48", true},
        {"2001:db8::/32", "::/0", false},
        {"0.0.0.0/0", "::1", false},
        {"::/0", "10.0.0.0/8", true},
        {"", "10.0.0.1", false},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct networks outer;
        struct networks inner;
        assert_int_equal(networks_parse(&outer, cases[i].outer), 0);
        assert_int_equal(networks_parse(&inner, cases[i].inner), 0);
        if (networks_hold_all(&outer, &inner) != cases[i].held)
            fail_msg("\"%s\" and \"%s\"", cases[i].outer, cases[i].inner);
    }
}

static void what_is_no_list(void **state)
{
    static const char *const wrong[] = {
        "localhost",     "192.0.2",      "192.0.2.1/",       "192.0.2.1/33", "192.0.2.1/24",
        "10.0.0.0/8/8",  "10.0.0.0/-8",  "10.0.0.0/ 8",      "::1/129",      "2001:db8::1/64",
        "10.0.0.0/0008", "192.0.2.01",   "192.0.2.1;::1",    "[::1]",        "*",
        "192.0.2.1:110", "fe80::1%eth0", "192.0.2.1 nobody",
    };
    struct networks networks;
    char many[2 * (NETWORKS_MAX + 1) * 2 + 1] = "";
    (void)state;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (networks_parse(&networks, wrong[i]) == 0)
            fail_msg("\"%s\" is taken", wrong[i]);
    for (unsigned i = 0; i < NETWORKS_MAX; i++)
        memcpy(many + 3 * (size_t)i, ":: ", 3);
    assert_int_equal(networks_parse(&networks, many), 0);
    memcpy(many + 3 * (size_t)NETWORKS_MAX, "::", 2);
    assert_int_equal(networks_parse(&networks, many), -1);
}

static void how_one_is_written(void **state)
{
    static const char *const cases[][2] = {
        {"192.0.2.1", "192.0.2.1"},
        {"192.0.2.1/32", "192.0.2.1"},
        {"10.0.0.0/8", "10.0.0.0/8"},
        {"::ffff:10.0.0.0/104", "10.0.0.0/8"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"::/0", "::/0"},
        {"2001:DB8:0:0::/32", "2001:db8::/32"},
        {"2001:db8::1/128", "2001:db8::1"},
    };
    char text[NETWORKS_TEXT_SIZE];
    struct networks networks;
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(networks_parse(&networks, cases[i][0]), 0);
        networks_format(text, &networks.list[0].address, networks.list[0].bits);
        assert_string_equal(text, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_in_it),
        cmocka_unit_test(what_lies_within_it),
        cmocka_unit_test(what_is_no_list),
        cmocka_unit_test(how_one_is_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
