#include "tests/unit/db_fixture.h"

#include "db/issuer.h"
#include "db/removal.h"

static const struct db_issuer first = {
    .issuer = "https://a.example", .audience = "mail", .claim = "email"};
static const struct db_issuer second = {
    .issuer = "https://b.example/tenant", .audience = "https://mail.example", .claim = "upn"};

static void are_a_customers_own(void **state)
{
    const struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_issuer issuer = {0};
    char of_domain[DB_ISSUER_MAX + 1];
    bool any = true;

    assert_int_equal(db_issuer_any(db, &any), DB_OK);
    assert_false(any);
    assert_int_equal(db_issuer_of_domain(db, "ours.example", of_domain), DB_NONE);
    assert_int_equal(db_issuer_add(db, fixture->ours, &second), DB_OK);
    assert_int_equal(db_issuer_add(db, fixture->ours, &first), DB_OK);
    assert_int_equal(db_issuer_add(db, fixture->ours, &first), DB_TAKEN);
    assert_int_equal(db_issuer_add(db, 999, &first), DB_NONE);
    /* The same issuer may be another customer's too. */
    assert_int_equal(db_issuer_add(db, fixture->theirs, &second), DB_OK);
    assert_int_equal(db_issuer_any(db, &any), DB_OK);
    assert_true(any);

    assert_int_equal(db_issuer_next(db, fixture->ours, &issuer), DB_OK);
    assert_string_equal(issuer.issuer, first.issuer);
    assert_int_equal(db_issuer_next(db, fixture->ours, &issuer), DB_OK);
    assert_string_equal(issuer.issuer, second.issuer);
    assert_string_equal(issuer.audience, second.audience);
    assert_string_equal(issuer.claim, second.claim);
    assert_true(issuer.created > 0 && issuer.customer == fixture->ours);
    assert_int_equal(db_issuer_next(db, fixture->ours, &issuer), DB_NONE);

    assert_int_equal(db_issuer_find(db, fixture->theirs, first.issuer, &issuer), DB_NONE);
    assert_int_equal(db_issuer_find(db, fixture->theirs, second.issuer, &issuer), DB_OK);
    assert_true(issuer.customer == fixture->theirs);
    assert_int_equal(db_issuer_of_domain(db, "ours.example", of_domain), DB_OK);
    assert_string_equal(of_domain, first.issuer);

    assert_int_equal(db_issuer_remove(db, fixture->theirs, first.issuer), DB_NONE);
    assert_int_equal(db_issuer_remove(db, fixture->ours, first.issuer), DB_OK);
    assert_int_equal(db_issuer_find(db, fixture->ours, first.issuer, &issuer), DB_NONE);
    assert_int_equal(db_customer_remove(db, fixture->ours, 0), DB_OK);
    assert_int_equal(db_issuer_find(db, fixture->theirs, second.issuer, &issuer), DB_OK);
}

static void are_checked(void **state)
{
    static const struct db_issuer wrong[] = {
        {.issuer = "http://a.example", .audience = "mail", .claim = "email"},
        {.issuer = "https://", .audience = "mail", .claim = "email"},
        {.issuer = "https:///path", .audience = "mail", .claim = "email"},
        {.issuer = "https://a.example/?a=b", .audience = "mail", .claim = "email"},
        {.issuer = "https://a.example/#a", .audience = "mail", .claim = "email"},
        {.issuer = "https://user@a.example/", .audience = "mail", .claim = "email"},
        {.issuer = "https://a.example/\"", .audience = "mail", .claim = "email"},
        {.issuer = "https://a.example/ b", .audience = "mail", .claim = "email"},
        {.issuer = "https://\xc3\xa4.example", .audience = "mail", .claim = "email"},
        {.issuer = "https://a.example", .audience = "", .claim = "email"},
        {.issuer = "https://a.example", .audience = "mail", .claim = ""},
        {.issuer = "https://a.example", .audience = "mail", .claim = "e\nmail"},
    };
    const struct fixture *fixture = *state;
    const char *error;

    assert_int_equal(db_issuer_check(&first, &error), 0);
    assert_int_equal(db_issuer_check(&second, &error), 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        error = NULL;
        if (db_issuer_check(&wrong[i], &error) == 0 || error == NULL) {
            fail_msg("%s", wrong[i].issuer);
        }
        assert_int_equal(db_issuer_add(fixture->db, fixture->ours, &wrong[i]), DB_BROKEN);
    }
}

static void are_so_many(void **state)
{
    const struct fixture *fixture = *state;
    struct db_issuer issuer = first;

    for (unsigned i = 0; i < DB_ISSUERS_MAX; i++) {
        snprintf(issuer.issuer, sizeof(issuer.issuer), "https://%u.example", i);
        assert_int_equal(db_issuer_add(fixture->db, fixture->ours, &issuer), DB_OK);
    }
    assert_int_equal(db_issuer_add(fixture->db, fixture->ours, &issuer), DB_TAKEN);
    assert_int_equal(db_issuer_add(fixture->db, fixture->ours, &first), DB_LIMIT);
    assert_int_equal(db_issuer_add(fixture->db, fixture->theirs, &first), DB_OK);
}

static enum db_result next_due(struct db *db, uint64_t now, struct db_issuer *issuer_r)
{
    *issuer_r = (struct db_issuer){0};
    return db_issuer_due(db, now, issuer_r);
}

