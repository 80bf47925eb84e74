/* The texts of warnings: the built-in ones are sound, and every mistake of an editor is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lib/notice.h"
#include "lib/xalloc.h"

static void the_built_in_texts_are_sound(void **state)
{
    static const char *const names[] = {"{address}", "{percent}",  "{used}",
                                        "{quota}",   "{messages}", "{message_quota}"};
    (void)state;

    for (unsigned i = 0; i < LANGUAGE__MAX; i++) {
        const char *text = notice_builtin((enum language)i);
        struct notice notice;
        enum language again;
        char error[256] = "";
        if (notice_parse(&notice, text, strlen(text), error, sizeof(error)) < 0)
            fail_msg("%s: %s", language_code((enum language)i), error);
        for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
            assert_non_null(strstr(notice.body, names[k]));
        assert_int_equal(language_parse(language_code((enum language)i), &again), 0);
        assert_int_equal(again, i);
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(text, notice_builtin((enum language)k));
    }
}

static const struct {
    const char *text;
    const char *error; /* a part of it; NULL: it is taken */
} texts[] = {
    {"Subject: full\n\nIt is full.\n", NULL},
    {"subject:full\r\nIt is full.", NULL},
    {"\xef\xbb\xbfSubject: full\n\nIt is full.\n", NULL},
    {"Subject: {percent}\n\n{address} {used} {quota} {messages} {message_quota}\n", NULL},
    {"", "line 1"},
    {"It is full.\n", "line 1"},
    {"Subject:  \n\nIt is full.\n", "line 1"},
    {"\nSubject: full\n\nIt is full.\n", "line 1"},
    {"Subject: full\n", "no message"},
    {"Subject: full\n \n\n", "no message"},
    {"Subject: full\n\nAt {adress}\n", "line 3"},
    {"Subject: {Percent}\n\nFull\n", "line 1"},
    {"Subject: full\n\n{\n", "line 3"},
    {"Subject: full\n\nF\xfcll\n", "UTF-8"},
    {"Subject: full\n\nbell\a\n", "line 3"},
    {"Subject: full\rBcc: x\n\nfull\n", "control character"},
};

static void mistakes_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct notice notice;
        char error[256] = "";
        int result =
            notice_parse(&notice, texts[i].text, strlen(texts[i].text), error, sizeof(error));
        assert_int_equal(result, texts[i].error == NULL ? 0 : -1);
        if (texts[i].error != NULL && strstr(error, texts[i].error) == NULL)
            fail_msg("\"%s\" is not in: %s", texts[i].error, error);
    }
}

static void a_text_has_bounds(void **state)
{
    char *text = xmalloc(NOTICE_TEXT_MAX + 1);
    struct notice notice;
    char error[256];
    (void)state;

    memset(text, 'x', NOTICE_TEXT_MAX + 1);
    memcpy(text, "Subject: a\n", 11);
    assert_int_equal(notice_parse(&notice, text, NOTICE_TEXT_MAX, error, sizeof(error)), 0);
    assert_int_equal(notice_parse(&notice, text, NOTICE_TEXT_MAX + 1, error, sizeof(error)), -1);
    memset(text, 'x', 300);
    memcpy(text, "Subject: ", 9);
    text[300] = '\n';
    assert_int_equal(notice_parse(&notice, text, 400, error, sizeof(error)), -1);
    free(text);
}

static void placeholders_are_filled_in(void **state)
{
    static const char *const values[NOTICE_VALUES] = {"a@b.example", "81", "8 MB",
                                                      "10 MB",       "7",  "9"};
    static const char text[] =
        "{address}{percent}% {used}/{quota}, {messages}{message_quota}{messages} }";
    char *filled;
    size_t length;
    (void)state;

    FILE *file = open_memstream(&filled, &length);
    notice_write(text, strlen(text), values, file);
    fclose(file);
    assert_string_equal(filled, "a@b.example81% 8 MB/10 MB, 797 }");
    free(filled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_built_in_texts_are_sound),
        cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(a_text_has_bounds),
        cmocka_unit_test(placeholders_are_filled_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
