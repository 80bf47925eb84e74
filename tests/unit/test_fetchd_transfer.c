/* What fetchd takes for a request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "fetchd/transfer.h"

struct row {
    struct fetch_ask fixed; /* lengths that are 0 are those of the texts */
    const char *url;
    const char *headers;
    const char *body;
    int left; /* octets more than there should be */
};

/* Parses what the row says, in memory of exactly that size. */
static int parse(const struct row *row, struct transfer_ask *ask_r)
{
    struct fetch_ask fixed = row->fixed;
    const size_t url = strlen(row->url);
    const size_t headers = strlen(row->headers);
    const size_t body = strlen(row->body);

    fixed.seconds = fixed.seconds != 0 ? fixed.seconds : 5;
    fixed.url_length = fixed.url_length != 0 ? fixed.url_length : (uint32_t)url;
    fixed.header_length = (uint32_t)headers;
    fixed.body_length = (uint32_t)body;
    size_t length = (size_t)((long)(sizeof(fixed) + url + headers + body) + row->left);
    char *payload = calloc(1, length > 0 ? length : 1);
    char whole[16 * 1024] = {0};
    memcpy(whole, &fixed, sizeof(fixed));
    memcpy(whole + sizeof(fixed), row->url, url);
    memcpy(whole + sizeof(fixed) + url, row->headers, headers);
    memcpy(whole + sizeof(fixed) + url + headers, row->body, body);
    memcpy(payload, whole, length);
    int result = transfer_parse(ask_r, payload, length);
    if (result == 0) {
        assert_memory_equal(ask_r->url, row->url, url);
        assert_memory_equal(ask_r->headers, row->headers, headers);
        assert_memory_equal(ask_r->body, row->body, body);
    }
    free(payload);
    return result;
}

static void test_good(void **state)
{
    static const struct row rows[] = {
        {{0}, "https://a.example/", "", "", 0},
        {{.method = FETCH_POST, .answer_max = FETCH_BODY_MAX, .seconds = FETCH_TIME_MAX},
         "https://a.example/",
         "Content-Type: application/json\nX: y\n",
         "{\"a\":1}",
         0},
    };
    struct transfer_ask ask;
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(parse(&rows[i], &ask), 0);
}

static void test_bad(void **state)
{
    static const struct row rows[] = {
        {{0}, "", "", "", 0},
        {{0}, "https://a.example/", "", "", 1},
        {{0}, "https://a.example/", "", "", -1},
        {{0}, "https://a.example/", "", "", -(int)strlen("https://a.example/") - 1},
        {{.method = FETCH_METHOD__MAX}, "https://a.example/", "", "", 0},
        {{.seconds = FETCH_TIME_MAX + 1}, "https://a.example/", "", "", 0},
        {{.answer_max = FETCH_BODY_MAX + 1}, "https://a.example/", "", "", 0},
        {{.url_length = UINT32_MAX}, "https://a.example/", "", "", 0},
        {{0}, "https://a.example/", "", "a body", 0}, /* of a GET */
        {{0}, "https://a.example/\r\nX: y", "", "", 0},
        {{0}, "https://\xc3\xa4.example/", "", "", 0},
        {{0}, "https://a.example/", "no end", "", 0},
        {{0}, "https://a.example/", "\n", "", 0},
        {{0}, "https://a.example/", "X: y\n\nZ: y\n", "", 0},
        {{0}, "https://a.example/", "X: y\r\n", "", 0},
    };
    struct transfer_ask ask;
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (parse(&rows[i], &ask) == 0)
            fail_msg("row %zu", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad)};

    return cmocka_run_group_tests_name("transfer", tests, NULL, NULL);
}
