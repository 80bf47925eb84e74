#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lmtpd/limits.h"
#include "lmtpd/usage.h"

/* A quota of 1000 octets and 20 messages, and what is known of mailbox 7. */
static const struct room_case {
    const char *goal;
    struct store_usage_is usage;
    uint64_t declared;
    bool room;   /* by what stored says now */
    bool surely; /* by what stored said once */
} room_cases[] = {
    {"empty", {0, 0}, 0, true, true},
    {"a message of half the quota", {0, 0}, 500, true, true},
    {"a message of more", {0, 0}, 501, true, false},
    {"half full with it", {100, 1}, 400, true, true},
    {"more than half with it", {100, 1}, 401, true, false},
    {"nearly half", {499, 9}, 0, true, true},
    {"half of the octets", {500, 9}, 0, true, false},
    {"half of the messages", {499, 10}, 0, true, false},
    {"the last octet", {999, 9}, 1, true, false},
    {"one more than the last octet", {999, 9}, 2, false, false},
    {"all octets", {1000, 9}, 0, false, false},
    {"the last message", {100, 19}, 0, true, false},
    {"all messages", {100, 20}, 0, false, false},
    {"more than the quota", {5000, 50}, 0, false, false},
    {"a declared size without end", {1, 1}, UINT64_MAX, false, false},
};

static void tells_whether_there_is_room(void **state)
{
    static const struct db_route route = {.mailbox = 7, .quota_octets = 1000, .quota_messages = 20};
    struct usages *usages = usages_new();
    (void)state;

    for (size_t i = 0; i < sizeof(room_cases) / sizeof(room_cases[0]); i++) {
        const struct room_case *test = &room_cases[i];
        usages_learn(usages, 7, &test->usage);
        if (usage_leaves_room(&test->usage, route.quota_octets, route.quota_messages,
                              test->declared) != test->room ||
            usages_leave_room(usages, &route, test->declared) != test->surely)
            fail_msg("%s", test->goal);
    }
    usages_free(usages);
}

static void is_sure_of_no_mailbox_but_the_one_it_was_told_of(void **state)
{
    static const struct store_usage_is empty;
    struct usages *usages = usages_new();
    struct db_route route = {.mailbox = 7, .quota_octets = 1000, .quota_messages = 20};
    (void)state;

    assert_false(usages_leave_room(usages, &route, 0));
    usages_learn(usages, 7, &empty);
    assert_true(usages_leave_room(usages, &route, 0));
    route.mailbox += USAGES_MAX; /* stands in the same place */
    assert_false(usages_leave_room(usages, &route, 0));
    usages_learn(usages, route.mailbox, &empty);
    assert_true(usages_leave_room(usages, &route, 0));
    route.mailbox = 7;
    assert_false(usages_leave_room(usages, &route, 0));
    route.mailbox = 0;
    assert_false(usages_leave_room(usages, &route, 0));
    usages_free(usages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_whether_there_is_room),
        cmocka_unit_test(is_sure_of_no_mailbox_but_the_one_it_was_told_of),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
