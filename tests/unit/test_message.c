#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/message.h"
#include "lib/xalloc.h"

static const struct encode_case {
    const char *input;
    const char *stored;
    uint64_t octets;
    uint64_t top_length;
} encode_cases[] = {
    {"", "", 0, 0},
    {"A: b\r\n\r\ntext\r\n", "A: b\r\n\r\ntext\r\n", 14, 8},
    {"A: b\r\n\r\ntext", "A: b\r\n\r\ntext\r\n", 14, 8},
    {"A: b\n\ntext\n", "A: b\r\n\r\ntext\r\n", 14, 8},
    {"A: b\r\rtext\r", "A: b\r\n\r\ntext\r\n", 14, 8},
    {"A: b\r\n\n\rtext", "A: b\r\n\r\n\r\ntext\r\n", 16, 8},
    {"A: b\r\n", "A: b\r\n", 6, 6},
    {"A: b", "A: b\r\n", 6, 6},
    {"\r\n", "\r\n", 2, 2},
    {"\r", "\r\n", 2, 2},
    {"\n", "\r\n", 2, 2},
    {"\r\r\n\n", "\r\n\r\n\r\n", 6, 2},
    {".", "..\r\n", 3, 4},
    {".\r\n.\r\n", "..\r\n..\r\n", 6, 8},
    {"\r\n.\r\n..\r\n.a", "\r\n..\r\n...\r\n..a\r\n", 13, 2},
    {"a.b\n.c\r.d\r\n", "a.b\r\n..c\r\n..d\r\n", 13, 15},
    {"x\r\n.\r\n\r\n", "x\r\n..\r\n\r\n", 8, 9},
    {"\n.\n", "\r\n..\r\n", 5, 2},
    {"x\r.\r\r.\r", "x\r\n..\r\n\r\n..\r\n", 11, 9},
    {"a\r\n \r\n\r\n", "a\r\n \r\n\r\n", 8, 8},
};

/* Encodes `length` octets in pieces of at most `piece_max`; 0: of random lengths. */
static size_t encode(const char *input, size_t length, size_t piece_max, char *output_r,
                     struct message_encoder *encoder)
{
    size_t size = 0;

    message_encoder_init(encoder);
    for (size_t at = 0; at < length;) {
        size_t piece = piece_max > 0 ? piece_max : (size_t)random() % 9;
        if (piece > length - at)
            piece = length - at;
        /* A copy of exactly this size lets the sanitizer see a read or write past it. */
        char *copy = xmalloc(piece);
        char *room = xmalloc(MESSAGE_ENCODED_MAX(piece));
        memcpy(copy, input + at, piece);
        size_t written = message_encode(encoder, copy, piece, room);
        assert_in_range(written, 0, MESSAGE_ENCODED_MAX(piece));
        memcpy(output_r + size, room, written);
        size += written;
        free(copy);
        free(room);
        at += piece;
    }
    char rest[4];
    size_t written = message_encode_end(encoder, rest);
    assert_in_range(written, 0, sizeof(rest));
    memcpy(output_r + size, rest, written);
    return size + written;
}

static void encodes_each_case_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(encode_cases) / sizeof(encode_cases[0]); i++) {
        const struct encode_case *test = &encode_cases[i];
        size_t length = strlen(test->input);
        for (size_t piece = 1; piece <= length + 1; piece++) {
            struct message_encoder encoder;
            char output[64];
            size_t size = encode(test->input, length, piece, output, &encoder);
            output[size] = '\0';
            assert_string_equal(output, test->stored);
            assert_int_equal(encoder.length, size);
            assert_int_equal(encoder.octets, test->octets);
            assert_int_equal(encoder.top_length, test->top_length);
        }
    }
}

/* What the stored form has to be, said octet by octet. */
static size_t encode_slowly(const char *input, size_t length, char *output_r)
{
    size_t size = 0;
    char before = '\n'; /* the stored octet before */

    for (size_t i = 0; i < length; i++) {
        if (input[i] == '\n' && i > 0 && input[i - 1] == '\r')
            continue;
        if (input[i] == '\r' || input[i] == '\n') {
            output_r[size++] = '\r';
            output_r[size++] = before = '\n';
            continue;
        }
        if (input[i] == '.' && before == '\n')
            output_r[size++] = '.';
        output_r[size++] = before = input[i];
    }
    if (before != '\n') {
        output_r[size++] = '\r';
        output_r[size++] = '\n';
    }
    return size;
}

