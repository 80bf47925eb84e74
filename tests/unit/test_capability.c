#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "lib/capability.h"

static const uint8_t key[CAPABILITY_KEY_SIZE] = "one key for authd and for stored";
static const uint8_t other_key[CAPABILITY_KEY_SIZE] = "another one from another start..";

#define EXPIRES 2000000000U

static struct capability sealed(void)
{
    struct capability capability = {.mailbox = 7, .session = 0xfeedU, .expires = EXPIRES};

    capability_seal(&capability, key);
    return capability;
}

static void test_sealed_fits(void **state)
{
    struct capability capability = sealed();

    (void)state;
    assert_int_equal(capability_check(&capability, key, EXPIRES - 30), 0);
    assert_int_equal(capability_check(&capability, key, EXPIRES), 0);
}

static void test_expired(void **state)
{
    struct capability capability = sealed();

    (void)state;
    assert_int_equal(capability_check(&capability, key, EXPIRES + 1), -1);
}

static void test_other_key(void **state)
{
    struct capability capability = sealed();

    (void)state;
    assert_int_equal(capability_check(&capability, other_key, EXPIRES), -1);
}

static void test_every_bit_counts(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < 8 * sizeof(struct capability); bit++) {
        struct capability capability = sealed();
        ((uint8_t *)&capability)[bit / 8] ^= (uint8_t)(1U << bit % 8);
        /* Time 0, so that a changed expiry is refused for its tag. */
        assert_int_equal(capability_check(&capability, key, 0), -1);
    }
}

static void test_text(void **state)
{
    struct capability capability = sealed();
    struct capability parsed;
    char text[CAPABILITY_TEXT_SIZE];

    (void)state;
    capability_format(&capability, text);
    assert_int_equal(strlen(text), CAPABILITY_TEXT_SIZE - 1);
    assert_int_equal(strspn(text, "0123456789abcdef"), strlen(text));
    assert_int_equal(capability_parse(&parsed, text, strlen(text)), 0);
    assert_memory_equal(&parsed, &capability, sizeof(parsed));
}

static void test_bad_text(void **state)
{
    struct capability capability = sealed();
    struct capability parsed;
    char text[CAPABILITY_TEXT_SIZE + 2];

    (void)state;
    capability_format(&capability, text);
    size_t length = strlen(text);
    for (size_t cut = 0; cut < length; cut++)
        assert_int_equal(capability_parse(&parsed, text, cut), -1);
    memcpy(text + length, "00", 3);
    assert_int_equal(capability_parse(&parsed, text, length + 2), -1);
    for (size_t at = 0; at < length; at++) {
        capability_format(&capability, text);
        text[at] = at % 2 == 0 ? 'g' : '\0';
        assert_int_equal(capability_parse(&parsed, text, length), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sealed_fits), cmocka_unit_test(test_expired),
        cmocka_unit_test(test_other_key),   cmocka_unit_test(test_every_bit_counts),
        cmocka_unit_test(test_text),        cmocka_unit_test(test_bad_text),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
