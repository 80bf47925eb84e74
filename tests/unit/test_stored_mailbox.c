#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stored/mailbox.h"

/* Limits and a message for a mailbox with 3 messages of 300 octets, of which 1 of 100 is waiting.
 */
static const struct reserve_case {
    const char *goal;
    uint64_t quota_octets, quota_messages, octets_max;
    uint64_t octets;
    bool dropped;
    enum store_result result;
} reserve_cases[] = {
    {"it fits", 1000, 10, 1000, 100, false, STORE_OK},
    {"an empty message", 300, 4, 0, 0, false, STORE_OK},
    {"the last octet of the quota", 400, 10, 1000, 100, false, STORE_OK},
    {"one octet above the quota", 400, 10, 1000, 101, false, STORE_OVER_QUOTA},
    {"a quota that has shrunk", 200, 10, 1000, 0, false, STORE_OVER_QUOTA},
    {"the last message of the quota", 1000, 4, 1000, 100, false, STORE_OK},
    {"one message above the quota", 1000, 3, 1000, 100, false, STORE_OVER_QUOTA},
    {"as large as allowed", 1000, 10, 100, 100, false, STORE_OK},
    {"one octet too large", 1000, 10, 99, 100, false, STORE_TOO_LARGE},
    {"too large will not pass, full may", 300, 3, 99, 100, false, STORE_TOO_LARGE},
    {"sizes near the end of numbers", UINT64_MAX, 10, UINT64_MAX, UINT64_MAX, false,
     STORE_OVER_QUOTA},
    {"dropped", 1000, 10, 1000, 100, true, STORE_NO_MAILBOX},
    {"dropped and too large", 1000, 10, 99, 100, true, STORE_NO_MAILBOX},
};

static void reserves_within_the_limits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(reserve_cases) / sizeof(reserve_cases[0]); i++) {
        const struct reserve_case *test = &reserve_cases[i];
        struct store_recipient limits = {1, test->quota_octets, test->quota_messages,
                                         test->octets_max};
        struct mailbox mailbox = {.id = 1,
                                  .messages = 2,
                                  .octets = 200,
                                  .waiting_messages = 1,
                                  .waiting_octets = 100,
                                  .uid_next = 7,
                                  .dropped = test->dropped};
        uint64_t uid = 0;
        enum store_result result = mailbox_reserve(&mailbox, &limits, test->octets, &uid);
        unsigned taken = result == STORE_OK;
        if (result != test->result)
            fail_msg("%s: %d instead of %d", test->goal, (int)result, (int)test->result);
        assert_int_equal(uid, taken ? 7 : 0);
        assert_int_equal(mailbox.uid_next, 7 + taken);
        assert_int_equal(mailbox.waiting_messages, 1 + taken);
        assert_int_equal(mailbox.waiting_octets, 100 + taken * test->octets);
        assert_int_equal(mailbox.messages, 2);
    }
}

static void settles_what_was_reserved(void **state)
{
    struct store_recipient limits = {1, 1000, 10, 1000};
    struct mailbox mailbox = {.id = 1, .uid_next = 1};
    uint64_t uid;
    (void)state;

    assert_int_equal(mailbox_reserve(&mailbox, &limits, 600, &uid), STORE_OK);
    assert_int_equal(mailbox_reserve(&mailbox, &limits, 600, &uid), STORE_OVER_QUOTA);
    mailbox_settle(&mailbox, 600, false);
    assert_int_equal(mailbox_reserve(&mailbox, &limits, 600, &uid), STORE_OK);
    mailbox_settle(&mailbox, 600, true);
    assert_int_equal(mailbox.octets, 600);
    assert_int_equal(mailbox.messages, 1);
    assert_int_equal(mailbox.waiting_octets + mailbox.waiting_messages, 0);
    assert_int_equal(mailbox_reserve(&mailbox, &limits, 600, &uid), STORE_OVER_QUOTA);
    assert_int_equal(mailbox_reserve(&mailbox, &limits, 400, &uid), STORE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reserves_within_the_limits),
        cmocka_unit_test(settles_what_was_reserved),
    };
    return cmocka_run_group_tests_name("stored mailbox", tests, NULL, NULL);
}
