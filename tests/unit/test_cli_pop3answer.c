/* What is typed as another server's name, and what such a server may say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "cli/pop3answer.h"

static const struct {
    const char *text;
    const char *host; /* NULL: none */
    unsigned port;
} hosts[] = {
    {"pop.example", "pop.example", 0},
    {"pop.example:1995", "pop.example", 1995},
    {"192.0.2.1:995", "192.0.2.1", 995},
    {"[2001:db8::1]", "[2001:db8::1]", 0},
    {"[2001:db8::1]:110", "[2001:db8::1]", 110},
    {"", NULL, 0},
    {":995", NULL, 0},
    {"pop.example:", NULL, 0},
    {"pop.example:0", NULL, 0},
    {"pop.example:65536", NULL, 0},
    {"pop.example:99x", NULL, 0},
    {"[2001:db8::1]x", NULL, 0},
    {"a/b", NULL, 0},
    {"user@host", NULL, 0},
    {"a b", NULL, 0},
    {"a#b", NULL, 0},
};

static void hosts_are_told_from_what_is_none(void **state)
{
    char host[256], endless[400];
    unsigned port;
    (void)state;

    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        int result = pop3answer_host(hosts[i].text, host, &port);
        assert_int_equal(result, hosts[i].host != NULL ? 0 : -1);
        if (result < 0)
            continue;
        assert_string_equal(host, hosts[i].host);
        assert_int_equal(port, hosts[i].port);
    }
    memset(endless, 'a', sizeof(endless));
    endless[sizeof(endless) - 1] = '\0';
    assert_int_equal(pop3answer_host(endless, host, &port), -1);
}

static const struct {
    const char *line;
    unsigned number; /* 0: the line says nothing */
    const char *word;
} lines[] = {
    {"1 abc\r", 1, "abc"},
    {"12  abc def", 12, "abc"},
    {"1 ", 0, NULL},
    {"1", 0, NULL},
    {"0 a", 0, NULL},
    {"x a", 0, NULL},
    {"-1 a", 0, NULL},
    {" 1 a", 0, NULL},
    {"", 0, NULL},
    {"999999999 a", 0, NULL},
    {"99999999999999999999999 a", 0, NULL},
};

static void lines_of_lists_are_parsed(void **state)
{
    char line[64], *word;
    unsigned number;
    (void)state;

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        snprintf(line, sizeof(line), "%s", lines[i].line);
        int result = pop3answer_line(line, &number, &word);
        assert_int_equal(result, lines[i].number > 0 ? 0 : -1);
        if (result < 0)
            continue;
        assert_int_equal(number, lines[i].number);
        assert_string_equal(word, lines[i].word);
    }
}

static const struct {
    const char *header;
    int64_t time;
} headers[] = {
    {"Received: from a by b; Thu, 1 Jan 2026 00:00:00 +0000\r\n", 1767225600},
    {"Subject: x\r\nreceived: by b\r\n\t(x; y);\r\n Thu, 1 Jan 2026 01:00:00 +0100 (CET)\r\n",
     1767225600},
    {"Received: by b; 1 Jan 2026 00:00:00 GMT\nReceived: by c; 1 Jan 2025 00:00:00 GMT\n",
     1767225600},
    {"Received: by b; (((( 1 Jan 2026 00:00:00 GMT\r\n", 0},
    {"Received: by b; soon\r\n", 0},
    {"Received: by b\r\n", 0},
    {"Received:", 0},
    {"Subject: x\r\n\r\nReceived: by b; 1 Jan 2026 00:00:00 GMT\r\n", 0},
    {"\r\n", 0},
    {"", 0},
};

static void the_first_received_field_has_the_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
        assert_int_equal(pop3answer_received(headers[i].header, strlen(headers[i].header)),
                         headers[i].time);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_are_told_from_what_is_none),
        cmocka_unit_test(lines_of_lists_are_parsed),
        cmocka_unit_test(the_first_received_field_has_the_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
