/* A record is accepted whole, in its place, and never with any bit of it changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lib/surrogate.h"
#include "lib/xalloc.h"
#include "stored/record.h"

#define SEED UINT64_C(0x1234567890abcdef)

static struct record_header *sealed_message(void)
{
    struct record_header *header = record_new(RECORD_MESSAGE, 3, NULL);

    for (uint32_t i = 0; i < 3; i++)
        record_refs(header)[i] = (struct record_ref){.mailbox = i + 1, .uid = 100 + i};
    header->body_length = 5;
    header->octets = 5;
    header->body_sum = record_sum(SEED, "abc\r\n", 5);
    record_seal(header, 7, 64, SEED);
    return header;
}

static void accepts_what_it_sealed(void **state)
{
    struct record_header *header = sealed_message();
    (void)state;

    assert_int_equal(record_check(header, header->length, 7, 64, SEED), 0);
    free(header);
}

static void wants_more_octets_of_a_part(void **state)
{
    struct record_header *header = sealed_message();
    (void)state;

    assert_int_equal(record_check(header, sizeof(*header) - 1, 7, 64, SEED), 1);
    assert_int_equal(record_check(header, header->length - 1, 7, 64, SEED), 1);
    free(header);
}

static void notices_every_flipped_bit(void **state)
{
    struct record_header *header = sealed_message();
    uint8_t *octets = (uint8_t *)header;
    (void)state;

    for (uint32_t bit = 0; bit < 8 * header->length; bit++) {
        uint32_t length = header->length;
        octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(record_check(header, length, 7, 64, SEED), 0);
        octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(record_check(header, header->length, 7, 64, SEED), 0);
    free(header);
}

static void refuses_a_copy_elsewhere(void **state)
{
    struct record_header *header = sealed_message();
    (void)state;

    assert_int_equal(record_check(header, header->length, 7, 72, SEED), -1);
    assert_int_equal(record_check(header, header->length, 8, 64, SEED), -1);
    /* Whoever does not know the seed cannot write a record into a message's text. */
    assert_int_equal(record_check(header, header->length, 7, 64, SEED + 1), -1);
    free(header);
}

static void spans_are_aligned(void **state)
{
    struct record_header *header = record_new(RECORD_MESSAGE, 1, NULL);
    (void)state;

    for (uint64_t length = 0; length < 20; length++) {
        header->body_length = length;
        uint64_t span = record_span(header);
        assert_int_equal(span % RECORD_ALIGN, 0);
        assert_true(span >= header->length + length);
        assert_true(span < header->length + length + RECORD_ALIGN);
    }
    free(header);
}

static void an_expunge_has_no_body(void **state)
{
    struct record_header *header = record_new(RECORD_EXPUNGE, 1, NULL);
    (void)state;

    header->body_length = 1;
    record_seal(header, 1, 64, SEED);
    assert_int_equal(record_check(header, header->length, 1, 64, SEED), -1);
    free(header);
}

static void a_surrogate_is_told_again(void **state)
{
    const struct store_surrogate told = {-5, SURROGATE_VERSION, 1, {0}}, none = {0};
    struct record_header *header = record_new(RECORD_MESSAGE, 2, "unique");
    (void)state;

    struct store_surrogate surrogate = record_surrogate(header);
    assert_memory_equal(&surrogate, &none, sizeof(none));
    assert_int_equal(record_form(header), STORE_FORM_UNKNOWN);
    record_set_surrogate(header, &told);
    surrogate = record_surrogate(header);
    assert_memory_equal(&surrogate, &told, sizeof(told));
    assert_int_equal(record_form(header), STORE_FORM_SURROGATE);
    assert_string_equal(record_unique_id(header), "unique");
    header->surrogate_needed = 0;
    assert_int_equal(record_form(header), STORE_FORM_ORIGINAL);
    header->surrogate_version++;
    assert_int_equal(record_form(header), STORE_FORM_UNKNOWN);
    free(header);
}

static void a_surrogate_may_be_credible(void **state)
{
    static const struct {
        struct store_surrogate surrogate;
        bool credible;
    } cases[] = {
        {{0, 0, 0, {0}}, true},
        {{0, 1, 0, {0}}, true},
        {{1, 1, 0, {0}}, false},
        {{0, 0, 1, {0}}, false},
        {{0, 1, 2, {0}}, false},
        {{0, 1, 1, {0}}, true},
        {{-10, 1, 1, {0}}, true},
        {{-11, 1, 1, {0}}, false},
        {{INT64_MIN, 1, 1, {0}}, false},
        {{STORE_GROWTH_MAX, 200, 1, {0}}, true},
        {{STORE_GROWTH_MAX + 1, 1, 1, {0}}, false},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(record_surrogate_is_credible(&cases[i].surrogate, 10), cases[i].credible);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_what_it_sealed),    cmocka_unit_test(wants_more_octets_of_a_part),
        cmocka_unit_test(notices_every_flipped_bit), cmocka_unit_test(refuses_a_copy_elsewhere),
        cmocka_unit_test(a_surrogate_is_told_again), cmocka_unit_test(a_surrogate_may_be_credible),
        cmocka_unit_test(spans_are_aligned),         cmocka_unit_test(an_expunge_has_no_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
