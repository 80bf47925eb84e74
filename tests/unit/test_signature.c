#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/signature.h"

/* Signatures by Python's hmac. */
static void signs_as_others_do(void **state)
{
    static const struct {
        const char *body;
        const char *value;
    } rows[] = {
        {"", "t=1795376948,v1=6dea988e0e0071c4e4328eed805ae88a4dceb3422e838f3eeedec1716039e95d"},
        {"{\"type\":\"address.add\"}",
         "t=1795376948,v1=43fdc43598bff5593fb0c66d4bbd16fc4096db25e50acffa4310d1cb2aced7c7"},
    };
    uint8_t secrets[SIGNATURE_SECRETS_MAX][SIGNATURE_SECRET_SIZE];
    char value[SIGNATURE_VALUE_SIZE];
    char text[SIGNATURE_TEXT_SIZE];
    (void)state;
    for (size_t i = 0; i < SIGNATURE_SECRET_SIZE; i++) {
        secrets[0][i] = (uint8_t)i;
        secrets[1][i] = 0xff;
    }
    signature_secret(text, secrets[0]);
    assert_string_equal(text,
                        "bhw_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        signature_make(value, secrets, 1, 1795376948, rows[i].body, strlen(rows[i].body));
        assert_string_equal(value, rows[i].value);
    }
    signature_make(value, secrets, 2, 1795376948, rows[1].body, strlen(rows[1].body));
    assert_int_equal(strncmp(value, rows[1].value, strlen(rows[1].value)), 0);
    assert_string_equal(value + strlen(rows[1].value),
                        ",v1=c856c1ab8c855b1a5402083b8403c0bdc5fdeadca57c293471df3396554e0869");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(signs_as_others_do)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
