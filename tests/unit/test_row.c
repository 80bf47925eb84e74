#include <inttypes.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/row.h"

/*
 * A row is shown as NUMBER@LINE, what it says, and "!COLUMN:CODE" for each mistake; an upload that
 * ends in nonsense as "X@LINE" with them.
 */
struct upload {
    enum row_format format;
    const char *input;
    const char *rows;
};

#define UTF8_MARK "\xef\xbb\xbf"

static const struct upload uploads[] = {
    {ROW_CSV, "address\na@x.example\n", "1@2 a@x.example\n"},
    {ROW_CSV, "address,name\r\na@x.example,\"Anna\r\nB\"\r\nb@x.example,\r\n",
     "1@2 a@x.example name=Anna\r\nB\n2@4 b@x.example\n"},
    {ROW_CSV, UTF8_MARK "Name;ADDRESS\r\nZo\xc3\xab;Zoe@X.example\r\n",
     "1@2 zoe@x.example name=Zo\xc3\xab\n"},
    {ROW_CSV,
     "address,quota_bytes,language,pop3,smtp,invite,generate,customer\n"
     "a@x.example,1073741824,de,TRUE,FALSE,VRAI,,17\n"
     "b@x.example,,,FALSCH,wahr,non,Ja,\n",
     "1@2 a@x.example quota=1073741824 language=de -smtp invite customer=17\n"
     "2@3 b@x.example -pop3 generate\n"},
    {ROW_CSV,
     "address,targets\n"
     "all@x.example,\"a@x.example, b@x.example;c@x.example\n\"\"d e\"\"@x.example\"\n",
     "1@2 all@x.example >a@x.example >b@x.example >c@x.example >\"d e\"@x.example\n"},
    {ROW_CSV, "address,hash,password\na@x.example,,12345678\nb@x.example,{PLAIN}secret,\n",
     "1@2 a@x.example password=12345678\n2@3 b@x.example !hash:hash\n"},
    {ROW_CSV, "address,hash,password,invite\na@x.example,,1234567,yes\n",
     "1@2 a@x.example !password:password !invite:both\n"},
    {ROW_CSV, "address,password,invite\na@x.example,12345678,yes\n",
     "1@2 a@x.example password=12345678 !invite:both\n"},
    /* What spreadsheets add and leave out. */
    {ROW_CSV, "address;name;;\na@x.example;A;;\n;;;\n\nb@x.example\nc@x.example;;;;;\n",
     "1@2 a@x.example name=A\n2@5 b@x.example\n3@6 c@x.example\n"},
    {ROW_CSV, "address\tname\na@x.example\tA, B; C\n", "1@2 a@x.example name=A, B; C\n"},
    {ROW_CSV, " address ,\tname, password\n a@x.example , A B\t, 12345678 \n , \n",
     "1@2 a@x.example name=A B password= 12345678 \n"},
    {ROW_CSV, "address,\na@x.example,A\nb@x.example,,B\n",
     "1@2 a@x.example !:fields\n2@3 b@x.example !:fields\n"},
    /* Mistakes. */
    {ROW_CSV, "", "X@1 !:empty\n"},
    {ROW_CSV, "\n\n", "X@1 !:empty\n"},
    {ROW_CSV, "name\nA\n", "X@1 !address:missing\n"},
    {ROW_CSV, "\naddress,name,Address\nA\n", "X@2 !address:twice\n"},
    {ROW_CSV, "address,nickname,secret\n", "X@1 !nickname:unknown\n"},
    {ROW_CSV, "a@x.example,12345678\n", "X@1 !:unknown\n"},
    {ROW_CSV, "address,\"na\nme\n", "X@1 !:csv\n"},
    {ROW_CSV,
     "\xff\xfe"
     "a\0d\0",
     "X@1 !:unknown\n"},
    {ROW_CSV,
     "address,name,language,quota_bytes,pop3\n"
     "nobody,A,xx,1e9,maybe\n,A\na@x.example,\"B\"C\nb@x.example,Ren\xe9\nc@x.example,,,0\n"
     "d@x.example,,,-1\n",
     "1@2 name=A !address:address !language:word !quota_bytes:number !pop3:flag\n"
     "2@3 name=A !address:missing\n"
     "3@4 !:csv\n"
     "4@5 b@x.example !name:utf-8\n"
     "5@6 c@x.example !quota_bytes:number\n"
     "6@7 d@x.example !quota_bytes:number\n"},
    {ROW_CSV,
     "address,targets,name,pop3\na@x.example,b@x.example,A,yes\nb@x.example,\", ;\"\n"
     "c@x.example,b@x.example b,\n",
     "1@2 a@x.example >b@x.example name=A !name:both !pop3:both\n"
     "2@3 b@x.example !targets:missing\n"
     "3@4 c@x.example >b@x.example !targets:address\n"},

    {ROW_JSON, "[]", ""},
    {ROW_JSON, UTF8_MARK " [ ] \n", ""},
    {ROW_JSON, "[{\"address\":\"a@x.example\"}]", "1@1 a@x.example\n"},
    {ROW_JSON,
     "[\n {\"address\": \"a@x.example\", \"name\": \"[\\\"{\\\\\", \"quota_bytes\": 5,\n"
     "  \"language\": \"fr\", \"pop3\": false, \"smtp\": true, \"invite\": true},\n"
     " {\"targets\": [\"a@x.example\"], \"address\": \"b@x.example\", \"name\": null}\n]\n",
     "1@2 a@x.example name=[\"{\\ quota=5 language=fr -pop3 invite\n"
     "2@4 b@x.example >a@x.example\n"},
    {ROW_JSON,
     "[{\"address\":1,\"name\":[],\"quota_bytes\":1.5,\"pop3\":\"yes\",\"targets\":\"a\"},"
     "{\"address\":\"a@x.example\",\"targets\":[1]},{\"address\":\"a@x.example\",\"targets\":[]},"
     "{\"nick name\":1,\"\":2},{\"address\":\"a@x.example\",\"generate\":false}]",
     "1@1 !address:type !name:type !quota_bytes:number !pop3:type !targets:type\n"
     "2@1 a@x.example !targets:type\n"
     "3@1 a@x.example !targets:missing\n"
     "4@1 !nick name:unknown !:unknown !address:missing\n"
     "5@1 a@x.example\n"},
    {ROW_JSON, "[{\"address\":\"a@x.example\",\"address\":\"b@x.example\"},{},{\"a\"}]",
     "1@1 !:json\n2@1 !address:missing\n3@1 !:json\n"},
    {ROW_JSON, "[{\"address\":\"a@x.example\",\"name\":\"\\u0000\"}]", "1@1 !:json\n"},
    {ROW_JSON, "[{\"a\":[[[[[[[[1]]]]]]]]},{\"address\":\"a@x.example\"}]",
     "1@1 !:json\n2@1 a@x.example\n"},
    {ROW_JSON, "", "X@1 !:json\n"},
    {ROW_JSON, "{\"addresses\":[]}", "X@1 !:json\n"},
    {ROW_JSON, "\n[{}", "1@2 !address:missing\nX@2 !:json\n"},
    {ROW_JSON, "[{},]", "1@1 !address:missing\nX@1 !:json\n"},
    {ROW_JSON, "[{}{}]", "1@1 !address:missing\nX@1 !:json\n"},
    {ROW_JSON, "[,{}]", "X@1 !:json\n"},
    {ROW_JSON, "[\"a@x.example\"]", "X@1 !:json\n"},
    {ROW_JSON, "[]]", "X@1 !:json\n"},
    {ROW_JSON, "[] []", "X@1 !:json\n"},
    {ROW_JSON, "\xef[]", "X@1 !:json\n"},

    {ROW_NDJSON, "", ""},
    {ROW_NDJSON, UTF8_MARK "{\"address\":\"a@x.example\"}\r\n\r\n {\"address\":\"b@x.example\"}",
     "1@1 a@x.example\n2@3 b@x.example\n"},
    {ROW_NDJSON, "{\n{\"address\":\"b@x.example\"}\n[]\n",
     "1@1 !:json\n2@2 b@x.example\n3@3 !:json\n"},
    {ROW_NDJSON, "{} {}\n", "1@1 !:json\n"},
};

