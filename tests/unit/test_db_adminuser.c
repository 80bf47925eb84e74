#include "tests/unit/db_fixture.h"

#include "db/adminuser.h"
#include "db/invitation.h"
#include "db/pagesession.h"

#define NOW UINT64_C(1800000000)

static const uint8_t token[DB_DIGEST_SIZE] = {1}, other[DB_DIGEST_SIZE] = {2};

static struct db_admin_user add(struct db *db, uint64_t customer, const char *name,
                                enum db_role role)
{
    static uint8_t next = 10;
    const uint8_t digest[DB_DIGEST_SIZE] = {next++};
    struct db_admin_user user = {.customer = customer, .role = role};
    assert_int_equal(db_admin_user_add(db, &user, name, digest, 1), DB_OK);
    return user;
}

static void keeps_names_of_customers_apart(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_admin_user again = {.customer = fixture->ours, .role = DB_ROLE_ADMIN};
    struct db_admin_user found = {0};
    struct db_admin_user ours = add(db, fixture->ours, "anna", DB_ROLE_ADMIN);
    struct db_admin_user theirs = add(db, fixture->theirs, "anna", DB_ROLE_HELPDESK);
    struct db_admin_user operator= add(db, 0, "anna", DB_ROLE_OPERATOR);
    assert_string_not_equal(ours.login, theirs.login);
    assert_string_equal(operator.login, "anna");
    assert_int_equal(db_admin_user_add(db, &again, "anna", other, 1), DB_TAKEN);
    assert_int_equal(db_admin_user_find(db, theirs.login, &found), DB_OK);
    assert_int_equal(found.id, theirs.id);
    assert_int_equal(found.role, DB_ROLE_HELPDESK);
    assert_int_equal(db_admin_user_get(db, fixture->ours, theirs.id, &found), DB_NONE);
    assert_int_equal(db_admin_user_get(db, 0, ours.id, &found), DB_NONE);
    assert_int_equal(db_admin_user_remove(db, fixture->ours, theirs.id), DB_NONE);
    found = (struct db_admin_user){0};
    assert_int_equal(db_admin_user_next(db, fixture->ours, &found), DB_OK);
    assert_int_equal(found.id, ours.id);
    assert_int_equal(db_admin_user_next(db, fixture->ours, &found), DB_NONE);
    found = (struct db_admin_user){0};
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(db_operator_admin_user_next(db, &found), DB_OK);
    }
    assert_int_equal(db_operator_admin_user_next(db, &found), DB_NONE);
}

static void takes_no_role_of_somebody_else(void **state)
{
    struct fixture *fixture = *state;
    struct db_admin_user user = {.customer = fixture->ours, .role = DB_ROLE_OPERATOR};
    assert_int_equal(db_admin_user_add(fixture->db, &user, "anna", token, 1), DB_BROKEN);
    user = (struct db_admin_user){.role = DB_ROLE_ADMIN};
    assert_int_equal(db_admin_user_add(fixture->db, &user, "anna", token, 1), DB_BROKEN);
    user = add(fixture->db, fixture->ours, "anna", DB_ROLE_ADMIN);
    user.role = DB_ROLE_OWNER;
    assert_int_equal(db_admin_user_set(fixture->db, &user), DB_BROKEN);
}

static void invites_to_choose_a_password(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_invitation invitation = {0};
    struct db_login login = {0};
    struct db_admin_user user = add(db, fixture->ours, "anna", DB_ROLE_ADMIN);
    assert_int_equal(db_admin_user_invite(db, fixture->ours, user.id, token, INT64_MAX), DB_OK);
    assert_int_equal(db_invitation_find(db, token, &invitation), DB_OK);
    assert_int_equal(invitation.admin_user, user.id);
    assert_int_equal(invitation.mailbox, 0);
    assert_string_equal(invitation.address, user.login);
    assert_false(invitation.password);
    assert_int_equal(db_invitation_take(db, token, "hash", ""), DB_OK);
    assert_int_equal(db_invitation_take(db, token, "another", ""), DB_NONE);
    assert_int_equal(db_login_find_admin(db, user.login, &login), DB_OK);
    assert_string_equal(login.hash, "hash");
    assert_int_equal(login.customer, fixture->ours);
    assert_int_equal(login.admin_user, user.id);
}

