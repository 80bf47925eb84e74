#include "tests/unit/db_fixture.h"

#include "db/mailboxlist.h"

static void lists_a_customers_mailboxes_or_all_in_parts(void **state)
{
    const struct fixture *fixture = *state;
    uint64_t ours[2], theirs, found[4];
    size_t count;
    assert_int_equal(db_mailbox_list(fixture->db, 0, 0, found, 4, &count), DB_NONE);
    assert_int_equal(count, 0);
    assert_int_equal(fixture_add(fixture->db, fixture->ours, "a@ours.example", &ours[0]), DB_OK);
    assert_int_equal(fixture_add(fixture->db, fixture->theirs, "a@theirs.example", &theirs), DB_OK);
    assert_int_equal(fixture_add(fixture->db, fixture->ours, "b@ours.example", &ours[1]), DB_OK);

    assert_int_equal(db_mailbox_list(fixture->db, fixture->ours, 0, found, 4, &count), DB_OK);
    assert_int_equal(count, 2);
    assert_memory_equal(found, ours, sizeof(ours));
    assert_int_equal(db_mailbox_list(fixture->db, fixture->theirs, 0, found, 4, &count), DB_OK);
    assert_int_equal(count, 1);
    assert_int_equal(found[0], theirs);
    assert_int_equal(db_mailbox_list(fixture->db, 999, 0, found, 4, &count), DB_NONE);

    assert_int_equal(db_mailbox_list(fixture->db, 0, 0, found, 2, &count), DB_OK);
    assert_int_equal(count, 2);
    assert_int_equal(found[1], theirs);
    assert_int_equal(db_mailbox_list(fixture->db, 0, theirs, found, 2, &count), DB_OK);
    assert_int_equal(count, 1);
    assert_int_equal(found[0], ours[1]);
    assert_int_equal(db_mailbox_list(fixture->db, 0, ours[1], found, 2, &count), DB_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(lists_a_customers_mailboxes_or_all_in_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
