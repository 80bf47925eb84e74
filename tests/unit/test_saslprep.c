#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/saslprep.h"

/* RFC 4013 section 3's examples and what our users may type. NULL: refused. */
static const struct {
    const char *goal;
    const char *text;
    const char *prepared;
} cases[] = {
    {"ASCII stays", "USER name", "USER name"},
    {"ASCII control characters stay", "a\tb\x01\x7f", "a\tb\x01\x7f"},
    {"soft hyphen is nothing", "I\xc2\xadX", "IX"},
    {"case is kept", "USER\xc3\x9c", "USER\xc3\x9c"},
    {"NFKC: feminine ordinal", "\xc2\xaa", "a"},
    {"NFKC: roman nine", "\xe2\x85\xa8", "IX"},
    {"NFKC: decomposed and composed are one", "gru\xcc\x88n", "gr\xc3\xbcn"},
    {"composed stays", "gr\xc3\xbcn", "gr\xc3\xbcn"},
    {"ideographic and no-break space are spaces",
     "a\xe3\x80\x80"
     "b\xc2\xa0"
     "c",
     "a b c"},
    {"fullwidth letters", "\xef\xbc\xa1\xef\xbd\x82", "Ab"},
    {"Japanese", "\xe3\x83\x91\xe3\x82\xb9", "\xe3\x83\x91\xe3\x82\xb9"},
    {"younger than Unicode 3.2", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
    {"prohibited: C1 control", "a\xc2\x85", NULL},
    {"prohibited: private use", "a\xee\x80\x80", NULL},
    {"prohibited: ASCII control beside others", "\xc3\xbc\x07", NULL},
    {"bidirectional check", "\xd8\xa7\x31", NULL},
    {"nothing is left", "\xc2\xad", NULL},
    {"not UTF-8: ISO 8859-1", "gr\xfcn", NULL},
    {"not UTF-8: overlong", "\xc0\xaf", NULL},
    {"not UTF-8: surrogate", "\xed\xa0\x80", NULL},
    {"not UTF-8: cut off", "gr\xc3", NULL},
};

static void prepares(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char prepared[64], again[64];
        long length = saslprep(prepared, sizeof(prepared), cases[i].text, strlen(cases[i].text));
        if ((length >= 0) != (cases[i].prepared != NULL) ||
            (length >= 0 && strcmp(prepared, cases[i].prepared) != 0))
            fail_msg("%s: %ld", cases[i].goal, length);
        if (length < 0)
            continue;
        assert_int_equal(length, strlen(prepared));
        assert_int_equal(saslprep(again, sizeof(again), prepared, (size_t)length), length);
        assert_string_equal(again, prepared);
    }
}

static void stays_within_its_room(void **state)
{
    static const char expands[] = "\xef\xb7\xba"; /* one character, 18 when it is prepared */
    (void)state;

    for (size_t size = 1; size <= 40; size++) {
        char *room = malloc(size);
        long length = saslprep(room, size, expands, strlen(expands));
        assert_true(length == -1 || (size_t)length < size);
        assert_int_equal(saslprep(room, size, "abcd", 4), size > 4 ? 4 : -1);
        free(room);
    }
    char room[64];
    assert_int_equal(saslprep(room, sizeof(room), "\xc3\xbc\0x", 4), -1);
    assert_int_equal(saslprep(room, sizeof(room), "", 0), 0);
}

/* Whatever comes in: it is refused, or prepared to something that stays as it is. */
static void takes_noise(void **state)
{
    uint32_t seed = 1;
    (void)state;

    for (int round = 0; round < 20000; round++) {
        char noise[12], prepared[256], again[256];
        for (size_t i = 0; i < sizeof(noise); i++) {
            seed = seed * 1664525 + 1013904223;
            noise[i] = (char)(seed >> 24);
        }
        /* One character of two or three octets, then whatever. */
        noise[0] = (char)(0xc3 + (seed >> 8) % 0x2c);
        noise[1] = (char)(0x80 | (noise[1] & 0x3f));
        noise[2] = (char)(0x80 | (noise[2] & 0x3f));
        long length = saslprep(prepared, sizeof(prepared), noise, 2 + seed % 2);
        if (length < 0)
            continue;
        assert_int_equal(saslprep(again, sizeof(again), prepared, (size_t)length), length);
        assert_memory_equal(again, prepared, (size_t)length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prepares),
        cmocka_unit_test(stays_within_its_room),
        cmocka_unit_test(takes_noise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
