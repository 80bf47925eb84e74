#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "admin/bucket.h"

static void takes_a_burst_and_then_the_rate(void **state)
{
    struct buckets *buckets = buckets_new();
    (void)state;

    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(bucket_take(buckets, "a", 1, 2, 10, 1000), 0);
    assert_int_equal(bucket_take(buckets, "a", 1, 2, 10, 1000), 500);
    assert_int_equal(bucket_take(buckets, "b", 1, 2, 10, 1000), 0);
    assert_int_equal(bucket_take(buckets, "a", 1, 2, 10, 1250), 250);
    assert_int_equal(bucket_take(buckets, "a", 1, 2, 10, 1500), 0);
    assert_int_equal(bucket_take(buckets, "a", 1, 2, 10, 1500), 500);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(bucket_take(buckets, "a", 1, 2, 10, 100000), 0);
    assert_int_equal(bucket_take(buckets, "a", 1, 2, 10, 100000), 500);
    buckets_free(buckets);
}

static void is_empty_for_as_long_as_it_is_told(void **state)
{
    struct buckets *buckets = buckets_new();
    (void)state;

    bucket_drain(buckets, "a", 1, 2, 10, 60000, 1000);
    assert_int_equal(bucket_take(buckets, "a", 1, 2, 10, 1000), 60000);
    assert_int_equal(bucket_take(buckets, "a", 1, 2, 10, 31000), 30000);
    assert_int_equal(bucket_take(buckets, "b", 1, 2, 10, 31000), 0);
    assert_int_equal(bucket_take(buckets, "a", 1, 2, 10, 61000), 0);
    buckets_free(buckets);
}

/* A flood of names that come once leaves one that is empty in place. */
static void keeps_the_empty_one(void **state)
{
    struct buckets *buckets = buckets_new();
    (void)state;

    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(bucket_take(buckets, "a", 1, 0.01, 10, 1000), 0);
    for (uint32_t i = 0; i < 1000000; i++)
        assert_int_equal(bucket_take(buckets, &i, sizeof(i), 0.01, 10, 1000), 0);
    assert_true(bucket_take(buckets, "a", 1, 0.01, 10, 1000) > 0);
    buckets_free(buckets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_a_burst_and_then_the_rate),
        cmocka_unit_test(is_empty_for_as_long_as_it_is_told),
        cmocka_unit_test(keeps_the_empty_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
