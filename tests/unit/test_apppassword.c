/* The form of app passwords: what is one, and what never is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "lib/apppassword.h"

static const struct {
    const char *typed;
    int result;
} typed[] = {
    {"aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-abdd", 0}, /* sixteen zeros */
    {"aaas-ea2e-awda-qcaj-bifs-2diq-b96w", 0}, /* 0x00 to 0x0f */
    {"aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa", -1},
    {"", -1},
    {"-", -1},
    {"secret", -1},
    {"correct-horse-battery-staple", -1},
    {"abcdefghjkmnpqrstuvwxyzabcd2", -1},
};

static void test_form(void **state)
{
    uint8_t octets[APPPASSWORD_OCTETS];

    (void)state;
    for (size_t i = 0; i < sizeof(typed) / sizeof(typed[0]); i++)
        assert_int_equal(apppassword_parse(octets, typed[i].typed, strlen(typed[i].typed)),
                         typed[i].result);
}

/* However it is typed it is the same; with one character changed it is none, but for few. */
static void test_drawn(void **state)
{
    uint8_t octets[APPPASSWORD_OCTETS];
    uint8_t again[APPPASSWORD_OCTETS];
    char text[APPPASSWORD_TEXT_SIZE];
    char other[2 * APPPASSWORD_TEXT_SIZE];
    unsigned taken = 0;

    (void)state;
    for (unsigned round = 0; round < 1000; round++) {
        apppassword_draw(octets, text);
        assert_int_equal(strlen(text), APPPASSWORD_TEXT_SIZE - 1);
        assert_int_equal(strspn(text, "abcdefghijkmnpqrstuvwxyz23456789-"), strlen(text));
        assert_int_equal(apppassword_parse(again, text, strlen(text)), 0);
        assert_memory_equal(octets, again, sizeof(octets));

        size_t length = 0;
        for (const char *at = text; *at != '\0'; at++) {
            if (*at != '-')
                other[length++] = (char)(*at >= 'a' ? *at - 'a' + 'A' : *at);
            if (round % 3 == 0)
                other[length++] = ' ';
        }
        memset(again, 0, sizeof(again));
        assert_int_equal(apppassword_parse(again, other, length), 0);
        assert_memory_equal(octets, again, sizeof(octets));
        assert_int_equal(apppassword_parse(again, text, strlen(text) - 1), -1);

        text[round % 4] = text[round % 4] == 'x' ? 'y' : 'x';
        taken += apppassword_parse(again, text, strlen(text)) == 0;
    }
    assert_in_range(taken, 0, 10); /* one in 4,096 */
}

static void test_digest(void **state)
{
    static const uint8_t octets[APPPASSWORD_OCTETS] = {1};
    static const uint8_t others[APPPASSWORD_OCTETS] = {2};
    static const uint8_t keys[2][APPPASSWORD_KEY_SIZE] = {{1}, {2}};
    uint8_t digests[5][APPPASSWORD_DIGEST_SIZE];

    (void)state;
    apppassword_digest(digests[0], keys[0], 7, octets);
    apppassword_digest(digests[1], keys[1], 7, octets);
    apppassword_digest(digests[2], keys[0], 8, octets);
    apppassword_digest(digests[3], keys[0], 7, others);
    apppassword_digest(digests[4], keys[0], 7, octets);
    for (size_t i = 1; i < 4; i++)
        assert_memory_not_equal(digests[0], digests[i], APPPASSWORD_DIGEST_SIZE);
    assert_memory_equal(digests[0], digests[4], APPPASSWORD_DIGEST_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_drawn),
        cmocka_unit_test(test_digest),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
