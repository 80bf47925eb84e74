#include "tests/unit/db_fixture.h"

#include "db/apppassword.h"
#include "db/audit.h"
#include "db/credential.h"
#include "db/event.h"
#include "db/limit.h"

static const uint8_t digests[3][APPPASSWORD_DIGEST_SIZE] = {{1}, {2}, {3}};

static struct db_app_password named(const char *name)
{
    struct db_app_password password = {.pop3 = true};
    snprintf(password.name, sizeof(password.name), "%s", name);
    return password;
}

static void test_add_find_list_remove(void **state)
{
    struct fixture *fixture = *state;
    struct address a = fixture_address("a@ours.example");
    struct db_app_password phone = named("phone");
    struct db_app_password tablet = {.name = "tablet", .smtp = true, .expires = 7};
    struct db_app_password found;
    uint64_t mailbox;
    uint64_t other;
    assert_int_equal(fixture_add(fixture->db, fixture->ours, "a@ours.example", &mailbox), DB_OK);
    assert_int_equal(fixture_add(fixture->db, fixture->theirs, "a@theirs.example", &other), DB_OK);
    assert_int_equal(db_app_password_add(fixture->db, fixture->ours, &a, &tablet, digests[0]),
                     DB_OK);
    assert_int_equal(db_app_password_add(fixture->db, fixture->ours, &a, &phone, digests[1]),
                     DB_OK);
    assert_int_equal(db_app_password_add(fixture->db, fixture->ours, &a, &phone, digests[2]),
                     DB_TAKEN);
    assert_int_equal(db_app_password_add(fixture->db, fixture->theirs, &a, &phone, digests[2]),
                     DB_NONE);

    /* A digest opens the mailbox that it was made for, and no other. */
    assert_int_equal(db_app_password_find(fixture->db, mailbox, digests[0], &found), DB_OK);
    assert_string_equal(found.name, "tablet");
    assert_true(found.smtp && !found.pop3);
    assert_int_equal(found.expires, 7);
    assert_int_equal(found.used, 0);
    assert_int_equal(db_app_password_find(fixture->db, other, digests[0], &found), DB_NONE);
    assert_int_equal(db_app_password_find(fixture->db, mailbox, digests[2], &found), DB_NONE);

    memset(&found, 0, sizeof(found));
    assert_int_equal(db_app_password_next(fixture->db, fixture->ours, mailbox, &found), DB_OK);
    assert_string_equal(found.name, "phone");
    assert_int_equal(found.expires, 0);
    assert_int_equal(db_app_password_next(fixture->db, fixture->ours, mailbox, &found), DB_OK);
    assert_string_equal(found.name, "tablet");
    assert_int_equal(db_app_password_next(fixture->db, fixture->ours, mailbox, &found), DB_NONE);

    assert_int_equal(db_app_password_remove(fixture->db, fixture->theirs, &a, "phone"), DB_NONE);
    assert_int_equal(db_app_password_remove(fixture->db, fixture->ours, &a, "nosuch"), DB_NONE);
    assert_int_equal(db_app_password_remove(fixture->db, fixture->ours, &a, "phone"), DB_OK);
    assert_int_equal(db_app_password_find(fixture->db, mailbox, digests[1], &found), DB_NONE);
    struct db_audit audit = {0};
    assert_int_equal(db_audit_next(fixture->db, fixture->ours, &audit), DB_OK);
    assert_string_equal(audit.action, "app_password.remove");
    assert_string_equal(audit.object, "a@ours.example");
    db_audit_free(&audit);
    struct db_event event = {0};
    assert_int_equal(db_event_next(fixture->db, fixture->ours, &event), DB_OK);
    assert_int_equal(event.kind, DB_EVENT_NO_APP_PASSWORD);
    assert_string_equal(event.credential, "phone");
    assert_int_equal(db_event_next(fixture->db, fixture->ours, &event), DB_OK);
    assert_int_equal(event.kind, DB_EVENT_APP_PASSWORD);

    /* They go with their mailbox. */
    assert_int_equal(db_mailaddress_remove(fixture->db, fixture->ours, &a, 0), DB_OK);
    assert_int_equal(db_app_password_find(fixture->db, mailbox, digests[0], &found), DB_NONE);
}

static void test_limit(void **state)
{
    struct fixture *fixture = *state;
    struct address a = fixture_address("a@ours.example");
    uint8_t digest[APPPASSWORD_DIGEST_SIZE] = {0};
    struct db_limit limit;
    char name[16];
    assert_int_equal(fixture_add(fixture->db, fixture->ours, "a@ours.example", NULL), DB_OK);
    for (unsigned i = 0; i <= DB_APP_PASSWORDS_MAX; i++) {
        snprintf(name, sizeof(name), "phone %u", i);
        struct db_app_password password = named(name);
        digest[0] = (uint8_t)i;
        assert_int_equal(db_app_password_add(fixture->db, fixture->ours, &a, &password, digest),
                         i < DB_APP_PASSWORDS_MAX ? DB_OK : DB_LIMIT);
    }
    db_limit_get(fixture->db, &limit);
    assert_int_equal(limit.kind, DB_LIMIT_APP_PASSWORDS);
}

static void test_names(void **state)
{
    static const char *const wrong[] = {"", " phone", "phone ", "a\nb", "\xff"};
    struct fixture *fixture = *state;
    struct address a = fixture_address("a@ours.example");
    const char *error;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct db_app_password password = named(wrong[i]);
        assert_int_equal(db_app_password_name_check(wrong[i], &error), -1);
        assert_int_equal(db_app_password_add(fixture->db, fixture->ours, &a, &password, digests[0]),
                         DB_BROKEN);
    }
    assert_int_equal(db_app_password_name_check("Anna's \u260e", &error), 0);
}

/* One customer's passwords, each once, and nobody else's. */
static void test_credentials(void **state)
{
    static const char *const ours[] = {"b@ours.example", "a@ours.example", "c@ours.example"};
    struct fixture *fixture = *state;
    struct address theirs = fixture_address("a@theirs.example");
    struct db_credential credential = {0};
    assert_int_equal(fixture_add(fixture->db, fixture->theirs, "a@theirs.example", NULL), DB_OK);
    assert_int_equal(
        db_mailaddress_set_hash(fixture->db, fixture->theirs, &theirs, "{SHA}theirs", NULL), DB_OK);
    for (size_t i = 0; i < 3; i++) {
        struct address address = fixture_address(ours[i]);
        assert_int_equal(fixture_add(fixture->db, fixture->ours, ours[i], NULL), DB_OK);
        /* The last has none yet. */
        if (i < 2) {
            assert_int_equal(
                db_mailaddress_set_hash(fixture->db, fixture->ours, &address, ours[i], ""), DB_OK);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(db_credential_next(fixture->db, fixture->ours, &credential), DB_OK);
        assert_string_equal(credential.address, ours[i]);
        assert_string_equal(credential.hash, ours[i]);
        assert_true(credential.changed > 0);
    }
    assert_int_equal(db_credential_next(fixture->db, fixture->ours, &credential), DB_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(test_add_find_list_remove),
        fixture_test(test_limit),
        fixture_test(test_names),
        fixture_test(test_credentials),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
