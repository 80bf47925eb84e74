#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "db/secret.h"
#include "tests/unit/db_fixture.h"

static void stays_what_was_drawn(void **state)
{
    struct fixture *fixture = *state;
    static const uint8_t zeros[DB_SECRET_SIZE];
    uint8_t secret[DB_SECRET_SIZE];
    uint8_t again[DB_SECRET_SIZE];

    assert_int_equal(db_secret_find(fixture->db, DB_SECRET_SCRAM_SALT, secret), DB_OK);
    assert_memory_not_equal(secret, zeros, sizeof(zeros));
    assert_int_equal(db_secret_find(fixture->db, DB_SECRET_SCRAM_SALT, again), DB_OK);
    assert_memory_equal(secret, again, sizeof(again));
    assert_int_equal(db_secret_find(fixture->db, "nothing", again), DB_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {fixture_test(stays_what_was_drawn)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
