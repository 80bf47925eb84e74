#include "tests/unit/db_fixture.h"

#include "db/pagesession.h"

#define NOW UINT64_C(1800000000)

static struct db_person owner_of(struct db *db, uint64_t customer, const char *address)
{
    struct db_person person = {.customer = customer};
    assert_int_equal(fixture_add(db, customer, address, &person.mailbox), DB_OK);
    return person;
}

static struct db_page_session begin(struct db *db, const struct db_person *person, uint8_t number,
                                    uint64_t created)
{
    struct db_page_session session = {.digest = {number},
                                      .person = *person,
                                      .created = created,
                                      .expires = created + 100,
                                      .remote = "192.0.2.1",
                                      .agent = "Browser/1"};
    assert_int_equal(db_page_session_add(db, &session), DB_OK);
    return session;
}

/* The numbers of a person's sessions, as the list has them. */
static const char *list(struct db *db, const struct db_person *person, uint64_t now)
{
    static char numbers[16];
    struct db_page_session session = {.created = INT64_MAX};
    size_t count = 0;
    while (db_page_session_next(db, person, now, &session) == DB_OK) {
        numbers[count++] = (char)('0' + session.digest[0]);
    }
    numbers[count] = '\0';
    return numbers;
}

static void finds_by_cookie_until_it_expires(void **state)
{
    struct fixture *fixture = *state;
    struct db_page_session found;
    struct db_person person = owner_of(fixture->db, fixture->ours, "a@ours.example");
    struct db_page_session session = begin(fixture->db, &person, 1, NOW);
    assert_int_equal(db_page_session_find(fixture->db, session.digest, NOW + 99, &found), DB_OK);
    assert_memory_equal(&found.person, &person, sizeof(person));
    assert_string_equal(found.remote, "192.0.2.1");
    assert_string_equal(found.agent, "Browser/1");
    assert_int_equal(db_page_session_find(fixture->db, session.digest, NOW + 100, &found), DB_NONE);
    assert_int_equal(db_page_session_seen(fixture->db, session.digest, NOW + 50, NOW + 150), DB_OK);
    assert_int_equal(db_page_session_find(fixture->db, session.digest, NOW + 100, &found), DB_OK);
    assert_int_equal(found.seen, NOW + 50);
    assert_int_equal(db_page_session_prune(fixture->db, NOW + 150), DB_OK);
    assert_int_equal(db_page_session_seen(fixture->db, session.digest, NOW, NOW + 200), DB_NONE);
}

static void lists_and_ends_ones_own(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_person ours = owner_of(db, fixture->ours, "a@ours.example");
    struct db_person theirs = owner_of(db, fixture->theirs, "a@theirs.example");
    const struct db_person mixed = {.customer = fixture->theirs, .mailbox = ours.mailbox};
    const struct db_page_session impossible = {.digest = {9}, .person = mixed, .expires = NOW};
    begin(db, &ours, 1, NOW);
    begin(db, &ours, 2, NOW + 5);
    struct db_page_session third = begin(db, &ours, 3, NOW + 5);
    struct db_page_session foreign = begin(db, &theirs, 4, NOW);
    assert_int_equal(db_page_session_add(db, &impossible), DB_NONE);
    assert_string_equal(list(db, &ours, NOW), "321");
    assert_string_equal(list(db, &ours, NOW + 100), "32");
    assert_string_equal(list(db, &mixed, NOW), "");
    assert_int_equal(db_page_session_end(db, &ours, foreign.digest), DB_NONE);
    assert_int_equal(db_page_session_end(db, &mixed, third.digest), DB_NONE);
    assert_int_equal(db_page_session_end(db, &ours, third.digest), DB_OK);
    assert_string_equal(list(db, &ours, NOW), "21");
    assert_int_equal(db_page_sessions_end(db, &ours, (const uint8_t[DB_DIGEST_SIZE]){1}), DB_OK);
    assert_string_equal(list(db, &ours, NOW), "1");
    assert_int_equal(db_page_sessions_end(db, &ours, NULL), DB_OK);
    assert_string_equal(list(db, &ours, NOW), "");
    assert_string_equal(list(db, &theirs, NOW), "4");
}

/* A mailbox that goes takes its sessions with it. */
static void goes_with_the_mailbox(void **state)
{
    struct fixture *fixture = *state;
    struct db_page_session found;
    struct db_person person = owner_of(fixture->db, fixture->ours, "a@ours.example");
    struct address address = fixture_address("a@ours.example");
    struct db_page_session session = begin(fixture->db, &person, 1, NOW);
    assert_int_equal(db_mailaddress_remove(fixture->db, fixture->ours, &address, 0), DB_OK);
    assert_int_equal(db_page_session_find(fixture->db, session.digest, NOW, &found), DB_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(finds_by_cookie_until_it_expires),
        fixture_test(lists_and_ends_ones_own),
        fixture_test(goes_with_the_mailbox),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
