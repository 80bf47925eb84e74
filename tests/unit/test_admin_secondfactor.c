#include "tests/unit/db_fixture.h"

#include <liboath/oath.h>
#include <sqlite3.h>

#include "admin/secondfactor.h"
#include "db/audit.h"
#include "db/handle.h"
#include "db/secondfactor.h"
#include "db/transaction.h"

#define NOW UINT64_C(1800000000)

/* A mailbox of ours, its twin at theirs, and an operator. */
struct people {
    struct db *db;
    struct db_person owner, stranger, operator;
};

static uint64_t add_operator(struct db *db)
{
    static const char sql[] = "INSERT INTO admin_user (login, name, created)"
                              " VALUES ('root@host.example', 'Operator', 0)";
    assert_int_equal(sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL), SQLITE_OK);
    return (uint64_t)sqlite3_last_insert_rowid(db->sqlite);
}

static struct people meet(void **state)
{
    struct fixture *fixture = *state;
    struct people people = {.db = fixture->db};

    people.owner.customer = fixture->ours;
    people.stranger.customer = fixture->theirs;
    assert_int_equal(fixture_add(people.db, fixture->ours, "a@ours.example", &people.owner.mailbox),
                     DB_OK);
    assert_int_equal(
        fixture_add(people.db, fixture->theirs, "a@theirs.example", &people.stranger.mailbox),
        DB_OK);
    people.operator.admin_user = add_operator(people.db);
    return people;
}

/* The six digits that an app with this secret shows. */
static void read_app(const uint8_t *secret, uint64_t now, char code_r[TOTP_DIGITS + 1])
{
    assert_int_equal(oath_totp_generate((const char *)secret, TOTP_SECRET_SIZE, (time_t)now,
                                        TOTP_PERIOD, 0, TOTP_DIGITS, code_r),
                     OATH_OK);
}

/* Begins and confirms; NOW is what the clock shows then. */
static void enrol(struct db *db, const struct db_person *person, uint8_t *secret_r,
                  second_factor_recovery_codes codes_r)
{
    char code[TOTP_DIGITS + 1];

    assert_int_equal(second_factor_begin(db, person, secret_r), SECOND_FACTOR_GOOD);
    read_app(secret_r, NOW, code);
    assert_int_equal(second_factor_confirm(db, person, code, NOW, codes_r), SECOND_FACTOR_GOOD);
}

static enum second_factor_result check(const struct people *people, const struct db_person *person,
                                       const char *text, uint64_t now)
{
    uint64_t wait = 99;

    assert_int_equal(db_transaction_begin(people->db), DB_OK);
    enum second_factor_result result = second_factor_check(people->db, person, text, now, &wait);
    assert_int_equal(db_transaction_commit(people->db), DB_OK);
    if (result != SECOND_FACTOR_WRONG)
        assert_int_equal(wait > 0, result == SECOND_FACTOR_WAIT);
    return result;
}

static void is_asked_for_once_confirmed(void **state)
{
    struct people people = meet(state);
    const struct db_person *const persons[] = {&people.owner, &people.operator};
    second_factor_recovery_codes codes;
    uint8_t secret[TOTP_SECRET_SIZE];
    char code[TOTP_DIGITS + 1];

    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(check(&people, persons[i], "123456", NOW), SECOND_FACTOR_NONE);
        assert_int_equal(second_factor_begin(people.db, persons[i], secret), SECOND_FACTOR_GOOD);
        read_app(secret, NOW + 60, code);
        assert_int_equal(check(&people, persons[i], code, NOW + 60), SECOND_FACTOR_NONE);
        assert_int_equal(second_factor_confirm(people.db, persons[i], "000000x", NOW, codes),
                         SECOND_FACTOR_WRONG);
        enrol(people.db, persons[i], secret, codes);
        read_app(secret, NOW + 60, code);
        assert_int_equal(check(&people, persons[i], code, NOW + 60), SECOND_FACTOR_GOOD);
        assert_int_equal(second_factor_begin(people.db, persons[i], secret), SECOND_FACTOR_TAKEN);
        assert_int_equal(second_factor_confirm(people.db, persons[i], code, NOW, codes),
                         SECOND_FACTOR_TAKEN);
    }
}

