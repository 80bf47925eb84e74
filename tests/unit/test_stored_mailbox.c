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
    mailbox_settle(&mailbox, 600, true, false);
    assert_int_equal(mailbox_reserve(&mailbox, &limits, 600, &uid), STORE_OK);
    mailbox_settle(&mailbox, 600, true, true);
    assert_int_equal(mailbox.octets, 600);
    assert_int_equal(mailbox.messages, 1);
    assert_int_equal(mailbox.waiting_octets + mailbox.waiting_messages, 0);
    assert_int_equal(mailbox_reserve(&mailbox, &limits, 600, &uid), STORE_OVER_QUOTA);
    assert_int_equal(mailbox_reserve(&mailbox, &limits, 400, &uid), STORE_OK);
}

/* What a mailbox with a quota of 1000 octets and 20 messages holds, and what comes. */
static const struct line_case {
    const char *goal;
    uint64_t octets, messages; /* before */
    uint64_t size;             /* of the message */
    unsigned crossed;
} line_cases[] = {
    {"far below", 0, 0, 100, 0},
    {"one octet below 80", 700, 1, 99, 0},
    {"exactly 80", 700, 1, 100, 80},
    {"above 80 already", 800, 1, 100, 0},
    {"one octet below 95", 800, 1, 149, 0},
    {"exactly 95", 800, 1, 150, 95},
    {"both at once tell the higher", 0, 0, 1000, 95},
    {"full already", 1000, 5, 0, 0},
    {"the 15th message of 20", 0, 14, 1, 0},
    {"the 16th message of 20", 0, 15, 1, 80},
    {"the 17th message of 20", 0, 16, 1, 0},
    {"the 19th message of 20", 0, 18, 1, 95},
    {"messages cross what octets have crossed", 850, 15, 1, 0},
    {"octets cross what messages have crossed", 700, 16, 100, 0},
    {"messages 80 and octets 95", 900, 15, 50, 95},
    {"a quota that has shrunk below", 5000, 50, 100, 0},
};

static void tells_which_line_a_message_crosses(void **state)
{
    static const struct store_recipient limits = {1, 1000, 20, 1000};
    (void)state;

    for (size_t i = 0; i < sizeof(line_cases) / sizeof(line_cases[0]); i++) {
        const struct line_case *test = &line_cases[i];
        struct store_usage_is usage = {.octets = test->octets + test->size,
                                       .messages = test->messages + 1};
        unsigned crossed = mailbox_crossed(&usage, &limits, test->size);
        if (crossed != test->crossed)
            fail_msg("%s: %u instead of %u", test->goal, crossed, test->crossed);
    }
}

static void no_quota_has_no_line(void **state)
{
    static const struct store_recipient limits = {1, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    struct store_usage_is usage = {.octets = UINT64_C(1) << 60, .messages = 1};
    (void)state;

    assert_int_equal(mailbox_crossed(&usage, &limits, usage.octets), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reserves_within_the_limits),
        cmocka_unit_test(settles_what_was_reserved),
        cmocka_unit_test(tells_which_line_a_message_crosses),
        cmocka_unit_test(no_quota_has_no_line),
    };
    return cmocka_run_group_tests_name("stored mailbox", tests, NULL, NULL);
}
