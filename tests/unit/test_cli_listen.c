#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/listen.h"
#include "tests/unit/scratch.h"

static const struct {
    const char *text;
    const char *addresses; /* as describe() writes them */
} good[] = {
    {"127.0.0.1:110", "127.0.0.1 110;"},
    {"0.0.0.0:1", "0.0.0.0 1;"},
    {"[::1]:65535", "::1 65535;"},
    {"[2001:db8::7]:20110", "2001:db8::7 20110;"},
    {"[::]:995", ":: 995;"},
    {"[::ffff:192.0.2.1]:25", "::ffff:192.0.2.1 25;"},
    {"*:20110", ":: 20110;0.0.0.0 20110;"},
    {"127.0.0.1:00110", "127.0.0.1 110;"},
};

static const char *const bad[] = {
    "",
    ":",
    ":110",
    "110",
    "127.0.0.1",
    "127.0.0.1:",
    "127.0.0.1:0",
    "127.0.0.1:65536",
    "127.0.0.1:4294967406",
    "127.0.0.1:99999999999999999999",
    "127.0.0.1:-1",
    "127.0.0.1:+1",
    "127.0.0.1: 110",
    "127.0.0.1:110 ",
    " 127.0.0.1:110",
    "127.0.0.1:pop3",
    "127.1:110",
    "256.0.0.1:110",
    "localhost:110",
    "::1:110",
    "::1",
    "[::1]",
    "[::1]110",
    "[::1:110",
    "[]:110",
    "[127.0.0.1]:110",
    "[localhost]:110",
    "**:110",
    "*110",
    "1111111111111111111111111111111111111111111111111111111111111111111111111111:110",
};

static void describe(const struct listen_address *address, char *text_r, size_t size)
{
    char host[INET6_ADDRSTRLEN];
    size_t length = 0;

    text_r[0] = '\0';
    for (unsigned i = 0; i < address->count; i++) {
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
        memcpy(&ipv4, &address->addresses[i], sizeof(ipv4));
        memcpy(&ipv6, &address->addresses[i], sizeof(ipv6));
        const void *number =
            ipv4.sin_family == AF_INET ? (void *)&ipv4.sin_addr : (void *)&ipv6.sin6_addr;
        assert_non_null(inet_ntop(ipv4.sin_family, number, host, sizeof(host)));
        length +=
            (size_t)snprintf(text_r + length, size - length, "%s %u;", host, ntohs(ipv4.sin_port));
    }
}

static void test_parse_good(void **state)
{
    struct listen_address address;
    const char *error;
    char text[200];
    (void)state;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (listen_parse(&address, good[i].text, &error) < 0)
            fail_msg("%s: %s", good[i].text, error);
        describe(&address, text, sizeof(text));
        assert_string_equal(text, good[i].addresses);
    }
}

static void test_parse_bad(void **state)
{
    struct listen_address address;
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *error = NULL;
        if (listen_parse(&address, bad[i], &error) == 0)
            fail_msg("\"%s\" was taken", bad[i]);
        assert_non_null(error);
    }
}

static void test_parse_says_what(void **state)
{
    struct listen_address address;
    const char *error;
    (void)state;

    assert_int_equal(listen_parse(&address, "127.0.0.1:pop3", &error), -1);
    assert_non_null(strstr(error, "1 to 65535"));
    assert_int_equal(listen_parse(&address, "[::1]:0", &error), -1);
    assert_non_null(strstr(error, "1 to 65535"));
    assert_int_equal(listen_parse(&address, "localhost:110", &error), -1);
    assert_non_null(strstr(error, "ADDRESS:PORT"));
    assert_int_equal(listen_parse(&address, "::1", &error), -1);
    assert_non_null(strstr(error, "ADDRESS:PORT"));
}

/* Port 0 cannot be written in the configuration; here the kernel chooses a free one. */
static struct listen_address loopback(in_port_t port)
{
    struct sockaddr_in ipv4 = {
        .sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct listen_address address = {.count = 1};

    memcpy(&address.addresses[0], &ipv4, sizeof(ipv4));
    return address;
}

static void test_tcp_in_use(void **state)
{
    struct listen_address address = loopback(0);
    struct sockaddr_in bound = {0};
    socklen_t size = sizeof(bound);
    int fds[LISTEN_SOCKETS_MAX] = {-1, -1};
    int more[LISTEN_SOCKETS_MAX];
    (void)state;

    assert_int_equal(listen_tcp(&address, fds), 1);
    assert_int_equal(getsockname(fds[0], (struct sockaddr *)&bound, &size), 0);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&bound, size), 0);
    address = loopback(bound.sin_port);
    assert_int_equal(listen_tcp(&address, more), -1);
    assert_int_equal(errno, EADDRINUSE);
    close(client);
    close(fds[0]);
}

/* One family of "*" may be missing, but an address that the machine lacks is an error. */
static void test_tcp_missing(void **state)
{
    struct listen_address address;
    const char *error;
    int fds[LISTEN_SOCKETS_MAX] = {-1, -1};
    (void)state;

    /* TEST-NET-3 of RFC 5737 is nobody's address. */
    assert_int_equal(listen_parse(&address, "203.0.113.1:20110", &error), 0);
    assert_int_equal(listen_tcp(&address, fds), -1);
    assert_int_equal(errno, EADDRNOTAVAIL);
    struct listen_address usable = loopback(0);
    address.addresses[address.count++] = usable.addresses[0];
    assert_int_equal(listen_tcp(&address, fds), 1);
    close(fds[0]);
}

static void test_unix_replaces_stale(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "a.sock"};
    struct stat status;
    (void)state;

    int stale = listen_unix("a.sock", 0600);
    assert_true(stale >= 0);
    close(stale);
    int fd = listen_unix("a.sock", 0660);
    assert_true(fd >= 0);
    assert_int_equal(stat("a.sock", &status), 0);
    assert_int_equal(status.st_mode & 07777, 0660);
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
    close(client);
    close(fd);
}

static void test_unix_leaves_files(void **state)
{
    (void)state;

    FILE *file = fopen("b.sock", "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(listen_unix("b.sock", 0600), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(access("b.sock", F_OK), 0);
    assert_int_equal(listen_unix("no-such-folder/c.sock", 0600), -1);
    assert_int_equal(errno, ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_good),
        cmocka_unit_test(test_parse_bad),
        cmocka_unit_test(test_parse_says_what),
        cmocka_unit_test(test_tcp_in_use),
        cmocka_unit_test(test_tcp_missing),
        cmocka_unit_test_setup_teardown(test_unix_replaces_stale, scratch_enter, scratch_leave),
        cmocka_unit_test_setup_teardown(test_unix_leaves_files, scratch_enter, scratch_leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
