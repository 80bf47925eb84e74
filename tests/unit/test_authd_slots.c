#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "authd/slots.h"

#define MOST 8192U

struct record {
    uint8_t key[SLOTS_KEY_SIZE];
    uint32_t number;
    uint32_t weight;
};

static uint64_t weigh(const void *record, uint32_t now)
{
    (void)now;
    return ((const struct record *)record)->weight;
}

/* The number-th of a uniformly distributed row. */
static void make_key(uint8_t key[SLOTS_KEY_SIZE], uint32_t number)
{
    crypto_generichash(key, SLOTS_KEY_SIZE, (const uint8_t *)&number, sizeof(number), NULL, 0);
}

static void take(struct slots *slots, uint32_t number, uint32_t weight)
{
    uint8_t key[SLOTS_KEY_SIZE];

    make_key(key, number);
    struct record *record = slots_take(slots, key, 0);
    record->number = number;
    record->weight = weight;
}

static const struct record *find(const struct slots *slots, uint32_t number)
{
    uint8_t key[SLOTS_KEY_SIZE];

    make_key(key, number);
    return slots_find(slots, key);
}

static void test_keeps_all_while_it_grows(void **state)
{
    void *records = calloc(MOST, sizeof(struct record));
    struct slots *slots = slots_new(records, MOST, sizeof(struct record), weigh);
    uint32_t count = MOST / 2;

    (void)state;
    for (uint32_t number = 1; number <= count; number++) {
        assert_null(find(slots, number));
        take(slots, number, 1);
    }
    for (uint32_t number = 1; number <= count; number++) {
        assert_non_null(find(slots, number));
        assert_int_equal(find(slots, number)->number, number);
    }
    slots_free(slots);
    free(records);
}

static void test_gives_each_once(void **state)
{
    void *records = calloc(MOST, sizeof(struct record));
    struct slots *slots = slots_new(records, MOST, sizeof(struct record), weigh);
    uint32_t count = MOST / 2;
    uint8_t seen[MOST] = {0};
    uint32_t given = 0;
    uint64_t slot = 0;

    (void)state;
    for (uint32_t number = 1; number <= count; number++)
        take(slots, number, 1);
    for (const struct record *record; (record = slots_next(slots, &slot)) != NULL; given++) {
        assert_in_range(record->number, 1, count);
        assert_int_equal(seen[record->number]++, 0);
    }
    assert_int_equal(given, count);
    slots_free(slots);
    free(records);
}

static void test_takes_up_what_the_records_need(void **state)
{
    void *records = calloc(MOST, sizeof(struct record));
    struct slots *slots = slots_new(records, MOST, sizeof(struct record), weigh);
    uint32_t count = 512;
    uint64_t slot = 0;

    (void)state;
    for (uint32_t number = 1; number <= count; number++)
        take(slots, number, 1);
    for (uint64_t next = 0; slots_next(slots, &next) != NULL;)
        slot = next;
    assert_in_range(slot, count, 1024);
    slots_free(slots);
    free(records);
}

static void test_the_lightest_makes_room_when_full(void **state)
{
    void *records = calloc(MOST, sizeof(struct record));
    struct slots *slots = slots_new(records, MOST, sizeof(struct record), weigh);

    (void)state;
    take(slots, 1, UINT32_MAX);
    for (uint32_t number = 2; number <= 4 * MOST; number++)
        take(slots, number, 1);
    assert_non_null(find(slots, 1));
    assert_int_equal(find(slots, 1)->number, 1);
    assert_non_null(find(slots, 4 * MOST));
    slots_free(slots);
    free(records);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_all_while_it_grows),
        cmocka_unit_test(test_gives_each_once),
        cmocka_unit_test(test_takes_up_what_the_records_need),
        cmocka_unit_test(test_the_lightest_makes_room_when_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