#define SHOWN 4096

static void add(char shown[SHOWN], const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(char shown[SHOWN], const char *format, ...)
{
    size_t length = strlen(shown);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(shown + length, SHOWN - length, format, arguments);
    va_end(arguments);
}

static void show_login(char shown[SHOWN], const struct row *row)
{
    switch (row->login) {
    case ROW_LOGIN_INVITE: add(shown, " invite"); break;
    case ROW_LOGIN_GENERATE: add(shown, " generate"); break;
    case ROW_LOGIN_PASSWORD:
        if (row->password.length > 0)
            add(shown, " password=%s", row->password.text);
        break;
    default: break;
    }
}

static void show(char shown[SHOWN], const struct row *row)
{
    if (row->address.text[0] != '\0')
        add(shown, " %s", row->address.text);
    for (unsigned i = 0; i < row->target_count; i++)
        add(shown, " >%s", row->targets[i].text);
    if (row->name[0] != '\0')
        add(shown, " name=%s", row->name);
    if (row->quota_bytes != 0)
        add(shown, " quota=%" PRIu64, row->quota_bytes);
    if ((row->given & ROW_BIT(LANGUAGE)) != 0 && row->error_count == 0)
        add(shown, " language=%s", language_code(row->language));
    add(shown, "%s%s", row->pop3 ? "" : " -pop3", row->smtp ? "" : " -smtp");
    show_login(shown, row);
    if (row->customer != 0)
        add(shown, " customer=%" PRIu64, row->customer);
}

static void show_errors(char shown[SHOWN], const struct row *row)
{
    for (unsigned i = 0; i < row->error_count; i++) {
        add(shown, " !%s:%s", row->errors[i].column, row->errors[i].code);
        assert_true(row->errors[i].reason[0] != '\0');
        assert_null(strstr(row->errors[i].reason, "secret"));
        assert_null(strstr(row->errors[i].reason, "1234567"));
    }
    add(shown, "\n");
}

/* Whether what was fed has been read and more is wanted. */
static bool read_rows(struct row_reader *reader, char shown[SHOWN])
{
    struct row *row;

    for (;;)
        switch (row_reader_next(reader, &row)) {
        case ROWS_ROW:
            add(shown, "%u@%u", row->number, row->line);
            show(shown, row);
            show_errors(shown, row);
            break;
        case ROWS_BROKEN:
            add(shown, "X@%u", row->line);
            show_errors(shown, row);
            assert_int_equal(row->number, 0);
            assert_int_equal(row_reader_next(reader, &row), ROWS_BROKEN);
            return false;
        case ROWS_MORE: return true;
        case ROWS_END: return false;
        }
}

/* Pieces have memory of exactly their size, so that AddressSanitizer sees a slip. */
static void read_upload(const struct upload *upload, size_t length, size_t piece, char shown[SHOWN])
{
    struct row_reader *reader = row_reader_new(upload->format, ROW_ALL);
    bool more = true;

    shown[0] = '\0';
    for (size_t at = 0; at < length && more; at += piece) {
        size_t part = piece < length - at ? piece : length - at;
        char *copy = malloc(part);
        memcpy(copy, upload->input + at, part);
        row_reader_feed(reader, copy, part);
        more = read_rows(reader, shown);
        free(copy);
    }
    row_reader_feed(reader, NULL, 0);
    row_reader_end(reader);
    if (more)
        assert_false(read_rows(reader, shown));
    row_reader_free(reader);
}

static void test_uploads(void **state)
{
    static const size_t pieces[] = {1, 2, 7, 4096};
    char shown[SHOWN];

    (void)state;
    for (size_t i = 0; i < sizeof(uploads) / sizeof(uploads[0]); i++)
        for (size_t j = 0; j < sizeof(pieces) / sizeof(pieces[0]); j++) {
            read_upload(&uploads[i], strlen(uploads[i].input), pieces[j], shown);
            assert_string_equal(shown, uploads[i].rows);
        }
}

/* Rows of `length` octets of name each, `count` of them; how many are good, and how it ends. */
static unsigned count_rows(enum row_format format, unsigned count, size_t length, enum rows *end_r)
{
    struct row_reader *reader = row_reader_new(format, ROW_ALL);
    char *name = malloc(length + 1);
    char *text = malloc(length + 100);
    unsigned good = 0;
    struct row *row;

    memset(name, 'x', length);
    name[length] = '\0';
    *end_r = ROWS_MORE;
    for (unsigned i = 0; i < count && *end_r == ROWS_MORE; i++) {
        int part = format == ROW_CSV
                       ? snprintf(text, length + 100, "%sa%u@x.example,%s\n",
                                  i == 0 ? "address,name\n" : "", i, name)
                       : snprintf(text, length + 100,
                                  "%s{\"address\":\"a%u@x.example\",\"name\":\"%s\"}%s\n",
                                  format == ROW_JSON && i == 0 ? "[" : "", i, name,
                                  format == ROW_NDJSON ? ""
                                  : i + 1 < count      ? ","
                                                       : "]");
        row_reader_feed(reader, text, (size_t)part);
        while ((*end_r = row_reader_next(reader, &row)) == ROWS_ROW)
            good += row->error_count == 0;
    }
    row_reader_end(reader);
    if (*end_r == ROWS_MORE)
        while ((*end_r = row_reader_next(reader, &row)) == ROWS_ROW)
            good += row->error_count == 0;
    free(name);
    free(text);
    row_reader_free(reader);
    return good;
}

static void test_bounds(void **state)
{
    enum rows end;

    (void)state;
    for (int format = ROW_CSV; format <= ROW_NDJSON; format++) {
        assert_int_equal(count_rows((enum row_format)format, ROWS_MAX, 10, &end), ROWS_MAX);
        assert_int_equal(end, ROWS_END);
        assert_int_equal(count_rows((enum row_format)format, ROWS_MAX + 1, 10, &end), ROWS_MAX);
        assert_int_equal(end, ROWS_BROKEN);
        assert_int_equal(count_rows((enum row_format)format, 2, ROW_NAME_MAX, &end), 2);
        assert_int_equal(end, ROWS_END);
        assert_int_equal(count_rows((enum row_format)format, 2, 2 * ROW_OCTETS_MAX, &end), 0);
        assert_int_equal(end, ROWS_END);
    }
}

/* Not only where: what is JSON to others need not be to us. */
static void test_what_is_wrong_with_json(void **state)
{
    static const struct {
        const char *text;
        const char *reason;
    } rows[] = {
        {"{\"name\":\"a\",\"name\":\"b\"}", "a member is there twice, from its character"},
        {"{\"quota_bytes\":9223372036854775808}", "a number is too large, from its character"},
        {"{\"name\":\"a\\u0000\"}", "it has \\u0000, which nothing can hold, from its character"},
        {"{\"name\":\"\xff\"}", "it is not UTF-8, from its character"},
        {"{\"name\":}", "it is no object of JSON, from its character"},
        {"[]", "it is no object of JSON, from its character"},
    };
    struct row *row;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct row_reader *reader = row_reader_new(ROW_NDJSON, ROW_ALL);
        row_reader_feed(reader, rows[i].text, strlen(rows[i].text));
        row_reader_end(reader);
        assert_int_equal(row_reader_next(reader, &row), ROWS_ROW);
        assert_int_equal(row->error_count, 1);
        if (strncmp(row->errors[0].reason, rows[i].reason, strlen(rows[i].reason)) != 0)
            fail_msg("%s", row->errors[0].reason);
        row_reader_free(reader);
    }
}

