#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/xalloc.h"
#include "lmtpd/content.h"

static const struct content_case {
    const char *wire;
    const char *message;
    size_t used; /* octets of `wire` up to the end; 0: the end has not come */
} content_cases[] = {
    {".\r\n", "", 3},
    {"\r\n.\r\n", "\r\n", 5},
    {"a\r\n.\r\nQUIT\r\n", "a\r\n", 6},
    {"a\r\n..\r\n.\r\n", "a\r\n.\r\n", 10},
    {"..a\r\n...\r\n.b\r\n.\r\n", ".a\r\n..\r\nb\r\n", 17},
    {"a.b\r\n.\r\n", "a.b\r\n", 8},
    {"a..\r\n.\r\n", "a..\r\n", 8},
    /* None of these is an end; the true one follows. */
    {"a\n.\nMAIL\r\n.\r\n", "a\n.\nMAIL\r\n", 13},
    {"a\n.\r\nMAIL\r\n.\r\n", "a\n.\r\nMAIL\r\n", 14},
    {"a\r\n.\nMAIL\r\n.\r\n", "a\r\n\nMAIL\r\n", 14},
    {"a\r.\rMAIL\r\n.\r\n", "a\r.\rMAIL\r\n", 13},
    {"a\r.\r\nMAIL\r\n.\r\n", "a\r.\r\nMAIL\r\n", 14},
    {"a\r\n.\rMAIL\r\n.\r\n", "a\r\n\rMAIL\r\n", 14},
    {"a\r.\nMAIL\r\n.\r\n", "a\r.\nMAIL\r\n", 13},
    {"a\n.\rMAIL\r\n.\r\n", "a\n.\rMAIL\r\n", 13},
    {"a\r\r\n.\r\r\nMAIL\r\n.\r\n", "a\r\r\n\r\r\nMAIL\r\n", 17},
    {"a\r\n.\r\r\n.\r\n", "a\r\n\r\r\n", 10},
    {"a\n\r.\r\nb\r\n.\r\n", "a\n\r.\r\nb\r\n", 12},
    {".\n.\r\n\r\n.\r\n", "\n.\r\n\r\n", 10},
    {"a\r\n.", "a\r\n", 0},
    {"a\r\n.\r", "a\r\n", 0},
    {"a\r\n. \r\n", "a\r\n \r\n", 0},
    {"\n.\r\n", "\n.\r\n", 0},
    {"a.\r\n", "a.\r\n", 0},
};

/* Returns the octets used; 0 when the end did not come. */
static size_t take_all(const char *wire, size_t length, size_t piece_max, char *message_r,
                       size_t *message_length_r)
{
    enum content_state state = CONTENT_LINE_START;
    size_t used = 0;

    *message_length_r = 0;
    while (used < length && state != CONTENT_ENDED) {
        size_t piece = piece_max > 0 ? piece_max : 1 + (size_t)random() % 7;
        if (piece > length - used)
            piece = length - used;
        char *copy = xmalloc(piece);
        memcpy(copy, wire + used, piece);
        for (size_t at = 0; at < piece && state != CONTENT_ENDED;) {
            struct content_span span;
            size_t taken = content_take(&state, copy + at, piece - at, &span);
            memcpy(message_r + *message_length_r, span.text, span.length);
            *message_length_r += span.length;
            at += taken;
            used += taken;
        }
        free(copy);
    }
    return state == CONTENT_ENDED ? used : 0;
}

static void ends_at_the_final_dot_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(content_cases) / sizeof(content_cases[0]); i++) {
        const struct content_case *test = &content_cases[i];
        size_t length = strlen(test->wire);
        for (size_t piece = 1; piece <= length + 1; piece++) {
            char message[64];
            size_t size;
            assert_int_equal(take_all(test->wire, length, piece, message, &size), test->used);
            message[size] = '\0';
            assert_string_equal(message, test->message);
        }
    }
}

/* RFC 5321 section 4.5.2, said line by line; lines end in CRLF only. */
static size_t take_slowly(const char *wire, size_t length, char *message_r,
                          size_t *message_length_r)
{
    size_t start = 0;

    *message_length_r = 0;
    for (size_t i = 1; i < length; i++) {
        if (wire[i - 1] != '\r' || wire[i] != '\n')
            continue;
        size_t line = i + 1 - start;
        if (line == 3 && wire[start] == '.')
            return i + 1;
        size_t dot = wire[start] == '.';
        memcpy(message_r + *message_length_r, wire + start + dot, line - dot);
        *message_length_r += line - dot;
        start = i + 1;
    }
    return 0;
}

static void takes_random_text_in_random_pieces(void **state)
{
    enum { LENGTH = 200 };
    static const char alphabet[] = "\r\n.\r\n.a";
    (void)state;

    srandom(5321);
    for (unsigned round = 0; round < 5000; round++) {
        char wire[LENGTH + 5], expected[LENGTH + 5], message[LENGTH + 5];
        size_t expected_length, message_length;
        for (size_t i = 0; i < LENGTH; i++)
            wire[i] = alphabet[(size_t)random() % (sizeof(alphabet) - 1)];
        memcpy(wire + LENGTH, "\r\n.\r\n", 5);
        size_t used = take_slowly(wire, sizeof(wire), expected, &expected_length);
        assert_int_equal(
            take_all(wire, sizeof(wire), round % 2 ? 0 : sizeof(wire), message, &message_length),
            used);
        assert_int_equal(message_length, expected_length);
        assert_memory_equal(message, expected, expected_length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_at_the_final_dot_alone),
        cmocka_unit_test(takes_random_text_in_random_pieces),
    };
    return cmocka_run_group_tests_name("lmtpd content", tests, NULL, NULL);
}
