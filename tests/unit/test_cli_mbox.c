/* The lines between the messages of an mbox file, and the quoting of those in messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "cli/mbox.h"
#include "lib/xalloc.h"

static const struct {
    const char *line;
    bool is_from;
    int64_t time;
    const char *unique_id;
} lines[] = {
    {"From a@b.example Thu Jan  1 00:00:00 2026", true, 1767225600, ""},
    {"From bellhop-1.60a2418221090 Thu Jan  1 00:00:01 2026", true, 1767225601, "1.60a2418221090"},
    {"From bellhop- Thu Jan  1 00:00:01 2026", true, 1767225601, ""},
    {"From bellhop-\xff Thu Jan  1 00:00:01 2026", true, 1767225601, ""},
    {"From - Thu Jan 01 00:00:00 2026", true, 1767225600, ""},
    {"From MAILER-DAEMON Thu Jan  1 01:00:00 2026 +0100", true, 1767225600, ""},
    {"From x 99:99:99 of nothing", true, 0, ""},
    {"From here to there", false, 0, NULL},
    {"From 12:3", false, 0, NULL},
    {"from a Thu Jan  1 00:00:00 2026", false, 0, NULL},
    {">From a Thu Jan  1 00:00:00 2026", false, 0, NULL},
    {"From", false, 0, NULL},
    {"", false, 0, NULL},
};

static void lines_between_messages_are_known(void **state)
{
    char unique_id[UNIQUEID_SIZE];
    int64_t time;
    (void)state;

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        size_t length = strlen(lines[i].line);
        assert_int_equal(mbox_is_from(lines[i].line, length), lines[i].is_from);
        if (!lines[i].is_from)
            continue;
        mbox_parse_from(lines[i].line, length, &time, unique_id);
        assert_int_equal(time, lines[i].time);
        assert_string_equal(unique_id, lines[i].unique_id);
    }
}

static void an_endless_line_and_one_with_nul_are_none(void **state)
{
    char line[2 * MBOX_FROM_MAX];
    (void)state;

    memset(line, '1', sizeof(line));
    memcpy(line, "From a 12:34 ", 13);
    assert_true(mbox_is_from(line, MBOX_FROM_MAX - 1));
    assert_false(mbox_is_from(line, MBOX_FROM_MAX));
    line[20] = '\0';
    assert_false(mbox_is_from(line, 100));
}

static void a_line_that_was_made_is_understood(void **state)
{
    char line[MBOX_FROM_MAX], unique_id[UNIQUEID_SIZE], longest[UNIQUEID_SIZE];
    int64_t time;
    (void)state;

    memset(longest, '~', STORE_UNIQUE_ID_MAX);
    longest[STORE_UNIQUE_ID_MAX] = '\0';
    size_t length = mbox_format_from(longest, 1767225600, line);
    assert_int_equal(line[length - 1], '\n');
    assert_true(mbox_is_from(line, length - 1));
    mbox_parse_from(line, length - 1, &time, unique_id);
    assert_int_equal(time, 1767225600);
    assert_string_equal(unique_id, longest);
}

static const struct {
    const char *plain;
    const char *quoted;
} texts[] = {
    {"From x\n", ">From x\n"},
    {">From x\n>>From y\n", ">>From x\n>>>From y\n"},
    {"From\nFro m\n> From x\nx From y\n", "From\nFro m\n> From x\nx From y\n"},
    {"\n\nFrom \n", "\n\n>From \n"},
    {"a\nFrom ", "a\n>From "},
    {">\n>>\n>a\n>F", ">\n>>\n>a\n>F"},
    {"From From \nFFrom \n", ">From From \nFFrom \n"},
    {"", ""},
};

/* In two pieces, cut at each place. */
static void check_quoting(const char *input, const char *expected, bool quote)
{
    size_t length = strlen(input);
    char *output = xmalloc(2 * MBOX_QUOTED_MAX(length) + 8);
    struct mbox_quoting quoting;

    for (size_t cut = 0; cut <= length; cut++) {
        mbox_quoting_init(&quoting, quote);
        size_t end = mbox_quote(&quoting, input, cut, output);
        assert_true(end <= MBOX_QUOTED_MAX(cut));
        end += mbox_quote(&quoting, input + cut, length - cut, output + end);
        end += mbox_quote_end(&quoting, output + end);
        assert_int_equal(end, strlen(expected));
        assert_memory_equal(output, expected, end);
    }
    free(output);
}

static void quoting_goes_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        check_quoting(texts[i].plain, texts[i].quoted, true);
        check_quoting(texts[i].quoted, texts[i].plain, false);
    }
    /* What other programs have not quoted stays. */
    check_quoting("From x\nFrom y\n", "From x\nFrom y\n", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_between_messages_are_known),
        cmocka_unit_test(an_endless_line_and_one_with_nul_are_none),
        cmocka_unit_test(a_line_that_was_made_is_understood),
        cmocka_unit_test(quoting_goes_both_ways),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