static void test_columns_that_may_not_be_named(void **state)
{
    struct row row = {0};
    struct address targets[ROW_TARGETS_MAX];
    json_t *object =
        json_pack("{ss ss si}", "address", "a@x.example", "password", "12345678", "customer", 3);

    (void)state;
    row_read_object(&row, targets, ROW_ALL & ~(ROW_BIT(CUSTOMER) | ROW_BIT(PASSWORD)), object);
    assert_int_equal(row.error_count, 2);
    assert_string_equal(row.errors[1].column, "customer");
    assert_string_equal(row.errors[1].reason,
                        "there is no \"customer\"; there are: address, name, targets, quota_bytes, "
                        "language, pop3, smtp, invite, generate, hash");
    json_decref(object);
}

#define TEN "0123456789"
#define TEXT                                                                                       \
    TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

/* And so is their text, which stays UTF-8. */
static void test_errors_are_bounded(void **state)
{
    struct row row = {0};
    char column[16];

    (void)state;
    for (unsigned i = 0; i < 2 * ROW_ERRORS_MAX; i++) {
        snprintf(column, sizeof(column), "%u", i);
        row_wrong(&row, column, "code", "reason %u", i);
        row_wrong(&row, column, "other", "another one");
    }
    assert_int_equal(row.error_count, ROW_ERRORS_MAX);
    assert_string_equal(row.errors[ROW_ERRORS_MAX - 1].reason, "reason 15");
    row.error_count = 0;
    row_wrong(&row, "cut", "code", "%.*s\xc3\xab", ROW_REASON_SIZE - 2, TEXT);
    assert_int_equal(strlen(row.errors[0].reason), ROW_REASON_SIZE - 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uploads),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_what_is_wrong_with_json),
        cmocka_unit_test(test_columns_that_may_not_be_named),
        cmocka_unit_test(test_errors_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
