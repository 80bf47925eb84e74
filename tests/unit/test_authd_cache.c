#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "authd/cache.h"
#include "authd/memory.h"

#define NOW  1000U
#define TIME 3600U

struct digest {
    uint8_t octets[CACHE_DIGEST_SIZE];
};

/* The number-th of a uniformly distributed row. */
static struct digest digest_of(uint32_t number)
{
    struct digest digest;

    crypto_generichash(digest.octets, sizeof(digest.octets), (const uint8_t *)&number,
                       sizeof(number), NULL, 0);
    return digest;
}

static void test_remembers(void **state)
{
    struct memory *memory = memory_new(-1, -1);
    struct cache *cache = cache_new(memory, 100, TIME);
    struct digest good = digest_of(1);
    struct digest other = digest_of(2);

    (void)state;
    assert_false(cache_find(cache, good.octets, NOW));
    cache_add(cache, good.octets, NOW);
    assert_true(cache_find(cache, good.octets, NOW));
    assert_false(cache_find(cache, other.octets, NOW));
    cache_free(cache);
    memory_free(memory);
}

static void test_every_octet_counts(void **state)
{
    struct memory *memory = memory_new(-1, -1);
    struct cache *cache = cache_new(memory, 8, TIME);
    struct digest digest = digest_of(1);

    (void)state;
    cache_add(cache, digest.octets, NOW);
    for (size_t i = 0; i < sizeof(digest.octets); i++) {
        digest.octets[i] ^= 1;
        assert_false(cache_find(cache, digest.octets, NOW));
        digest.octets[i] ^= 1;
    }
    cache_free(cache);
    memory_free(memory);
}

static void test_expires(void **state)
{
    struct memory *memory = memory_new(-1, -1);
    struct cache *cache = cache_new(memory, 100, TIME);
    struct digest good = digest_of(1);

    (void)state;
    cache_add(cache, good.octets, NOW);
    assert_true(cache_find(cache, good.octets, NOW + TIME - 1));
    assert_false(cache_find(cache, good.octets, NOW + TIME));
    cache_add(cache, good.octets, NOW + TIME);
    assert_true(cache_find(cache, good.octets, NOW + TIME));
    cache_free(cache);
    memory_free(memory);
}

static void test_shorter_time(void **state)
{
    struct memory *memory = memory_new(-1, -1);
    struct cache *cache = cache_new(memory, 100, TIME);
    struct digest old = digest_of(1);
    struct digest later = digest_of(2);

    (void)state;
    cache_add(cache, old.octets, NOW);
    cache_set_time(cache, 10);
    assert_true(cache_find(cache, old.octets, NOW + 9));
    assert_false(cache_find(cache, old.octets, NOW + 10));
    cache_add(cache, later.octets, NOW + 10);
    assert_true(cache_find(cache, later.octets, NOW + 19));
    assert_false(cache_find(cache, later.octets, NOW + 20));
    cache_free(cache);
    memory_free(memory);
}

static unsigned count_found(const struct cache *cache, uint32_t from, uint32_t to, uint32_t now)
{
    unsigned found = 0;

    for (uint32_t i = from; i < to; i++)
        found += cache_find(cache, digest_of(i).octets, now);
    return found;
}

/* The promise of cache_new(), and that ten times as many do not fit. */
static void test_capacity(void **state)
{
    struct memory *memory = memory_new(-1, -1);
    struct cache *cache = cache_new(memory, 10000, TIME);

    (void)state;
    for (uint32_t i = 0; i < 10000; i++)
        cache_add(cache, digest_of(i).octets, NOW);
    assert_true(count_found(cache, 0, 10000, NOW) >= 9990);
    for (uint32_t i = 10000; i < 100000; i++)
        cache_add(cache, digest_of(i).octets, NOW + 1);
    assert_true(count_found(cache, 0, 100000, NOW + 1) <= 20000);
    cache_free(cache);
    memory_free(memory);
}

static void test_displaces_the_oldest(void **state)
{
    struct memory *memory = memory_new(-1, -1);
    struct cache *cache = cache_new(memory, 700, TIME);

    (void)state;
    for (uint32_t i = 0; i < 700; i++)
        cache_add(cache, digest_of(i).octets, NOW);
    for (uint32_t i = 700; i < 20000; i++)
        cache_add(cache, digest_of(i).octets, NOW + i / 10);
    assert_int_equal(count_found(cache, 0, 700, NOW + 2000), 0);
    assert_true(count_found(cache, 19500, 20000, NOW + 2000) >= 499);
    cache_free(cache);
    memory_free(memory);
}

static void test_none(void **state)
{
    struct memory *memory = memory_new(-1, -1);
    struct cache *cache = cache_new(memory, 0, TIME);
    struct digest digest = digest_of(1);

    (void)state;
    cache_add(cache, digest.octets, NOW);
    assert_false(cache_find(cache, digest.octets, NOW));
    cache_free(cache);
    memory_free(memory);
    cache_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_remembers), cmocka_unit_test(test_every_octet_counts),
        cmocka_unit_test(test_expires),   cmocka_unit_test(test_shorter_time),
        cmocka_unit_test(test_capacity),  cmocka_unit_test(test_displaces_the_oldest),
        cmocka_unit_test(test_none),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