/* From the moment when it is added: at once, then as each try says, or when a key is missed. */
static void are_fetched_when_due(void **state)
{
    static char keys[DB_ISSUER_KEYS_MAX + 1];
    const struct fixture *fixture = *state;
    const uint64_t ours = fixture->ours;
    struct db *db = fixture->db;
    struct db_issuer issuer;

    assert_int_equal(next_due(db, 1000, &issuer), DB_NONE);
    assert_int_equal(db_issuer_add(db, ours, &first), DB_OK);
    assert_int_equal(next_due(db, 1000, &issuer), DB_OK);
    const uint64_t id = issuer.id;
    assert_true(issuer.fetched == 0 && issuer.customer == ours);
    assert_int_equal(db_issuer_keys(db, ours, id, keys), DB_NONE);

    assert_int_equal(db_issuer_try(db, ours, id, 1000, 1120), DB_OK);
    assert_int_equal(next_due(db, 1119, &issuer), DB_NONE);
    assert_int_equal(db_issuer_failed(db, ours, id, "nobody is there", 1030), DB_OK);
    assert_int_equal(next_due(db, 1029, &issuer), DB_NONE);
    assert_int_equal(next_due(db, 1030, &issuer), DB_OK);
    assert_int_equal(issuer.failures, 1);
    assert_string_equal(issuer.failure, "nobody is there");

    assert_int_equal(db_issuer_try(db, ours, id, 1030, 1150), DB_OK);
    assert_int_equal(db_issuer_fetched(db, ours, id, "{\"keys\":[]}", 1031, 5000), DB_OK);
    assert_int_equal(db_issuer_find(db, ours, first.issuer, &issuer), DB_OK);
    assert_true(issuer.fetched == 1031 && issuer.failures == 0 && issuer.failure[0] == '\0');
    assert_int_equal(db_issuer_keys(db, ours, id, keys), DB_OK);
    assert_string_equal(keys, "{\"keys\":[]}");

    assert_int_equal(db_issuer_wanted(db, ours, id, 1050, 1050 - 60), DB_NONE);
    assert_int_equal(next_due(db, 1050, &issuer), DB_NONE);
    assert_int_equal(db_issuer_wanted(db, fixture->theirs, id, 1090, 1090 - 60), DB_NONE);
    assert_int_equal(db_issuer_wanted(db, ours, id, 1090, 1090 - 60), DB_OK);
    assert_int_equal(next_due(db, 1090, &issuer), DB_OK);

    assert_int_equal(db_issuer_remove(db, ours, first.issuer), DB_OK);
    assert_int_equal(db_issuer_fetched(db, ours, id, "{}", 2000, 5000), DB_NONE);
    assert_int_equal(db_issuer_failed(db, ours, id, "", 5000), DB_NONE);
}

/* Who has waited longest comes first; and while a customer is removed nothing of it is fetched. */
static void wait_their_turn(void **state)
{
    const struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_issuer issuer = {0};
    struct db_issuer theirs;
    struct db_removal removal = {0};
    bool any;

    assert_int_equal(db_issuer_add(db, fixture->ours, &first), DB_OK);
    assert_int_equal(db_issuer_add(db, fixture->theirs, &first), DB_OK);
    assert_int_equal(db_issuer_add(db, fixture->ours, &second), DB_OK);
    assert_int_equal(db_issuer_find(db, fixture->theirs, first.issuer, &theirs), DB_OK);
    assert_int_equal(db_issuer_failed(db, fixture->theirs, theirs.id, "away", 70), DB_OK);
    assert_int_equal(db_issuer_due(db, 70, &issuer), DB_OK);
    assert_string_equal(issuer.issuer, first.issuer);
    assert_int_equal(db_issuer_due(db, 70, &issuer), DB_OK);
    assert_string_equal(issuer.issuer, second.issuer);
    const uint64_t id = issuer.id;
    assert_int_equal(db_issuer_due(db, 70, &issuer), DB_OK);
    assert_true(issuer.customer == fixture->theirs && issuer.due == 70);
    assert_int_equal(db_issuer_due(db, 70, &issuer), DB_NONE);

    assert_int_equal(db_issuer_is_live(db, fixture->ours, id), DB_OK);
    assert_int_equal(db_issuer_is_live(db, fixture->theirs, id), DB_NONE);
    assert_int_equal(db_customer_remove(db, fixture->ours, 1), DB_OK);
    assert_int_equal(db_issuer_is_live(db, fixture->ours, id), DB_NONE);
    assert_int_equal(next_due(db, 70, &issuer), DB_OK);
    assert_true(issuer.customer == fixture->theirs);
    assert_int_equal(db_issuer_remove(db, fixture->theirs, first.issuer), DB_OK);
    assert_int_equal(db_issuer_any(db, &any), DB_OK);
    assert_false(any);
    assert_int_equal(db_removal_next(db, fixture->ours, &removal), DB_OK);
    assert_int_equal(db_removal_restore(db, &removal), DB_OK);
    assert_int_equal(db_issuer_is_live(db, fixture->ours, id), DB_OK);
    assert_int_equal(next_due(db, 70, &issuer), DB_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(are_a_customers_own), fixture_test(are_checked),
        fixture_test(are_so_many),         fixture_test(are_fetched_when_due),
        fixture_test(wait_their_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
