#include "tests/unit/db_fixture.h"

#include "db/apikey.h"
#include "db/idempotency.h"
#include "db/limit.h"
#include "db/removal.h"
#include "db/secret.h"
#include "db/transaction.h"

static const uint8_t secret[APIKEY_KEY_SIZE] = {1}, elsewhere[APIKEY_KEY_SIZE] = {2};

static void tells_a_key_by_its_form(void **state)
{
    char text[APIKEY_TEXT_SIZE], again[APIKEY_TEXT_SIZE];
    uint8_t digest[APIKEY_DIGEST_SIZE], other[APIKEY_DIGEST_SIZE];
    (void)state;

    apikey_draw(text);
    assert_int_equal(strlen(text), APIKEY_TEXT_SIZE - 1);
    assert_memory_equal(text, "bh_", 3);
    assert_int_equal(apikey_digest(digest, secret, text, strlen(text)), 0);
    assert_int_equal(apikey_digest(other, secret, text, strlen(text)), 0);
    assert_memory_equal(digest, other, sizeof(digest));
    assert_int_equal(apikey_digest(other, elsewhere, text, strlen(text)), 0);
    assert_memory_not_equal(digest, other, sizeof(digest));
    for (size_t i = 0; i < strlen(text); i++) {
        memcpy(again, text, sizeof(text));
        again[i] = again[i] == 'x' ? 'y' : 'x';
        assert_int_equal(apikey_digest(other, secret, again, strlen(again)), -1);
        assert_int_equal(apikey_digest(other, secret, text, i), -1);
    }
    assert_int_equal(apikey_digest(other, secret, "", 0), -1);
}

static struct db_api_key key_of(const char *name, enum db_role role, uint64_t customer)
{
    struct db_api_key key = {.role = role, .customer = customer, .rate = 5, .expires = 77};
    snprintf(key.name, sizeof(key.name), "%s", name);
    snprintf(key.networks, sizeof(key.networks), "192.0.2.0/24");
    return key;
}

static enum db_result add(const struct fixture *fixture, const struct db_api_key *key,
                          uint8_t number)
{
    const uint8_t digest[APIKEY_DIGEST_SIZE] = {number};
    return db_api_key_add(fixture->db, key, digest, NULL);
}

static void keeps_what_a_key_reaches(void **state)
{
    const struct fixture *fixture = *state;
    struct db_api_key key = key_of("panel", DB_ROLE_ADMIN, fixture->ours), found;
    const uint8_t digest[APIKEY_DIGEST_SIZE] = {1};
    uint8_t kept[DB_SECRET_SIZE];
    uint64_t mailbox;

    assert_int_equal(db_secret_find(fixture->db, DB_SECRET_API_KEY, kept), DB_OK);
    snprintf(key.domain, sizeof(key.domain), "ours.example");
    assert_int_equal(add(fixture, &key, 1), DB_OK);
    assert_int_equal(db_api_key_find(fixture->db, digest, &found), DB_OK);
    assert_string_equal(found.name, "panel");
    assert_int_equal(found.role, DB_ROLE_ADMIN);
    assert_int_equal(found.customer, fixture->ours);
    assert_string_equal(found.domain, "ours.example");
    assert_string_equal(found.networks, "192.0.2.0/24");
    assert_int_equal(found.rate, 5);
    assert_int_equal(found.expires, 77);
    assert_int_equal(found.used, 0);
    assert_int_equal(db_api_key_used(fixture->db, fixture->ours, found.id, 9, "192.0.2.1"), DB_OK);
    assert_int_equal(db_api_key_get(fixture->db, fixture->ours, found.id, &found), DB_OK);
    assert_int_equal(found.used, 9);
    assert_string_equal(found.used_address, "192.0.2.1");

    assert_int_equal(fixture_add(fixture->db, fixture->ours, "a@ours.example", &mailbox), DB_OK);
    key = key_of("own", DB_ROLE_OWNER, fixture->ours);
    key.mailbox = mailbox;
    assert_int_equal(add(fixture, &key, 2), DB_OK);
    key = key_of("all", DB_ROLE_OPERATOR, 0);
    assert_int_equal(add(fixture, &key, 3), DB_OK);
    assert_int_equal(add(fixture, &key, 4), DB_TAKEN);
    assert_int_equal(db_customer_remove(fixture->db, fixture->ours, 0), DB_OK);
    assert_int_equal(db_api_key_find(fixture->db, digest, &found), DB_NONE);
    memset(&found, 0, sizeof(found));
    assert_int_equal(db_operator_api_key_next(fixture->db, &found), DB_OK);
    assert_string_equal(found.name, "all");
    assert_int_equal(db_api_key_remove(fixture->db, 0, found.id), DB_OK);
    assert_int_equal(db_operator_api_key_next(fixture->db, &found), DB_NONE);
}

