#include "tests/unit/db_fixture.h"

#include "db/alias.h"
#include "db/plan.h"
#include "db/rowcheck.h"

/*
 * Uploads as tables, and what is wrong with their rows: "NUMBER:COLUMN:CODE " of each. There are
 * there@ours.example, whose mailbox all@ours.example leads to, and there@theirs.example.
 */
static const struct upload {
    const char *domain; /* of the key; empty: all of the customer's */
    bool everything;    /* all customers' */
    const char *rows;
    const char *errors;
} uploads[] = {
    {"", false, "address,name\na@ours.example,A\nb@ours.example,B\n", ""},
    {"", false, "address\nthere@ours.example\nall@ours.example\n",
     "1:address:taken 2:address:taken "},
    {"", false, "address\na@ours.example\nA@OURS.example\na@ours.example\n",
     "2:address:twice 3:address:twice "},
    /* A domain of somebody else, and what it has, is as one that nobody has. */
    {"", false,
     "address\na@theirs.example\nthere@theirs.example\nall@theirs.example\na@nosuch.example\n",
     "1:address:no-domain 2:address:no-domain 3:address:no-domain 4:address:no-domain "},
    {"", true,
     "address\na@theirs.example\na@ours.example\nthere@theirs.example\na@nosuch.example\n",
     "3:address:taken 4:address:no-domain "},
    {"second.example", false, "address\na@ours.example\na@second.example\n",
     "1:address:no-domain "},
    {"", true, "address,customer\na@ours.example,1\nb@ours.example,2\na@theirs.example,2\n",
     "2:customer:customer "},
    {"", false, "address,name\na@ours.example,x\x7fy\nb,A\n", "1:name:text 2:address:address "},
    {"", false, "address,quota_bytes\na@ours.example,5368709120\nb@ours.example,5368709121\n",
     "2:quota_bytes:limit "},
    /* Targets are there, or come in any row of the upload. */
    {"", false,
     "address,targets\nx@ours.example,there@ours.example\ny@ours.example,late@second.example\n"
     "late@second.example,\n",
     ""},
    {"", false,
     "address,targets\nx@ours.example,nobody@ours.example\ny@ours.example,there@theirs.example\n"
     "z@ours.example,all@ours.example\nzz@ours.example,x@ours.example\n",
     "1:targets:no-mailbox 2:targets:no-mailbox 3:targets:no-mailbox 4:targets:no-mailbox "},
    {"", true, "address,targets\nx@ours.example,new@theirs.example\nnew@theirs.example,\n",
     "1:targets:no-mailbox "},
    {"", false, "address,targets,name\nx@ours.example,bad@ours.example,\nbad@ours.example,,b\x7f\n",
     "1:targets:no-mailbox 2:name:text "},
};

#define SHOWN 4096

static void show(char shown[SHOWN], const struct row *row)
{
    for (unsigned i = 0; i < row->error_count; i++)
        snprintf(shown + strlen(shown), SHOWN - strlen(shown), "%u:%s:%s ", row->number,
                 row->errors[i].column, row->errors[i].code);
}

static bool next(struct row_reader *reader, struct row **row_r)
{
    enum rows result = row_reader_next(reader, row_r);

    assert_true(result == ROWS_ROW || result == ROWS_END);
    return result == ROWS_ROW;
}

static struct row_reader *open_rows(const char *text)
{
    struct row_reader *reader = row_reader_new(ROW_CSV, ROW_ALL);

    row_reader_feed(reader, text, strlen(text));
    row_reader_end(reader);
    return reader;
}

/* Rows are read twice; the errors are shown in the order of the rows all the same. */
static void check_rows(struct rowcheck *check, const char *text, char shown[SHOWN])
{
    static char errors[64][SHOWN];
    struct row_reader *reader = open_rows(text);
    unsigned count = 0;
    struct row *row;

    memset(errors, 0, sizeof(errors));
    while (next(reader, &row)) {
        count = row->number;
        assert_int_equal(rowcheck_take(check, row), DB_OK);
        show(errors[row->number], row);
    }
    row_reader_free(reader);
    reader = open_rows(text);
    while (next(reader, &row)) {
        row->error_count = 0;
        assert_int_equal(rowcheck_targets(check, row), DB_OK);
        show(errors[row->number], row);
    }
    row_reader_free(reader);
    shown[0] = '\0';
    for (unsigned i = 1; i <= count; i++)
        snprintf(shown + strlen(shown), SHOWN - strlen(shown), "%s", errors[i]);
}

static void prepare(const struct fixture *fixture)
{
    const struct address alias = fixture_address("all@ours.example");
    const struct address target = fixture_address("there@ours.example");

    assert_int_equal(db_domain_add(fixture->db, fixture->ours, "second.example"), DB_OK);
    assert_int_equal(fixture_add(fixture->db, fixture->ours, target.text, NULL), DB_OK);
    assert_int_equal(fixture_add(fixture->db, fixture->theirs, "there@theirs.example", NULL),
                     DB_OK);
    assert_int_equal(db_alias_add(fixture->db, fixture->ours, &alias, &target, 1), DB_OK);
}

