#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>
#include <sodium.h>

#include "authd/hashpool.h"
#include "authd/keymaker.h"
#include "authd/report.h"

/* Takes the place of authd/report.c when the program is linked. */
static struct {
    unsigned count;
    uint64_t customer;
    uint64_t mailbox;
    char hash[DB_HASH_SIZE];
    char keys[SCRAMKEYS_TEXT_SIZE];
} reported;

void report_scram(struct report *report, uint64_t customer, uint64_t mailbox, const char *hash,
                  const char *keys)
{
    assert_ptr_equal(report, &reported);
    reported.count++;
    reported.customer = customer;
    reported.mailbox = mailbox;
    memcpy(reported.hash, hash, strlen(hash) + 1);
    memcpy(reported.keys, keys, strlen(keys) + 1);
}

static struct event_base *base;
static struct hashpool *pool;
static struct keymaker *keymaker;

static int set_up(void **state)
{
    (void)state;
    memset(&reported, 0, sizeof(reported));
    base = event_base_new();
    pool = hashpool_new(base, 1, 4, 1 << 20);
    keymaker = keymaker_new(pool, (struct report *)&reported);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hashpool_free(pool);
    keymaker_free(keymaker);
    event_base_free(base);
    return 0;
}

static const struct keymaker_order order = {.customer = 3,
                                            .mailbox = 7,
                                            .hash = "a hash",
                                            .password = "pencil",
                                            .password_length = 6,
                                            .salt = {1, 2, 3}};

static void test_makes_and_reports(void **state)
{
    char text[SCRAMKEYS_TEXT_SIZE];
    struct scramkeys keys = {.salt = {1, 2, 3}};

    (void)state;
    keymaker_make(keymaker, &order);
    while (reported.count == 0)
        event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(reported.customer, 3);
    assert_int_equal(reported.mailbox, 7);
    assert_string_equal(reported.hash, "a hash");
    assert_int_equal(scramkeys_make(&keys, "pencil", 6, SCRAMKEYS_ITERATIONS), 0);
    scramkeys_format(&keys, text);
    assert_string_equal(reported.keys, text);
}

static void test_once_for_a_mailbox(void **state)
{
    struct keymaker_order other = order;

    (void)state;
    other.mailbox = 8;
    for (int i = 0; i < 10; i++)
        keymaker_make(keymaker, &order);
    keymaker_make(keymaker, &other);
    while (reported.mailbox != 8)
        event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(reported.count, 2);
}

/* What finds no room is left out, and what has not come back is forgotten at the end. */
static void test_more_than_there_is_room_for(void **state)
{
    struct keymaker_order other = order;

    (void)state;
    for (other.mailbox = 1; other.mailbox <= 50; other.mailbox++)
        keymaker_make(keymaker, &other);
    while (reported.count == 0)
        event_base_loop(base, EVLOOP_ONCE);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_makes_and_reports),
        TEST(test_once_for_a_mailbox),
        TEST(test_more_than_there_is_room_for),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