static void encodes_random_text_in_random_pieces(void **state)
{
    enum { LENGTH = 400 };
    static const char alphabet[] = "\r\n.ab";
    (void)state;

    srandom(1939);
    for (unsigned round = 0; round < 2000; round++) {
        struct message_encoder whole_encoder, encoder;
        char input[LENGTH];
        char expected[MESSAGE_ENCODED_MAX(LENGTH)];
        char output[MESSAGE_ENCODED_MAX(LENGTH)];
        size_t length = (size_t)random() % LENGTH;
        for (size_t i = 0; i < length; i++)
            input[i] = alphabet[(size_t)random() % (sizeof(alphabet) - 1)];
        size_t size = encode_slowly(input, length, expected);
        assert_int_equal(encode(input, length, LENGTH, output, &whole_encoder), size);
        assert_memory_equal(output, expected, size);
        assert_int_equal(encode(input, length, 0, output, &encoder), size);
        assert_memory_equal(output, expected, size);
        assert_int_equal(encoder.octets, whole_encoder.octets);
        assert_int_equal(encoder.top_length, whole_encoder.top_length);
    }
}

static const struct top_case {
    const char *stored;
    uint64_t top_length;
    uint64_t lines;
    size_t shown;
} top_cases[] = {
    {"", 0, 0, 0},
    {"", 0, 5, 0},
    {"A: b\r\n\r\none\r\n..two\r\nthree\r\n", 8, 0, 8},
    {"A: b\r\n\r\none\r\n..two\r\nthree\r\n", 8, 1, 13},
    {"A: b\r\n\r\none\r\n..two\r\nthree\r\n", 8, 2, 20},
    {"A: b\r\n\r\none\r\n..two\r\nthree\r\n", 8, 3, 27},
    {"A: b\r\n\r\none\r\n..two\r\nthree\r\n", 8, 4, 27},
    {"A: b\r\n\r\none\r\n..two\r\nthree\r\n", 8, UINT64_MAX, 27},
    {"A: b\r\n", 6, 0, 6},
    {"A: b\r\n", 6, 9, 6},
    {"\r\n\r\n\r\n", 2, 1, 4},
};

static void shows_the_top_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(top_cases) / sizeof(top_cases[0]); i++) {
        const struct top_case *test = &top_cases[i];
        size_t length = strlen(test->stored);
        for (size_t piece = 1; piece <= length + 1; piece++) {
            struct message_top top;
            size_t shown = 0;
            message_top_init(&top, test->top_length, test->lines);
            for (size_t at = 0; at < length; at += piece) {
                size_t size = piece < length - at ? piece : length - at;
                size_t taken = message_top_take(&top, test->stored + at, size);
                /* An answer that has ended stays ended. */
                if (taken > 0)
                    assert_int_equal(shown, at);
                shown += taken;
            }
            assert_int_equal(shown, test->shown);
        }
    }
}

static void decodes_what_it_encoded_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(encode_cases) / sizeof(encode_cases[0]); i++) {
        const struct encode_case *test = &encode_cases[i];
        size_t length = strlen(test->stored);
        for (size_t piece = 1; piece <= length + 1; piece++) {
            struct message_decoder decoder;
            struct message_encoder encoder;
            char plain[64] = "", again[64];
            size_t size = 0;
            message_decoder_init(&decoder);
            for (size_t at = 0; at < length; at += piece) {
                size_t part = piece < length - at ? piece : length - at;
                size_t written = message_decode(&decoder, test->stored + at, part, plain + size);
                assert_in_range(written, 0, part);
                size += written;
            }
            assert_null(memchr(plain, '\r', size));
            assert_int_equal(encode(plain, size, size > 0 ? size : 1, again, &encoder), length);
            assert_memory_equal(again, test->stored, length);
            assert_int_equal(encoder.octets, test->octets);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_each_case_however_it_is_cut),
        cmocka_unit_test(encodes_random_text_in_random_pieces),
        cmocka_unit_test(shows_the_top_however_it_is_cut),
        cmocka_unit_test(decodes_what_it_encoded_however_it_is_cut),
    };
    return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
