/* The fixed answers keep the rules of their RFCs. */
#include <event2/buffer.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/language.h"
#include "lib/utf8.h"
#include "pop3d/reply.h"
#include "pop3d/tongue.h"

#define ASCII                                                                                      \
    " !\"#$%&'()*+,-./0123456789:;=?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz"  \
    "{|}~"

static const char *body_of(const char *text)
{
    if (strncmp(text, "+OK", 3) == 0)
        return text[3] == ' ' ? text + 4 : text + 3;
    assert_memory_equal(text, "-ERR ", 5);
    return text + 5;
}

/* The code with its brackets and the space behind it, and nothing where there is none. */
static size_t code_length(const char *body)
{
    const char *end = body[0] == '[' ? strstr(body, "] ") : NULL;

    return end != NULL ? (size_t)(end + 2 - body) : 0;
}

/* RFC 2449 section 8: what begins with "[" is a code, and these are the codes that we know. */
static void expect_code(const char *body)
{
    static const char *const codes[] = {"[AUTH] ",     "[IN-USE] ",   "[LOGIN-DELAY] ",
                                        "[SYS/TEMP] ", "[SYS/PERM] ", "[XCLIENT] "};
    size_t length = code_length(body);
    size_t known = 0;

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        known += strncmp(body, codes[i], strlen(codes[i])) == 0;
    assert_int_equal(known, length > 0);
    assert_int_not_equal(body[length], '[');
}

/* Each answer in each language: of the same status and code, and with words, but for "+OK". */
static void test_languages(void **state)
{
    const struct tongue *tongue;
    char line[REPLY_LINE_MAX], english[REPLY_LINE_MAX];
    (void)state;

    for (unsigned i = 0; (tongue = tongue_get(i)) != NULL; i++)
        for (enum reply reply = REPLY_OK; reply < REPLY__MAX; reply++) {
            size_t length = reply_format(line, reply, tongue, UINT32_MAX);
            reply_format(english, reply, tongue_get(0), UINT32_MAX);
            const char *body = body_of(line);
            /* With two long numbers and the tag of a language it still is one line. */
            assert_true(length + 2 * 20 + 8 <= REPLY_LINE_MAX);
            assert_true(utf8_is_valid(line, length));
            assert_null(strpbrk(line, "\r\n<>"));
            expect_code(body);
            size_t head = (size_t)(body - line) + code_length(body);
            assert_memory_equal(line, english, head);
            assert_int_equal(line[head] != '\0', reply != REPLY_OK);
            if (i == 0)
                assert_int_equal(strspn(line, ASCII), length);
            else if (reply != REPLY_OK && reply != REPLY_GREETING &&
                     reply != REPLY_GREETING_XCLIENT && tongue->texts[reply] == NULL)
                fail_msg("%s has no words for answer %d", tongue->tag, (int)reply);
        }
}

static unsigned count_gaps(const char *text)
{
    unsigned count = 0;

    for (; text != NULL && (text = strstr(text, "{}")) != NULL; text += 2)
        count++;
    return count;
}

static void test_gaps(void **state)
{
    const struct tongue *tongue;
    (void)state;

    for (unsigned i = 0; (tongue = tongue_get(i)) != NULL; i++)
        for (enum reply reply = REPLY_OK; reply < REPLY__MAX; reply++) {
            bool span = reply == REPLY_IN_USE || reply == REPLY_TOO_SOON || reply == REPLY_DELAYED;
            unsigned gaps = reply == REPLY_MAILDROP ? 2 : span ? 1 : 0;
            assert_int_equal(count_gaps(tongue->texts[reply]), gaps);
        }
}

