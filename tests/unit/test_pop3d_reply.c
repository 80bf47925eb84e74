/* The fixed answers keep the rules of their RFCs. */
#include <event2/buffer.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pop3d/reply.h"

static const char *body_of(const char *text)
{
    if (strncmp(text, "+OK", 3) == 0)
        return text[3] == ' ' ? text + 4 : text + 3;
    assert_memory_equal(text, "-ERR ", 5);
    return text + 5;
}

/* RFC 2449 section 8: what begins with "[" is a code, and these are the codes that we know. */
static void test_codes(void **state)
{
    static const char *const codes[] = {"[AUTH] ", "[IN-USE] ", "[LOGIN-DELAY] ", "[SYS/TEMP] ",
                                        "[SYS/PERM] "};
    (void)state;

    for (enum reply reply = REPLY_OK; reply < REPLY__MAX; reply++) {
        const char *text = reply_text(reply);
        assert_non_null(text);
        assert_true(strlen(text) + 16 <= REPLY_LINE_MAX);
        const char *body = body_of(text);
        if (*body != '[')
            continue;
        size_t known = 0;
        for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
            known += strncmp(body, codes[i], strlen(codes[i])) == 0;
        assert_int_equal(known, 1);
    }
}

/* RFC 3206: only wrong credentials are [AUTH], or every client asks for the password again. */
static void test_auth_code(void **state)
{
    (void)state;
    for (enum reply reply = REPLY_OK; reply < REPLY__MAX; reply++)
        assert_int_equal(strstr(reply_text(reply), "[AUTH]") != NULL,
                         reply == REPLY_WRONG_PASSWORD);
    assert_non_null(strstr(reply_text(REPLY_USE_TLS), "TLS"));
}

/* A login that fails for another reason is no guess. */
static void test_only_wrong_credentials_count(void **state)
{
    (void)state;
    for (enum reply reply = REPLY_OK; reply < REPLY__MAX; reply++)
        assert_int_equal((reply_flags(reply) & REPLY_FAILED_LOGIN) != 0,
                         reply == REPLY_WRONG_PASSWORD);
}

/* A bracketed greeting would be taken for an APOP challenge. */
static void test_greeting(void **state)
{
    (void)state;
    assert_string_equal(reply_text(REPLY_GREETING), "+OK Bellhop ready");
}

static void expect_output(struct evbuffer *output, const char *text)
{
    size_t length = evbuffer_get_length(output);

    assert_int_equal(length, strlen(text));
    assert_memory_equal(evbuffer_pullup(output, -1), text, length);
    evbuffer_drain(output, length);
}

static void test_spans(void **state)
{
    static const struct {
        uint32_t seconds;
        const char *span;
    } spans[] = {
        {1, "in 1 s"},       {119, "in 119 s"},    {120, "in 2 min"},
        {121, "in 3 min"},   {7199, "in 120 min"}, {7200, "in 2 h"},
        {172799, "in 48 h"}, {172800, "in 2 d"},   {UINT32_MAX, "in 49711 d"},
    };
    char line[REPLY_LINE_MAX];
    (void)state;

    for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
        size_t length = reply_format(line, REPLY_TOO_SOON, spans[i].seconds);
        assert_int_equal(length, strlen(line));
        assert_string_equal(line + length - strlen(spans[i].span), spans[i].span);
    }
}

static void test_shapes(void **state)
{
    struct evbuffer *output = evbuffer_new();
    (void)state;

    reply_add(output, REPLY_OK, 0);
    expect_output(output, "+OK\r\n");
    reply_add_numbers(output, 2, 320);
    expect_output(output, "+OK 2 320\r\n");
    reply_add_numbers(output, UINT64_MAX, UINT64_MAX);
    expect_output(output, "+OK 18446744073709551615 18446744073709551615\r\n");
    reply_add_maildrop(output, 0, 0);
    expect_output(output, "+OK 0 messages (0 octets)\r\n");
    reply_add_challenge(output, "", 0);
    expect_output(output, "+ \r\n");
    reply_add_challenge(output, "QUJD", 4);
    expect_output(output, "+ QUJD\r\n");
    reply_add_piece(output, "+OK\r\n", "x\r\n", 3, ".\r\n");
    expect_output(output, "+OK\r\nx\r\n.\r\n");
    reply_add_piece(output, "", NULL, 0, "");
    expect_output(output, "");
    evbuffer_free(output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_auth_code),
        cmocka_unit_test(test_only_wrong_credentials_count),
        cmocka_unit_test(test_greeting),
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_shapes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
