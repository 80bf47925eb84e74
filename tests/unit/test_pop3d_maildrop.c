/* The messages of a session, their marks and their unique-ids. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pop3d/limits.h"
#include "pop3d/maildrop.h"

static void fill(struct maildrop *maildrop, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct store_entry entry = {.uid = i + 1, .time = 1000 + i, .octets = 10 * (i + 1)};
        assert_int_equal(maildrop_append(maildrop, &entry, 1), 0);
    }
}

static void test_empty(void **state)
{
    struct maildrop maildrop = {0};
    uint32_t index;
    (void)state;

    assert_int_equal(maildrop_complete(&maildrop), 0);
    assert_int_equal(maildrop_messages(&maildrop), 0);
    assert_int_equal(maildrop_find(&maildrop, 0, &index), MAILDROP_NONE);
    assert_int_equal(maildrop_find(&maildrop, 1, &index), MAILDROP_NONE);
    maildrop_reset(&maildrop);
    maildrop_clear(&maildrop);
}

static void test_numbers_stay(void **state)
{
    struct maildrop maildrop = {0};
    uint32_t index = 99;
    (void)state;

    fill(&maildrop, 3);
    assert_int_equal(maildrop_find(&maildrop, 0, &index), MAILDROP_NONE);
    assert_int_equal(maildrop_find(&maildrop, 4, &index), MAILDROP_NONE);
    assert_int_equal(maildrop_find(&maildrop, UINT64_MAX, &index), MAILDROP_NONE);
    assert_int_equal(maildrop_find(&maildrop, UINT64_C(1) << 32 | 1, &index), MAILDROP_NONE);
    assert_int_equal(maildrop_find(&maildrop, 2, &index), MAILDROP_OK);
    maildrop_delete(&maildrop, index);
    assert_int_equal(maildrop_find(&maildrop, 2, &index), MAILDROP_DELETED);
    assert_int_equal(maildrop_find(&maildrop, 3, &index), MAILDROP_OK);
    assert_int_equal(index, 2);
    assert_int_equal(maildrop_messages(&maildrop), 2);
    assert_int_equal(maildrop.octets, 40);
    maildrop_reset(&maildrop);
    assert_int_equal(maildrop_find(&maildrop, 2, &index), MAILDROP_OK);
    assert_int_equal(maildrop_messages(&maildrop), 3);
    assert_int_equal(maildrop.octets, 60);
    maildrop_clear(&maildrop);
}

static void test_collect_in_parts(void **state)
{
    struct maildrop maildrop = {0};
    uint32_t indexes[4];
    uint32_t next = 0;
    uint32_t seen = 0;
    size_t count;
    (void)state;

    fill(&maildrop, 30);
    for (uint32_t i = 0; i < 30; i += 3)
        maildrop_delete(&maildrop, i);
    while ((count = maildrop_collect_deleted(&maildrop, &next, indexes, 4)) > 0)
        for (size_t i = 0; i < count; i++)
            assert_int_equal(indexes[i], 3 * seen++);
    assert_int_equal(seen, 10);
    maildrop_clear(&maildrop);
}

static void test_unique_ids(void **state)
{
    static const struct {
        uint64_t uid;
        uint64_t time;
        const char *text;
    } cases[] = {
        {1, 0, "1.0"},
        {26, UINT64_C(1700000000000000), "1a.60a24181e4000"},
        {0xffffff, INT64_MAX, "ffffff.7fffffffffffffff"},
        {0x1000000, 1, "1000000.1"},
        {1, UINT64_C(1) << 63, "1.8000000000000000"},
        {UINT64_MAX, UINT64_MAX, "ffffffffffffffff.ffffffffffffffff"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct store_entry entry = {.uid = cases[i].uid, .time = cases[i].time};
        struct maildrop maildrop = {0};
        char text[MAILDROP_UNIQUE_ID_MAX];
        assert_int_equal(maildrop_append(&maildrop, &entry, 1), 0);
        assert_int_equal(maildrop_unique_id(&maildrop, 0, text), strlen(cases[i].text));
        assert_memory_equal(text, cases[i].text, strlen(cases[i].text));
        maildrop_clear(&maildrop);
    }
}

/* As in STORE_UNIQUE_IDS. Returns the length. */
static size_t pack(char *payload, size_t length, uint32_t message, uint32_t stated,
                   const char *text)
{
    const struct store_unique_id head = {message, stated};

    memcpy(payload + length, &head, sizeof(head));
    memcpy(payload + length + sizeof(head), text, strlen(text));
    return length + sizeof(head) + strlen(text);
}

