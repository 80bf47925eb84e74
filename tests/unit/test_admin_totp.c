#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin/totp.h"

/* The secret of RFC 6238 appendix B for SHA-1. */
static const uint8_t secret[] = "12345678901234567890";

/* Its last six digits. */
static const struct {
    uint64_t time;
    const char *code;
} examples[] = {
    {59, "287082"},         {1111111109, "081804"}, {1111111111, "050471"},
    {1234567890, "005924"}, {2000000000, "279037"}, {20000000000, "353130"},
};

static void knows_the_examples(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        uint64_t time = examples[i].time, step = time / TOTP_PERIOD;
        assert_int_equal(totp_step(secret, examples[i].code, time), step);
        assert_int_equal(totp_step(secret, examples[i].code, time + TOTP_PERIOD), step);
        assert_int_equal(totp_step(secret, examples[i].code, time + TOTP_PERIOD - 1), step);
        if (step > 1)
            assert_int_equal(totp_step(secret, examples[i].code, time - TOTP_PERIOD), step);
        assert_int_equal(totp_step(secret, examples[i].code, time + 2 * TOTP_PERIOD), 0);
    }
}

static void takes_nothing_else(void **state)
{
    static const char *const others[] = {"", "28708", "2870821", "94287082", "28708x", " 87082"};
    (void)state;

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_int_equal(totp_step(secret, others[i], 59), 0);
}

static void writes_what_apps_read(void **state)
{
    char text[TOTP_SECRET_TEXT_SIZE];
    (void)state;

    totp_secret_text(secret, text);
    assert_string_equal(text, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    char *link = totp_link(secret, "H\xc3\xb4tel & Co", "front desk@hotel.example");
    assert_string_equal(link, "otpauth://totp/H%C3%B4tel%20%26%20Co:front%20desk%40hotel.example"
                              "?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
                              "&issuer=H%C3%B4tel%20%26%20Co");
    free(link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_examples),
        cmocka_unit_test(takes_nothing_else),
        cmocka_unit_test(writes_what_apps_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