static bool has_session(struct db *db, uint8_t number)
{
    struct db_page_session found;
    return db_page_session_find(db, (const uint8_t[DB_DIGEST_SIZE]){number}, NOW, &found) == DB_OK;
}

static void begin(struct db *db, struct db_person person, uint8_t number)
{
    struct db_page_session session = {
        .digest = {number}, .person = person, .created = NOW, .expires = NOW + 9};
    assert_int_equal(db_page_session_add(db, &session), DB_OK);
}

static void suspending_and_a_new_password_end_sessions(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_person_found found;
    struct address address = fixture_address("a@ours.example");
    struct db_admin_user user = add(db, fixture->ours, "anna", DB_ROLE_ADMIN);
    struct db_admin_user theirs = add(db, fixture->theirs, "anna", DB_ROLE_ADMIN);
    struct db_person anna = {.customer = fixture->ours, .admin_user = user.id};
    struct db_person foreign = {.customer = fixture->theirs, .admin_user = theirs.id};
    struct db_person owner = {.customer = fixture->ours};
    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", &owner.mailbox), DB_OK);
    assert_int_equal(db_mailaddress_set_hash(db, fixture->ours, &address, "x", NULL), DB_OK);
    begin(db, foreign, 1);

    begin(db, anna, 2);
    user.suspended = true;
    assert_int_equal(db_admin_user_set(db, &user), DB_OK);
    assert_false(has_session(db, 2));
    assert_int_equal(db_person_find(db, &anna, &found), DB_OK);
    assert_true(found.suspended);
    user.suspended = false;
    assert_int_equal(db_admin_user_set(db, &user), DB_OK);
    assert_false(has_session(db, 2));

    begin(db, anna, 3);
    assert_int_equal(db_admin_user_set_hash(db, fixture->ours, user.id, "y"), DB_OK);
    assert_false(has_session(db, 3));

    begin(db, owner, 4);
    assert_int_equal(db_mailaddress_set_hash(db, fixture->ours, &address, "y", NULL), DB_OK);
    assert_false(has_session(db, 4));
    begin(db, owner, 5);
    assert_int_equal(
        db_mailaddress_set_suspended(db, fixture->ours, &address, true, DB_SUSPENDED_AS_CONFIGURED),
        DB_OK);
    assert_false(has_session(db, 5));

    begin(db, owner, 6);
    begin(db, anna, 7);
    assert_int_equal(db_customer_set_suspended(db, fixture->ours, true, DB_SUSPENDED_AS_CONFIGURED),
                     DB_OK);
    assert_false(has_session(db, 6));
    assert_false(has_session(db, 7));
    assert_int_equal(
        db_customer_set_suspended(db, fixture->ours, false, DB_SUSPENDED_AS_CONFIGURED), DB_OK);
    begin(db, anna, 8);
    assert_int_equal(db_customer_remove(db, fixture->ours, 9), DB_OK);
    assert_false(has_session(db, 8));
    assert_int_equal(db_person_find(db, &anna, &found), DB_NONE);
    assert_int_equal(db_admin_user_find(db, user.login, &user), DB_NONE);
    assert_true(has_session(db, 1));
}

static void keeps_the_newest_sessions(void **state)
{
    struct fixture *fixture = *state;
    struct db_admin_user user = add(fixture->db, 0, "anna", DB_ROLE_OPERATOR);
    struct db_person anna = {.admin_user = user.id};
    for (unsigned i = 0; i < DB_PAGE_SESSIONS_MAX + 2; i++) {
        struct db_page_session session = {
            .digest = {(uint8_t)i}, .person = anna, .created = NOW + i, .expires = NOW + 99};
        assert_int_equal(db_page_session_add(fixture->db, &session), DB_OK);
    }
    assert_false(has_session(fixture->db, 0));
    assert_false(has_session(fixture->db, 1));
    assert_true(has_session(fixture->db, 2));
}

#define db_test(function)                                                                          \
    cmocka_unit_test_setup_teardown(function, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        db_test(keeps_names_of_customers_apart),
        db_test(takes_no_role_of_somebody_else),
        db_test(invites_to_choose_a_password),
        db_test(suspending_and_a_new_password_end_sessions),
        db_test(keeps_the_newest_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