static void takes_a_code_once(void **state)
{
    struct people people = meet(state);
    second_factor_recovery_codes codes;
    uint8_t secret[TOTP_SECRET_SIZE];
    char before[TOTP_DIGITS + 1], code[TOTP_DIGITS + 1], spaced[TOTP_DIGITS + 2];

    enrol(people.db, &people.owner, secret, codes);
    read_app(secret, NOW, code);
    assert_int_equal(check(&people, &people.owner, code, NOW), SECOND_FACTOR_WRONG);
    read_app(secret, NOW + 60, before);
    read_app(secret, NOW + 90, code);
    snprintf(spaced, sizeof(spaced), "%.3s %s", code, code + 3);
    assert_int_equal(check(&people, &people.owner, spaced, NOW + 90), SECOND_FACTOR_GOOD);
    assert_int_equal(check(&people, &people.owner, code, NOW + 91), SECOND_FACTOR_WRONG);
    /* Of a step before the last one taken. */
    assert_int_equal(check(&people, &people.owner, before, NOW + 91), SECOND_FACTOR_WRONG);
}

static void recovers_once_with_each_code(void **state)
{
    struct people people = meet(state);
    second_factor_recovery_codes codes, renewed;
    uint8_t secret[TOTP_SECRET_SIZE];
    struct db_second_factor factor;

    enrol(people.db, &people.owner, secret, codes);
    codes[3][0] = (char)(codes[3][0] >= 'a' ? codes[3][0] - 'a' + 'A' : codes[3][0]);
    assert_int_equal(check(&people, &people.owner, codes[3], NOW), SECOND_FACTOR_GOOD);
    assert_int_equal(check(&people, &people.owner, codes[3], NOW), SECOND_FACTOR_WRONG);
    assert_int_equal(db_second_factor_find(people.db, &people.owner, &factor), DB_OK);
    assert_int_equal(factor.recovery_codes, SECOND_FACTOR_RECOVERY_CODES - 1);
    assert_int_equal(check(&people, &people.owner, codes[4], NOW), SECOND_FACTOR_GOOD);
    assert_int_equal(db_second_factor_find(people.db, &people.owner, &factor), DB_OK);
    assert_int_equal(factor.wrong, 0);
    assert_int_equal(second_factor_renew(people.db, &people.owner, renewed), SECOND_FACTOR_GOOD);
    assert_int_equal(check(&people, &people.owner, codes[5], NOW), SECOND_FACTOR_WRONG);
    assert_int_equal(check(&people, &people.owner, renewed[5], NOW), SECOND_FACTOR_GOOD);
}

/* What a guesser gets, in minutes of waiting after each try. */
static void slows_guesses(void **state)
{
    static const uint64_t minutes[] = {0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60};
    struct people people = meet(state);
    second_factor_recovery_codes codes;
    uint8_t secret[TOTP_SECRET_SIZE];
    char code[TOTP_DIGITS + 1];
    uint64_t now = NOW + 60, wait = 0;

    enrol(people.db, &people.owner, secret, codes);
    for (size_t i = 0; i < sizeof(minutes) / sizeof(minutes[0]); i++) {
        assert_int_equal(second_factor_check(people.db, &people.owner, "wrong", now, &wait),
                         SECOND_FACTOR_WRONG);
        assert_int_equal(wait, 60 * minutes[i]);
        if (minutes[i] == 0)
            continue;
        /* Not even the right one counts then, and asking costs no more waiting. */
        assert_int_equal(second_factor_check(people.db, &people.owner, codes[0], now, &wait),
                         SECOND_FACTOR_WAIT);
        assert_int_equal(wait, 60 * minutes[i]);
        now += wait;
    }
    read_app(secret, now, code);
    assert_int_equal(check(&people, &people.owner, code, now), SECOND_FACTOR_GOOD);
    assert_int_equal(check(&people, &people.owner, "wrong", now), SECOND_FACTOR_WRONG);
    assert_int_equal(check(&people, &people.owner, codes[0], now), SECOND_FACTOR_GOOD);
}

