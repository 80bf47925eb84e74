#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/csv.h"

#define FIELDS  "0,1,2,3,4,5,6,7,8,9,a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v"
#define SHOWN   "0|1|2|3|4|5|6|7|8|9|a|b|c|d|e|f|g|h|i|j|k|l|m|n|o|p|q|r|s|t|u|v"
#define TEN     "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define MOST    300

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
    {FIELDS "\n", "1:" SHOWN ";"},
    {FIELDS ",g\nh\n", "1!2:h;"},
    /* The first line tells the separator. */
    {"a;b\nc,d;e\n", "1:a|b;2:c,d|e;"},
    {"a,b;c\nd;e,f\n", "1:a|b;c;2:d;e|f;"},
    {"\"a,b\";c\nd,e;f\n", "1:a,b|c;2:d,e|f;"},
    {"a\tb\nc,d\te;f\n", "1:a|b;2:c,d|e;f;"},
    {"a\nb;c,d\n", "1:a;2:b;c|d;"},
    /* What only begins like a byte order mark is text, for somebody else to refuse. */
    {"\xef\xbb,b\n", "1:\xef\xbb|b;"},
    {"\xef\xbb\xbf\"a\",b\n", "1:a|b;"},
    {"a,\xef\xbb\xbf\n", "1:a|\xef\xbb\xbf;"},
    {"\xef", ""},
    /* One row has 300 octets at most here, and one that is longer is read on to its end. */
    {HUNDRED HUNDRED "\n", "1:" HUNDRED HUNDRED ";"},
    {"\"" HUNDRED HUNDRED HUNDRED "\n" HUNDRED "\",b\nc", "1!3:c;"},
    {HUNDRED HUNDRED HUNDRED HUNDRED "\nc", "1!2:c;"},
};

static void show(char *shown, size_t size, int got, const struct csv_row *row, const char *error)
{
    if (got < 0) {
        assert_non_null(error);
        snprintf(shown + strlen(shown), size - strlen(shown), "%u!", row->line);
        return;
    }
    snprintf(shown + strlen(shown), size - strlen(shown), "%u:", row->line);
    for (size_t i = 0; i < row->count; i++) {
        assert_int_equal(strlen(row->fields[i].text), row->fields[i].length);
        snprintf(shown + strlen(shown), size - strlen(shown), "%s%s", row->fields[i].text,
                 i + 1 < row->count ? "|" : ";");
    }
}

/* Pieces have memory of exactly their size, so that AddressSanitizer sees a slip. */
static void read_piece(struct csv *csv, const char *input, size_t length, char *shown, size_t size)
{
    struct csv_row row;
    const char *error = NULL;
    int got;

    char *copy = malloc(length);
    memcpy(copy, input, length);
    const char *at = copy;
    while ((got = csv_next(csv, &at, &length, &row, &error)) != 0)
        show(shown, size, got, &row, error);
    assert_int_equal(length, 0);
    free(copy);
}

static void read_table(const char *input, size_t length, size_t piece, char *shown, size_t size)
{
    struct csv *csv = csv_new(MOST);
    struct csv_row row;
    const char *error = NULL;

    shown[0] = '\0';
    for (size_t at = 0; at < length; at += piece)
        read_piece(csv, input + at, piece < length - at ? piece : length - at, shown, size);
    int got = csv_end(csv, &row, &error);
    if (got != 0)
        show(shown, size, got, &row, error);
    csv_free(csv);
}

static void test_tables(void **state)
{
    char shown[512];

    (void)state;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        for (size_t piece = 1; piece < 8; piece++) {
            read_table(tables[i].input, strlen(tables[i].input), piece, shown, sizeof(shown));
            assert_string_equal(shown, tables[i].rows);
        }
    }
}

static void test_nul(void **state)
{
    char shown[512];

    (void)state;
    read_table("a,b\0c\nd\n", 8, 8, shown, sizeof(shown));
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
