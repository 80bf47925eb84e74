#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "lib/scramkeys.h"

/* RFC 7677 section 3: user "user", password "pencil". */
#define RFC_KEYS                                                                                   \
    "4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"                  \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static void makes_the_keys_of_the_rfc(void **state)
{
    char text[SCRAMKEYS_TEXT_SIZE];
    struct scramkeys keys;
    size_t length;

    (void)state;
    assert_int_equal(sodium_base642bin(keys.salt, sizeof(keys.salt), "W22ZaJ0SNY7soEsUEjb6gQ==", 24,
                                       NULL, &length, NULL, sodium_base64_VARIANT_ORIGINAL),
                     0);
    assert_int_equal(scramkeys_make(&keys, "pencil", 6, 4096), 0);
    scramkeys_format(&keys, text);
    assert_string_equal(text, RFC_KEYS);
}

static void reads_what_it_writes(void **state)
{
    const uint32_t iterations[] = {4096, SCRAMKEYS_ITERATIONS, 10000000};

    (void)state;
    for (size_t i = 0; i < sizeof(iterations) / sizeof(iterations[0]); i++) {
        char text[SCRAMKEYS_TEXT_SIZE];
        struct scramkeys keys = {.salt = {1, 2, 3}};
        struct scramkeys read;
        scramkeys_make_nobody(&keys);
        keys.iterations = iterations[i];
        scramkeys_format(&keys, text);
        memset(&read, 0xff, sizeof(read));
        assert_int_equal(scramkeys_parse(&read, text), 0);
        assert_memory_equal(&read, &keys, sizeof(keys));
    }
}

static void refuses_what_is_damaged(void **state)
{
    static const char *const damaged[] = {
        "",
        "4096",
        "4096,,,",
        "4095" /* too few */ ",W22ZaJ0SNY7soEsUEjb6gQ==,"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "10000001,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        " " RFC_KEYS,
        "+" RFC_KEYS,
        RFC_KEYS " ",
        RFC_KEYS ",",
        "4096,W22ZaJ0SNY7soEsUEjb6,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY",
        "4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
    };
    struct scramkeys keys;

    (void)state;
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++)
        assert_int_equal(scramkeys_parse(&keys, damaged[i]), -1);
}

static void salts_are_of_the_name_and_the_secret(void **state)
{
    uint8_t one[SCRAMKEYS_SALT_SIZE], again[sizeof(one)], other[sizeof(one)];
    uint8_t secret[SCRAMKEYS_SECRET_SIZE] = {1};

    (void)state;
    scramkeys_salt(one, secret, "anna@example.com");
    scramkeys_salt(again, secret, "anna@example.com");
    scramkeys_salt(other, secret, "anna@example.org");
    assert_memory_equal(one, again, sizeof(one));
    assert_memory_not_equal(one, other, sizeof(one));
    secret[0] = 2;
    scramkeys_salt(other, secret, "anna@example.com");
    assert_memory_not_equal(one, other, sizeof(one));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_the_keys_of_the_rfc),
        cmocka_unit_test(reads_what_it_writes),
        cmocka_unit_test(refuses_what_is_damaged),
        cmocka_unit_test(salts_are_of_the_name_and_the_secret),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
