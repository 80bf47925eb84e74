/* Passwords and the hashes that others have made of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "authd/scheme.h"
#include "tests/unit/hashes.h"

static enum scheme_result compare(const struct storedhash *hash, const char *password)
{
    return scheme_compare(hash, password, strlen(password));
}

static void test_known(void **state)
{
    struct storedhash hash;
    const char *error;

    (void)state;
    for (size_t i = 0; i < KNOWN_HASHES; i++) {
        const struct known_hash *known = &known_hashes[i];
        if (storedhash_parse(&hash, known->hash, &error) < 0)
            fail_msg("%s: %s", known->hash, error);
        if (compare(&hash, known->password) != SCHEME_FITS)
            fail_msg("%s: its password does not fit", known->hash);
        if (compare(&hash, "secreT") != SCHEME_WRONG)
            fail_msg("%s: a wrong password fits", known->hash);
    }
}

static void test_own(void **state)
{
    char text[crypto_pwhash_STRBYTES];
    struct storedhash hash;
    const char *error;

    (void)state;
    assert_int_equal(crypto_pwhash_str(text, "secret", 6, 1, 8192), 0);
    assert_int_equal(storedhash_parse(&hash, text, &error), 0);
    assert_int_equal(hash.kind, STOREDHASH_OWN);
    assert_int_equal(compare(&hash, "secret"), SCHEME_FITS);
    assert_int_equal(compare(&hash, "secreT"), SCHEME_WRONG);
    assert_int_equal(compare(&hash, ""), SCHEME_WRONG);
}

/* As long as a password can be: libcrypt takes none of 512 octets, so none has been hashed. */
static void test_longest(void **state)
{
    char password[MECHANISM_PASSWORD_MAX];
    struct storedhash hash;
    const char *error;

    (void)state;
    memset(password, 'x', sizeof(password));
    for (size_t i = 0; i < KNOWN_HASHES; i++) {
        assert_int_equal(storedhash_parse(&hash, known_hashes[i].hash, &error), 0);
        if (hash.memory < (16U << 20))
            assert_int_equal(scheme_compare(&hash, password, sizeof(password)), SCHEME_WRONG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_own),
        cmocka_unit_test(test_longest),
    };

    if (sodium_init() < 0)
        return 1;
    scheme_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
