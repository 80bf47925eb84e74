#include "tests/unit/db_fixture.h"

#include "db/image.h"

static char error[512];

static struct db_image take(const char *path)
{
    struct db_image image = {0};

    struct db_snapshot *snapshot = db_snapshot_open(path, error, sizeof(error));
    assert_non_null(snapshot);
    assert_int_equal(db_snapshot_read(snapshot, &image, error, sizeof(error)), 0);
    db_snapshot_close(snapshot);
    return image;
}

static bool has_customer(struct db *db, const char *name)
{
    struct db_customer customer;

    return db_customer_find(db, name, &customer) == DB_OK;
}

/* What is written between the moment of the snapshot and its reading is not in it. */
static void test_the_image_is_of_one_moment(void **state)
{
    struct fixture *fixture = *state;
    struct db_image image;
    unsigned from;

    struct db_snapshot *snapshot = db_snapshot_open(fixture->path, error, sizeof(error));
    assert_non_null(snapshot);
    assert_int_equal(db_customer_add(fixture->db, "later", "house", &(uint64_t){0}), DB_OK);
    assert_int_equal(db_snapshot_read(snapshot, &image, error, sizeof(error)), 0);
    db_snapshot_close(snapshot);
    assert_int_equal(db_image_check(&image, error, sizeof(error)), 0);

    assert_int_equal(db_schema_apply("other.db", &from, error, sizeof(error)), 0);
    assert_int_equal(db_image_restore(&image, "other.db", error, sizeof(error)), 0);
    struct db *other = db_open("other.db", DB_WRITE, error, sizeof(error));
    assert_non_null(other);
    assert_true(has_customer(other, "ours"));
    assert_true(has_customer(other, "theirs"));
    assert_false(has_customer(other, "later"));
    db_close(other);
    db_image_free(&image);
}

static void test_what_is_no_account_database_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct db_image image = take(fixture->path);

    size_t length = image.length;
    image.length = 50;
    assert_int_equal(db_image_check(&image, error, sizeof(error)), -1);
    image.length = length / 2 / 4096 * 4096;
    assert_int_equal(db_image_check(&image, error, sizeof(error)), -1);
    image.length = length;
    image.octets[60 + 3]++; /* user_version */
    assert_int_equal(db_image_check(&image, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "install a Bellhop"));
    image.octets[60 + 3]--;
    assert_int_equal(db_image_check(&image, error, sizeof(error)), 0);
    image.octets[68]++; /* application_id */
    assert_int_equal(db_image_check(&image, error, sizeof(error)), -1);
    db_image_free(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(test_the_image_is_of_one_moment),
        fixture_test(test_what_is_no_account_database_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