static void expect_unique_id(const struct maildrop *maildrop, uint32_t index, const char *expected)
{
    char text[MAILDROP_UNIQUE_ID_MAX + 1] = "";

    text[maildrop_unique_id(maildrop, index, text)] = '\0';
    assert_string_equal(text, expected);
}

#define LONGEST "0123456789012345678901234567890123456789012345678901234567890123456789"

static void test_imported_unique_ids(void **state)
{
    struct maildrop maildrop = {0};
    char payload[256];
    (void)state;

    fill(&maildrop, 5);
    size_t length = pack(payload, 0, 1, 1, "!");
    length = pack(payload, length, 2, STORE_UNIQUE_ID_MAX, LONGEST);
    assert_int_equal(maildrop_add_unique_ids(&maildrop, payload, length), 0);
    length = pack(payload, 0, 4, 3, "a~c");
    assert_int_equal(maildrop_add_unique_ids(&maildrop, payload, length), 0);
    assert_int_equal(maildrop_complete(&maildrop), 0);
    expect_unique_id(&maildrop, 0, "1.3e8");
    expect_unique_id(&maildrop, 1, "!");
    expect_unique_id(&maildrop, 2, LONGEST);
    expect_unique_id(&maildrop, 3, "4.3eb");
    expect_unique_id(&maildrop, 4, "a~c");
    maildrop_clear(&maildrop);
}

static void test_bad_unique_ids(void **state)
{
    static const struct {
        uint32_t message, stated;
        const char *text;
    } cases[] = {
        {2, 1, "a"},                             /* not after the one before */
        {1, 1, "a"},    {5, 1, "a"},             /* no such message */
        {3, 0, ""},     {3, 71, LONGEST "0"},    /* too short, too long */
        {3, 2, "a"},    {3, UINT32_MAX, "abcd"}, /* more than there is */
        {3, 1, "ab"},                            /* less */
        {3, 3, "a b"},  {3, 3, "a\rb"},          /* what may not be shown */
        {3, 1, "\x7f"}, {3, 2, "\xc3\xa9"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct maildrop maildrop = {0};
        char payload[256];
        fill(&maildrop, 5);
        size_t length = pack(payload, 0, 2, 1, "x");
        length = pack(payload, length, cases[i].message, cases[i].stated, cases[i].text);
        assert_int_equal(maildrop_add_unique_ids(&maildrop, payload, length), -1);
        maildrop_clear(&maildrop);
    }
}

/* What STAT says until all have come, and whether that was true. */
static void test_announced(void **state)
{
    static const struct {
        uint64_t octets;
        uint32_t messages;
        int result;
    } cases[] = {{60, 3, 0}, {60, 2, -1}, {60, 4, -1}, {59, 3, -1}, {61, 3, -1}, {0, 0, -1}};
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct maildrop maildrop = {0};
        assert_int_equal(maildrop_announce(&maildrop, cases[i].messages, cases[i].octets), 0);
        fill(&maildrop, 3);
        assert_int_equal(maildrop_messages(&maildrop), cases[i].messages);
        assert_int_equal(maildrop.octets, cases[i].octets);
        assert_false(maildrop.complete);
        assert_int_equal(maildrop_complete(&maildrop), cases[i].result);
        maildrop_clear(&maildrop);
    }
}

/* A number that is too high is refused, one that is not true costs nothing in the end. */
static void test_announced_too_much(void **state)
{
    struct maildrop maildrop = {0};
    (void)state;

    assert_int_equal(maildrop_announce(&maildrop, LIMIT_MESSAGES + 1, 1), -1);
    assert_int_equal(maildrop_announce(&maildrop, UINT32_MAX, 1), -1);
    assert_int_equal(maildrop_announce(&maildrop, LIMIT_MESSAGES, 60), 0);
    fill(&maildrop, 3);
    assert_int_equal(maildrop_complete(&maildrop), -1);
    assert_true(malloc_usable_size(maildrop.entries) < 10000); /* a page */
    maildrop_clear(&maildrop);
}

/*
 * 200,000 messages in less than 8 MB, in the pieces in which they come over a channel: with the
 * unique-ids of stored, and with such as other servers give.
 */
