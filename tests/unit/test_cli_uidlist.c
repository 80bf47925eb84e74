/* The lists of unique-ids of Dovecot and Courier, also broken and hostile ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/uidlist.h"
#include "lib/xalloc.h"

#define UID_RANK(uid) (((uint64_t)1 << 32) + (uid))
#define BY_NAME       ""

struct expectation {
    const char *name;
    const char *unique_id; /* NULL: not in the list; BY_NAME */
    uint64_t rank;
};

static const struct {
    const char *text;
    struct expectation expectations[6];
} lists[] = {
    {"3 V1234567890 N5 Gabc\n1 :a\n300 W5 S4 :b:2,S\n4294967295 :c\n",
     {{"a", "00000001499602d2", UID_RANK(1)},
      {"b", "0000012c499602d2", UID_RANK(300)},
      {"c", "ffffffff499602d2", UID_RANK(4294967295)},
      {"d", NULL, 0}}},
    {"3 N5 V1\n1 PUID1-2 O7 :a\n2 P :b\n3 O9999999999 Px :c\n",
     {{"a", "UID1-2", 7}, {"b", BY_NAME, UID_RANK(2)}, {"c", "x", UID_RANK(3)}}},
    /* Lines that make no sense, and the last of two. */
    {"3 V1\n0 :zero\nx :x\n4294967296 :huge\n99999999999999999999999 :more\n-1 :minus\n+1 "
     ":plus\n7\n"
     "8 Pabc\n9 :\n1 :a\n2 :a\n",
     {{"a", "0000000200000001", UID_RANK(2)},
      {"zero", NULL, 0},
      {"x", NULL, 0},
      {"huge", NULL, 0},
      {"more", NULL, 0},
      {"minus", NULL, 0}}},
    /* The last line is just being written. */
    {"3 V1\n1 :a\n2 :b", {{"a", "0000000100000001", UID_RANK(1)}, {"b", NULL, 0}}},
    {"1 1234567890 5\n1 a\n2 b:2,S\n",
     {{"a", "00000001499602d2", 1}, {"b", "00000002499602d2", 2}}},
    {"/2 9 77\nname 20 7:77\nother:2,S 20 8:0\nthird one 20 0:0\n",
     {{"name", "UID7-77", UIDLIST_NO_RANK},
      {"other", "UID8", UIDLIST_NO_RANK},
      {"third one", BY_NAME, UIDLIST_NO_RANK}}},
    {"/3 9 77\nname 20 7:77:1\nbad 7:77:0\nbad2 20 7\nbad3 20 :\n 1 1:1:0\nbad4 1 4294967296:1:0\n",
     {{"name", "UID7-77", UIDLIST_NO_RANK},
      {"bad", NULL, 0},
      {"bad2", NULL, 0},
      {"bad3", NULL, 0},
      {"bad4", NULL, 0}}},
};

static void check(const struct uidlist *list, const struct expectation *expected)
{
    const struct uidlist_entry *entry = uidlist_find(list, expected->name, strlen(expected->name));

    if (expected->unique_id == NULL) {
        assert_null(entry);
        return;
    }
    assert_non_null(entry);
    assert_int_equal(entry->rank, expected->rank);
    if (expected->unique_id[0] == '\0')
        assert_null(entry->unique_id);
    else
        assert_string_equal(entry->unique_id, expected->unique_id);
}

static void lists_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        char *text = xstrdup(lists[i].text);
        struct uidlist *list = uidlist_parse(text, strlen(text));
        assert_non_null(list);
        free(text);
        for (int k = 0; k < 6 && lists[i].expectations[k].name != NULL; k++)
            check(list, &lists[i].expectations[k]);
        uidlist_free(list);
    }
}

static const char *const no_lists[] = {
    "",          "\n",     "3\n",       "3 N5\n",    "3 V-1\n",      "3 V4294967296\n",
    "2 V1 N2\n", "4 V1\n", "/1 9 77\n", "/4 9 77\n", "a 20\nb 30\n", "1 x 5\n",
    "3 V1",      " \n"};

static void what_is_not_known_is_no_list(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(no_lists) / sizeof(no_lists[0]); i++) {
        char *text = xstrdup(no_lists[i]);
        assert_null(uidlist_parse(text, strlen(text)));
        free(text);
    }
}

static void nul_and_endless_lines_are_left_out(void **state)
{
    static const char head[] = "3 V1\n1 :a\0b\n2 :c\n3 :";
    size_t length = sizeof(head) - 1 + 1000000 + 6;
    char *text = xmalloc(length);
    (void)state;

    memcpy(text, head, sizeof(head) - 1);
    memset(text + sizeof(head) - 1, 'x', 1000000);
    memcpy(text + length - 6, "\n4 :d\n", 6);
    struct uidlist *list = uidlist_parse(text, length);
    assert_non_null(list);
    check(list, &(struct expectation){"a", NULL, 0});
    check(list, &(struct expectation){"c", "0000000200000001", UID_RANK(2)});
    check(list, &(struct expectation){"d", "0000000400000001", UID_RANK(4)});
    uidlist_free(list);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_read),
        cmocka_unit_test(what_is_not_known_is_no_list),
        cmocka_unit_test(nul_and_endless_lines_are_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
