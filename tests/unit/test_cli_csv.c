#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/csv.h"

/* Rows are shown as "LINE:field|field;"; one that is wrong as "LINE!". */
struct table {
    const char *input;
    const char *rows;
};

static const struct table tables[] = {
    {"", ""},
    {"\r\n\n", ""},
    {"a,b", "1:a|b;"},
    {"a,b\n", "1:a|b;"},
    {"a,b\r\nc,d\r\n", "1:a|b;2:c|d;"},
    {"a,b\r\n\r\n\nc,d", "1:a|b;4:c|d;"},
    {"\xef\xbb\xbf"
     "a,b\n",
     "1:a|b;"},
    {",\n", "1:|;"},
    {"a,", "1:a|;"},
    {" a , b ", "1: a | b ;"},
    {"\"a\",\"b\"\r\n", "1:a|b;"},
    {"\"a\"\"b\",\"\"\n", "1:a\"b|;"},
    {"\"a,b\",c", "1:a,b|c;"},
    {"\"a\r\nb\",c\nd,e", "1:a\r\nb|c;3:d|e;"},
    {"\"\"\"\"", "1:\";"},
    {"a\rb,c\n", "1:a\rb|c;"},
    {"a,b\r", "1:a|b;"},
    {"a\"b\nc", "1!2:c;"},
    {"\"a\"b,c\nd", "1!2:d;"},
    {"\"a\" ,c\nd", "1!2:d;"},
    {"a,\"b\nc,d\n", "1!"},
    {"\"", "1!"},
    {"\"a\"\"", "1!"},
    {"0,1,2,3,4,5,6,7,8,9,a,b,c,d,e,f\n", "1:0|1|2|3|4|5|6|7|8|9|a|b|c|d|e|f;"},
    {"0,1,2,3,4,5,6,7,8,9,a,b,c,d,e,f,g\nh\n", "1!2:h;"},
};

static void show(char *shown, size_t size, const struct csv_row *row)
{
    snprintf(shown + strlen(shown), size - strlen(shown), "%u:", row->line);
    for (size_t i = 0; i < row->count; i++) {
        assert_int_equal(strlen(row->fields[i].text), row->fields[i].length);
        snprintf(shown + strlen(shown), size - strlen(shown), "%s%s", row->fields[i].text,
                 i + 1 < row->count ? "|" : ";");
    }
}

/* Reads the whole table from memory of exactly its size, so that AddressSanitizer sees a slip. */
static void read_table(const char *input, size_t length, char *shown, size_t size)
{
    struct csv csv;
    struct csv_row row;
    const char *error = NULL;
    int got;

    char *copy = malloc(length + 1);
    memcpy(copy, input, length);
    shown[0] = '\0';
    csv_init(&csv, copy, length);
    while ((got = csv_next(&csv, &row, &error)) != 0) {
        if (got == 1) {
            show(shown, size, &row);
            continue;
        }
        assert_non_null(error);
        snprintf(shown + strlen(shown), size - strlen(shown), "%u!", row.line);
    }
    free(copy);
}

static void test_tables(void **state)
{
    char shown[512];

    (void)state;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        read_table(tables[i].input, strlen(tables[i].input), shown, sizeof(shown));
        assert_string_equal(shown, tables[i].rows);
    }
}

static void test_nul(void **state)
{
    char shown[512];

    (void)state;
    read_table("a,b\0c\nd\n", 8, shown, sizeof(shown));
    assert_string_equal(shown, "1!2:d;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_nul),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