static void test_large(void **state)
{
    enum { PIECE = 2048, MESSAGES = 200000, TEXT = 16 };
    struct store_entry *piece = calloc(PIECE, sizeof(*piece));
    char *names = calloc(PIECE, sizeof(struct store_unique_id) + TEXT);
    (void)state;

    for (int named = 0; named < 2; named++) {
        struct maildrop maildrop = {0};
        assert_int_equal(maildrop_announce(&maildrop, MESSAGES, 0), 0);
        const struct maildrop_entry *first = maildrop.entries;
        while (maildrop.listed < MESSAGES) {
            uint32_t left = MESSAGES - maildrop.listed, begin = maildrop.listed;
            uint32_t count = left < PIECE ? left : PIECE;
            size_t length = 0;
            assert_int_equal(maildrop_append(&maildrop, piece, count), 0);
            for (uint32_t i = 0; named && i < count; i++)
                length = pack(names, length, begin + i, TEXT, "000000015f3c2a10");
            assert_int_equal(maildrop_add_unique_ids(&maildrop, names, length), 0);
        }
        assert_int_equal(maildrop_complete(&maildrop), 0);
        assert_ptr_equal(maildrop.entries, first); /* never copied */
        maildrop_delete(&maildrop, MESSAGES - 1);
        assert_true(malloc_usable_size(maildrop.entries) + malloc_usable_size(maildrop.marks) +
                        malloc_usable_size(maildrop.unique_ids) <
                    (named ? 8000000 : 3300000));
        maildrop_clear(&maildrop);
    }
    free(piece);
    free(names);
}

/* What an entry has room for; the next number is no message that is wrongly listed. */
static void test_largest(void **state)
{
    struct store_entry entry = {.uid = 1, .octets = LIMIT_MESSAGE};
    struct maildrop maildrop = {0};
    (void)state;

    assert_int_equal(maildrop_append(&maildrop, &entry, 1), 0);
    assert_int_equal(maildrop_octets(&maildrop, 0), LIMIT_MESSAGE);
    assert_int_equal(maildrop.octets, LIMIT_MESSAGE);
    entry.octets++;
    assert_int_equal(maildrop_append(&maildrop, &entry, 1), -1);
    maildrop_clear(&maildrop);
}

static void test_too_many(void **state)
{
    struct store_entry *entries = calloc(LIMIT_MESSAGES, sizeof(*entries));
    struct maildrop maildrop = {0};
    (void)state;

    assert_int_equal(maildrop_append(&maildrop, entries, LIMIT_MESSAGES), 0);
    assert_int_equal(maildrop_append(&maildrop, entries, 1), -1);
    assert_int_equal(maildrop.count, LIMIT_MESSAGES);
    maildrop_clear(&maildrop);
    free(entries);
}

/* LIST says what the surrogate has, and the store what it has been asked for. */
static void test_growths(void **state)
{
    static const struct store_growth growths[] = {
        {.message = 0, .growth = 5}, {.message = 2, .growth = -30}, {.message = 3, .growth = 0}};
    struct maildrop maildrop = {0};
    (void)state;

    assert_int_equal(maildrop_announce(&maildrop, 4, 75), 0);
    fill(&maildrop, 4);
    assert_int_equal(maildrop_add_growths(&maildrop, growths, 2), 0);
    assert_int_equal(maildrop_add_growths(&maildrop, growths + 2, 1), 0);
    assert_int_equal(maildrop_complete(&maildrop), 0);
    static const uint64_t listed[] = {15, 20, 0, 40}, stored[] = {10, 20, 30, 40};
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(maildrop_octets(&maildrop, i), listed[i]);
        assert_int_equal(maildrop_stored_octets(&maildrop, i), stored[i]);
    }
    maildrop_delete(&maildrop, 0);
    assert_int_equal(maildrop.octets, 60);
    maildrop_reset(&maildrop);
    assert_int_equal(maildrop.octets, 75);
    maildrop_clear(&maildrop);
}

static void test_bad_growths(void **state)
{
    static const struct store_growth bad[] = {
        {.message = 3, .growth = 1},                    /* has not come */
        {.message = 1, .growth = 1},                    /* the same again */
        {.message = 0, .growth = 1},                    /* one before it */
        {.message = 2, .growth = -31},                  /* more than there is */
        {.message = 2, .growth = INT64_MIN},            /* the same */
        {.message = 2, .growth = STORE_GROWTH_MAX + 1}, /* more than stored tells */
    };
    static const struct store_growth good = {.message = 1, .growth = 1};
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct maildrop maildrop = {0};
        fill(&maildrop, 3);
        assert_int_equal(maildrop_add_growths(&maildrop, &good, 1), 0);
        assert_int_equal(maildrop_add_growths(&maildrop, &bad[i], 1), -1);
        maildrop_clear(&maildrop);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_numbers_stay),
        cmocka_unit_test(test_collect_in_parts),
        cmocka_unit_test(test_unique_ids),
        cmocka_unit_test(test_imported_unique_ids),
        cmocka_unit_test(test_bad_unique_ids),
        cmocka_unit_test(test_growths),
        cmocka_unit_test(test_bad_growths),
        cmocka_unit_test(test_announced),
        cmocka_unit_test(test_announced_too_much),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_largest),
        cmocka_unit_test(test_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