/* A key that is for one domain must not reach the others when that one is removed. */
static void is_no_key_while_what_it_reaches_is_removed(void **state)
{
    const struct fixture *fixture = *state;
    struct db_api_key key = key_of("panel", DB_ROLE_ADMIN, fixture->ours), found;
    const uint8_t digest[APIKEY_DIGEST_SIZE] = {1};
    struct db_removal removal = {0};

    snprintf(key.domain, sizeof(key.domain), "ours.example");
    assert_int_equal(add(fixture, &key, 1), DB_OK);
    assert_int_equal(db_domain_remove(fixture->db, fixture->ours, "ours.example", 9), DB_OK);
    assert_int_equal(db_api_key_find(fixture->db, digest, &found), DB_NONE);
    assert_int_equal(db_operator_removal_next(fixture->db, &removal), DB_OK);
    assert_int_equal(db_removal_restore(fixture->db, &removal), DB_OK);
    assert_int_equal(db_api_key_find(fixture->db, digest, &found), DB_OK);
    assert_string_equal(found.domain, "ours.example");
    assert_int_equal(db_customer_remove(fixture->db, fixture->ours, 9), DB_OK);
    assert_int_equal(db_api_key_find(fixture->db, digest, &found), DB_NONE);
}

static void changes_within_what_it_is(void **state)
{
    const struct fixture *fixture = *state;
    struct db_api_key key = key_of("panel", DB_ROLE_ADMIN, fixture->ours), found = {0};
    struct db_api_key other = key_of("other", DB_ROLE_ADMIN, fixture->ours);
    char text[APIKEY_TEXT_SIZE];
    assert_int_equal(db_api_key_draw(fixture->db, &key, text, &key.id), DB_OK);
    assert_int_equal(strlen(text), sizeof(text) - 1);
    assert_int_equal(add(fixture, &other, 1), DB_OK);
    key.role = DB_ROLE_HELPDESK;
    key.rate = 7;
    key.expires = 9;
    snprintf(key.name, sizeof(key.name), "desk");
    snprintf(key.networks, sizeof(key.networks), "192.0.2.0/24");
    assert_int_equal(db_api_key_set(fixture->db, &key), DB_OK);
    assert_int_equal(db_api_key_get(fixture->db, fixture->ours, key.id, &found), DB_OK);
    assert_string_equal(found.name, "desk");
    assert_string_equal(found.networks, "192.0.2.0/24");
    assert_int_equal(found.role, DB_ROLE_HELPDESK);
    assert_true(found.rate == 7 && found.expires == 9);
    snprintf(key.name, sizeof(key.name), "other");
    assert_int_equal(db_api_key_set(fixture->db, &key), DB_TAKEN);
    key.customer = fixture->theirs;
    assert_int_equal(db_api_key_set(fixture->db, &key), DB_NONE);
    key.role = DB_ROLE_OPERATOR; /* of a customer: nobody's */
    assert_int_equal(db_api_key_set(fixture->db, &key), DB_BROKEN);
}