static void test_uploads(void **state)
{
    const struct fixture *fixture = *state;
    char shown[SHOWN];

    prepare(fixture);
    for (size_t i = 0; i < sizeof(uploads) / sizeof(uploads[0]); i++) {
        struct rowcheck *check =
            rowcheck_new(fixture->db, uploads[i].everything ? 0 : fixture->ours, uploads[i].domain);
        check_rows(check, uploads[i].rows, shown);
        assert_string_equal(shown, uploads[i].errors);
        rowcheck_free(check);
    }
}

/* Rows "aN@DOMAIN" from N on. */
static void take_many(struct rowcheck *check, const char *domain, unsigned from, unsigned count,
                      unsigned *wrong_r)
{
    struct row row;
    char text[64];

    *wrong_r = 0;
    for (unsigned i = 0; i < count; i++) {
        memset(&row, 0, sizeof(row));
        snprintf(text, sizeof(text), "a%u@%s", from + i, domain);
        row.number = from + i + 1;
        row.address = fixture_address(text);
        assert_int_equal(rowcheck_take(check, &row), DB_OK);
        *wrong_r += row.error_count > 0;
        if (row.error_count > 0)
            assert_string_equal(row.errors[0].code, "limit");
    }
}

/* A plan's number is that of each customer, with what is there; bad rows take no room. */
static void test_plans(void **state)
{
    const struct fixture *fixture = *state;
    struct rowcheck *check = rowcheck_new(fixture->db, 0, "");
    unsigned wrong;

    prepare(fixture);
    take_many(check, "ours.example", 0, 20, &wrong);
    assert_int_equal(wrong, 0);
    take_many(check, "theirs.example", 100, 24, &wrong);
    assert_int_equal(wrong, 0);
    take_many(check, "second.example", 200, 10, &wrong);
    assert_int_equal(wrong, 7);
    take_many(check, "theirs.example", 300, 3, &wrong);
    assert_int_equal(wrong, 3);
    rowcheck_free(check);

    assert_int_equal(db_customer_set_plan(fixture->db, fixture->ours, "single", DB_OVERPLAN_KEEP),
                     DB_OK);
    check = rowcheck_new(fixture->db, fixture->ours, "");
    take_many(check, "ours.example", 0, 1, &wrong);
    assert_int_equal(wrong, 1);
    rowcheck_free(check);
}

/* Where there is room for 23, it goes to mailboxes first, and an alias that leads nowhere takes
 * none. */
static void test_room_for_aliases(void **state)
{
    static const struct {
        unsigned mailboxes;
        const char *errors;
    } cases[] = {
        {21, "1:targets:no-mailbox "},
        {22, "1:targets:no-mailbox 3::limit "},
        {23, "1:targets:no-mailbox 2::limit 3::limit "},
        {24, "1:targets:no-mailbox 2::limit 3::limit 27::limit "},
    };
    const struct fixture *fixture = *state;
    char text[2048], shown[SHOWN];

    prepare(fixture);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rowcheck *check = rowcheck_new(fixture->db, 0, "");
        int length =
            snprintf(text, sizeof(text),
                     "address,targets\nx@ours.example,nobody@ours.example\n"
                     "y@ours.example,a1@ours.example\nz@ours.example,there@ours.example\n");
        for (unsigned j = 1; j <= cases[i].mailboxes; j++)
            length +=
                snprintf(text + length, sizeof(text) - (size_t)length, "a%u@ours.example,\n", j);
        check_rows(check, text, shown);
        assert_string_equal(shown, cases[i].errors);
        rowcheck_free(check);
    }
}

/* The set of addresses grows, and forgets none. */
static void test_many(void **state)
{
    const struct fixture *fixture = *state;
    struct rowcheck *check = rowcheck_new(fixture->db, 0, "");
    struct row row;
    char text[64];

    for (unsigned i = 0; i < 10000; i++) {
        memset(&row, 0, sizeof(row));
        snprintf(text, sizeof(text), "a%u@nosuch.example", i % 5000);
        row.number = i + 1;
        row.address = fixture_address(text);
        assert_int_equal(rowcheck_take(check, &row), DB_OK);
        assert_string_equal(row.errors[0].code, "no-domain");
        snprintf(text, sizeof(text), "a%u@ours.example", i % 5000);
        row.address = fixture_address(text);
        row.error_count = 0;
        assert_int_equal(rowcheck_take(check, &row), DB_OK);
        bool twice = row.error_count > 0 && strcmp(row.errors[0].code, "twice") == 0;
        assert_int_equal(twice, i >= 5000);
    }
    rowcheck_free(check);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(test_uploads),
        fixture_test(test_plans),
        fixture_test(test_room_for_aliases),
        fixture_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