static void test_language_ranges(void **state)
{
    static const struct {
        const char *range;
        const char *tag;
    } ranges[] = {
        {"en", "en"},        {"DE", "de"},   {"de-AT", "de"}, {"fr-Latn-CA", "fr"},
        {"es", "es"},        {"it", "it"},   {"nl-BE", "nl"}, {"pt-BR", "pt"},
        {"ja-JP-x-a", "ja"}, {"uga", NULL},  {"d", NULL},     {"deu", NULL},
        {"-de", NULL},       {"x-de", NULL}, {"", NULL},      {"*", NULL},
    };
    char endless[400];
    (void)state;

    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        const struct tongue *tongue = tongue_find(ranges[i].range);
        if (ranges[i].tag == NULL)
            assert_null(tongue);
        else
            assert_string_equal(tongue->tag, ranges[i].tag);
    }
    memset(endless, '-', sizeof(endless));
    endless[sizeof(endless) - 1] = '\0';
    assert_null(tongue_find(endless));
    /* The languages in which Bellhop writes to people, and Japanese. */
    for (unsigned i = 0; i < LANGUAGE__MAX; i++)
        assert_non_null(tongue_find(language_code((enum language)i)));
}

/* RFC 3206: only wrong credentials are [AUTH], or every client asks for the password again. */
static void test_auth_code(void **state)
{
    char line[REPLY_LINE_MAX];
    (void)state;

    for (enum reply reply = REPLY_OK; reply < REPLY__MAX; reply++) {
        reply_format(line, reply, tongue_get(0), 0);
        assert_int_equal(strstr(line, "[AUTH]") != NULL,
                         reply == REPLY_WRONG_PASSWORD || reply == REPLY_WRONG_PROOF);
        assert_int_equal(strstr(line, "[IN-USE]") != NULL, reply == REPLY_IN_USE);
        assert_int_equal(strstr(line, "[LOGIN-DELAY]") != NULL, reply == REPLY_TOO_SOON);
        if (reply == REPLY_DELAYED)
            assert_non_null(strstr(line, "[SYS/TEMP]"));
    }
}

/* A login that fails for another reason is no guess. */
static void test_only_wrong_credentials_count(void **state)
{
    (void)state;
    for (enum reply reply = REPLY_OK; reply < REPLY__MAX; reply++)
        assert_int_equal((reply_flags(reply) & REPLY_FAILED_LOGIN) != 0,
                         reply == REPLY_WRONG_PASSWORD || reply == REPLY_WRONG_PROOF);
}

/* A bracketed greeting would be taken for an APOP challenge. */
static void test_greeting(void **state)
{
    (void)state;
    char line[REPLY_LINE_MAX];

    for (unsigned i = 0; tongue_get(i) != NULL; i++) {
        reply_format(line, REPLY_GREETING, tongue_get(i), 0);
        assert_string_equal(line, "+OK Bellhop ready");
    }
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
        size_t length = reply_format(line, REPLY_TOO_SOON, tongue_get(0), spans[i].seconds);
        assert_int_equal(length, strlen(line));
        assert_string_equal(line + length - strlen(spans[i].span), spans[i].span);
    }
}

static void test_shapes(void **state)
{
    struct evbuffer *output = evbuffer_new();
    (void)state;

    reply_add(output, REPLY_OK, tongue_get(0), 0);
    expect_output(output, "+OK\r\n");
    reply_add_numbers(output, 2, 320);
    expect_output(output, "+OK 2 320\r\n");
    reply_add_numbers(output, UINT64_MAX, UINT64_MAX);
    expect_output(output, "+OK 18446744073709551615 18446744073709551615\r\n");
    reply_add_maildrop(output, tongue_get(0), 0, 0);
    expect_output(output, "+OK 0 messages (0 octets)\r\n");
    reply_add_maildrop(output, tongue_find("de"), UINT64_MAX, 7);
    expect_output(output, "+OK Nachrichten: 18446744073709551615 (Oktette: 7)\r\n");
    reply_add(output, REPLY_IN_USE, tongue_find("de"), 150);
    expect_output(output, "-ERR [IN-USE] dieses Postfach ist seit 3 min in einer anderen Sitzung "
                          "ge\xc3\xb6"
                          "ffnet, bitte versuchen Sie es sp\xc3\xa4ter erneut\r\n");
    reply_add_language(output, tongue_find("de"));
    expect_output(output, "+OK de Antworten sind auf Deutsch\r\n");
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
        cmocka_unit_test(test_languages),
        cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_language_ranges),
        cmocka_unit_test(test_auth_code),
        cmocka_unit_test(test_only_wrong_credentials_count),
        cmocka_unit_test(test_greeting),
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_shapes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