static void reaches_nothing_foreign(void **state)
{
    const struct fixture *fixture = *state;
    struct db_api_key key = key_of("panel", DB_ROLE_ADMIN, fixture->ours), found = {0};
    uint64_t mailbox;

    snprintf(key.domain, sizeof(key.domain), "theirs.example");
    assert_int_equal(add(fixture, &key, 1), DB_NONE);
    assert_int_equal(fixture_add(fixture->db, fixture->theirs, "a@theirs.example", &mailbox),
                     DB_OK);
    key = key_of("own", DB_ROLE_OWNER, fixture->ours);
    key.mailbox = mailbox;
    assert_int_equal(add(fixture, &key, 1), DB_NONE);
    key = key_of("panel", DB_ROLE_ADMIN, fixture->theirs);
    assert_int_equal(add(fixture, &key, 1), DB_OK);
    assert_int_equal(db_api_key_next(fixture->db, fixture->ours, &found), DB_NONE);
    assert_int_equal(db_api_key_next(fixture->db, fixture->theirs, &found), DB_OK);
    assert_int_equal(db_api_key_remove(fixture->db, fixture->ours, found.id), DB_NONE);
    assert_int_equal(db_api_key_remove(fixture->db, 0, found.id), DB_NONE);
    key = key_of("king", DB_ROLE_OPERATOR, fixture->ours);
    assert_int_equal(add(fixture, &key, 2), DB_BROKEN);
    key = key_of("nobody", DB_ROLE_OWNER, fixture->ours);
    assert_int_equal(add(fixture, &key, 2), DB_BROKEN);
}

static void keeps_an_answer_for_a_day(void **state)
{
    const struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_api_key key = key_of("panel", DB_ROLE_ADMIN, fixture->ours);
    assert_int_equal(add(fixture, &key, 1), DB_OK);
    struct db_idempotency first = {
        .api_key = 1, .key = "k", .request = {7}, .answer = (char[]){"a"}, .length = 1};
    struct db_idempotency found = {.api_key = 1, .key = "k"};
    const uint64_t now = 1000000;

    assert_int_equal(db_idempotency_find(db, &found, now), DB_NONE);
    assert_int_equal(db_idempotency_add(db, &first, now), DB_OK);
    assert_int_equal(db_idempotency_find(db, &found, now + DB_IDEMPOTENCY_TIME), DB_OK);
    assert_int_equal(found.length, 1);
    assert_memory_equal(found.answer, "a", 1);
    assert_memory_equal(found.request, first.request, sizeof(found.request));
    free(found.answer);
    assert_int_equal(db_idempotency_find(db, &found, now + DB_IDEMPOTENCY_TIME + 1), DB_NONE);
    assert_int_equal(db_idempotency_add(db, &first, now + DB_IDEMPOTENCY_TIME + 1), DB_OK);
    /* It goes with one that comes two days later. */
    struct db_idempotency later = first;
    later.key = "l";
    assert_int_equal(db_idempotency_add(db, &later, now + 3 * DB_IDEMPOTENCY_TIME), DB_OK);
    assert_int_equal(db_idempotency_find(db, &found, now + DB_IDEMPOTENCY_TIME + 1), DB_NONE);
}

/* Of a part that is not kept nothing is left, and what stands around it stays. */
static void undoes_a_part(void **state)
{
    const struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_customer customer;

    assert_int_equal(db_part_begin(db), DB_BROKEN);
    assert_int_equal(db_transaction_begin(db), DB_OK);
    assert_int_equal(db_part_begin(db), DB_OK);
    assert_int_equal(db_customer_add(db, "kept", "house", NULL), DB_OK);
    assert_int_equal(db_part_end(db, true), DB_OK);
    assert_int_equal(db_part_begin(db), DB_OK);
    assert_int_equal(db_customer_add(db, "undone", "house", NULL), DB_OK);
    assert_int_equal(db_customer_add(db, "kept", "house", NULL), DB_TAKEN);
    assert_int_equal(db_part_end(db, false), DB_OK);
    assert_int_equal(db_transaction_commit(db), DB_OK);
    assert_int_equal(db_customer_find(db, "kept", &customer), DB_OK);
    assert_int_equal(db_customer_find(db, "undone", &customer), DB_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_a_key_by_its_form),
        fixture_test(keeps_what_a_key_reaches),
        fixture_test(is_no_key_while_what_it_reaches_is_removed),
        fixture_test(changes_within_what_it_is),
        fixture_test(reaches_nothing_foreign),
        fixture_test(keeps_an_answer_for_a_day),
        fixture_test(undoes_a_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