/* A day ahead, and set right: the wait of that day is not one of 25 hours. */
static void a_clock_that_was_ahead_blocks_nobody(void **state)
{
    const uint64_t ahead = NOW + 86400;
    struct people people = meet(state);
    second_factor_recovery_codes codes;
    uint8_t secret[TOTP_SECRET_SIZE];

    enrol(people.db, &people.owner, secret, codes);
    for (unsigned i = 0; i < SECOND_FACTOR_TRIES; i++)
        assert_int_equal(check(&people, &people.owner, "wrong", ahead), SECOND_FACTOR_WRONG);
    assert_int_equal(check(&people, &people.owner, codes[0], ahead), SECOND_FACTOR_WAIT);
    assert_int_equal(check(&people, &people.owner, codes[0], NOW + 60), SECOND_FACTOR_GOOD);
}

static void belongs_to_one_person(void **state)
{
    struct people people = meet(state);
    struct db_person wrong_customer = people.owner;
    second_factor_recovery_codes codes;
    uint8_t secret[TOTP_SECRET_SIZE];

    wrong_customer.customer = people.stranger.customer;
    enrol(people.db, &people.owner, secret, codes);
    assert_int_equal(check(&people, &people.stranger, codes[0], NOW), SECOND_FACTOR_NONE);
    assert_int_equal(check(&people, &wrong_customer, codes[0], NOW), SECOND_FACTOR_NONE);
    assert_int_equal(second_factor_begin(people.db, &wrong_customer, secret), SECOND_FACTOR_NONE);
    assert_int_equal(second_factor_remove(people.db, &wrong_customer), SECOND_FACTOR_NONE);
    assert_int_equal(second_factor_renew(people.db, &people.stranger, codes), SECOND_FACTOR_NONE);
    assert_int_equal(second_factor_remove(people.db, &people.owner), SECOND_FACTOR_GOOD);
    assert_int_equal(check(&people, &people.owner, codes[0], NOW), SECOND_FACTOR_NONE);
    assert_int_equal(second_factor_begin(people.db, &people.owner, secret), SECOND_FACTOR_GOOD);
}

/* The audit tells of each change, by the address. */
static void is_in_the_audit(void **state)
{
    static const char *const actions[] = {"second-factor.remove", "second-factor.recover",
                                          "second-factor.recovery-codes", "second-factor.confirm",
                                          "second-factor.begin"};
    struct people people = meet(state);
    second_factor_recovery_codes codes;
    uint8_t secret[TOTP_SECRET_SIZE];
    struct db_audit audit = {0};

    enrol(people.db, &people.owner, secret, codes);
    assert_int_equal(check(&people, &people.owner, codes[0], NOW), SECOND_FACTOR_GOOD);
    assert_int_equal(second_factor_remove(people.db, &people.owner), SECOND_FACTOR_GOOD);
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        assert_int_equal(db_audit_next(people.db, people.owner.customer, &audit), DB_OK);
        assert_string_equal(audit.action, actions[i]);
        assert_string_equal(audit.object, "a@ours.example");
    }
    db_audit_free(&audit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(is_asked_for_once_confirmed),
        fixture_test(takes_a_code_once),
        fixture_test(recovers_once_with_each_code),
        fixture_test(slows_guesses),
        fixture_test(a_clock_that_was_ahead_blocks_nobody),
        fixture_test(belongs_to_one_person),
        fixture_test(is_in_the_audit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
