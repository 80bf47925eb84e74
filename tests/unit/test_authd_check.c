#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>
#include <sodium.h>

#include "authd/check.h"
#include "authd/memory.h"
#include "authd/report.h"
#include "db/domain.h"
#include "db/login.h"
#include "db/plan.h"
#include "db/secret.h"
#include "db/transaction.h"
#include "db/trusted.h"
#include "lib/apppassword.h"
#include "lib/conf.h"
#include "lib/metrics.h"

static const uint8_t app_key[APPPASSWORD_KEY_SIZE] = {5};

/* Stands in for db/, so that a test can say what the account database answers. */
static struct {
    bool missing;
    enum db_result result;
    struct db_login login; /* of anna@example.com, the only address */
    struct db_app_password app_password;
    uint8_t digest[APPPASSWORD_DIGEST_SIZE]; /* of the app password */
    unsigned lookups;                        /* of app passwords */
    unsigned opened;
    int reading;
    bool trusted; /* whatever anna's clients come from */
} accounts;

struct db *db_open(const char *path, enum db_mode mode, char *error_r, size_t error_size)
{
    assert_string_equal(path, "accounts.db");
    assert_int_equal(mode, DB_READ);
    snprintf(error_r, error_size, "accounts.db is missing");
    if (accounts.missing)
        return NULL;
    accounts.opened++;
    return (struct db *)&accounts;
}

void db_close(struct db *db)
{
    accounts.opened -= db != NULL;
    accounts.reading = 0;
}

enum db_result db_plan_range(struct db *db, struct db_plan_range *range_r)
{
    (void)db;
    (void)range_r;
    return DB_NONE;
}

/* Tokens are tests/system/test_tokens.py's. */
enum db_result db_issuer_find(struct db *db, uint64_t customer, const char *issuer,
                              struct db_issuer *issuer_r)
{
    (void)db;
    (void)customer;
    (void)issuer;
    (void)issuer_r;
    return DB_NONE;
}

enum db_result db_issuer_keys(struct db *db, uint64_t customer, uint64_t id,
                              char keys_r[DB_ISSUER_KEYS_MAX + 1])
{
    (void)db;
    (void)customer;
    (void)id;
    keys_r[0] = '\0';
    return DB_NONE;
}

enum db_result db_issuer_of_domain(struct db *db, const char *domain,
                                   char issuer_r[DB_ISSUER_MAX + 1])
{
    (void)db;
    (void)domain;
    issuer_r[0] = '\0';
    return DB_NONE;
}

enum db_result db_issuer_any(struct db *db, bool *any_r)
{
    (void)db;
    *any_r = false;
    return DB_OK;
}

enum db_result db_secret_find(struct db *db, const char *name, uint8_t octets_r[DB_SECRET_SIZE])
{
    assert_ptr_equal(db, &accounts);
    if (strcmp(name, DB_SECRET_SCRAM_SALT) == 0) {
        memset(octets_r, 7, DB_SECRET_SIZE);
    } else {
        assert_string_equal(name, DB_SECRET_APP_PASSWORD);
        memcpy(octets_r, app_key, sizeof(app_key));
    }
    return DB_OK;
}

void db_read_begin(struct db *db)
{
    assert_ptr_equal(db, &accounts);
    accounts.reading++;
}

void db_read_end(struct db *db)
{
    assert_ptr_equal(db, &accounts);
    accounts.reading--;
}

enum db_result db_login_find(struct db *db, const struct address *address, struct db_login *login_r)
{
    assert_ptr_equal(db, &accounts);
    if (accounts.result != DB_OK)
        return accounts.result;
    if (strcmp(address->text, "anna@example.com") != 0)
        return DB_NONE;
    *login_r = accounts.login;
    return DB_OK;
}

/* "desk", an operator's. */
enum db_result db_login_find_admin(struct db *db, const char *login, struct db_login *login_r)
{
    assert_ptr_equal(db, &accounts);
    if (accounts.result != DB_OK)
        return accounts.result;
    if (strcmp(login, "desk") != 0)
        return DB_NONE;
    *login_r = (struct db_login){.admin_user = 3, .suspended = accounts.login.suspended};
    memcpy(login_r->hash, accounts.login.hash, sizeof(login_r->hash));
    return DB_OK;
}

enum db_result db_domain_find(struct db *db, const char *name, struct db_domain *domain_r)
{
    assert_ptr_equal(db, &accounts);
    domain_r->customer = accounts.login.customer;
    return strcmp(name, "example.com") == 0 ? DB_OK : DB_NONE;
}

enum db_result db_app_password_find(struct db *db, uint64_t mailbox,
                                    const uint8_t digest[APPPASSWORD_DIGEST_SIZE],
                                    struct db_app_password *password_r)
{
    assert_ptr_equal(db, &accounts);
    accounts.lookups++;
    if (accounts.result != DB_OK)
        return accounts.result;
    if (mailbox != 7 || memcmp(digest, accounts.digest, sizeof(accounts.digest)) != 0)
        return DB_NONE;
    *password_r = accounts.app_password;
    return DB_OK;
}

/* Stands in for authd/report.c. */
static struct {
    unsigned scram;
    uint64_t customer;
    uint64_t mailbox;
    char hash[DB_HASH_SIZE];
    char keys[SCRAMKEYS_TEXT_SIZE];
    unsigned upgrades;
    char old_hash[DB_HASH_SIZE];
    char new_hash[DB_HASH_SIZE];
    unsigned used;
    char remote[64];
} reported;

void report_scram(struct report *report, uint64_t customer, uint64_t mailbox, const char *hash,
                  const char *keys)
{
    assert_ptr_equal(report, &reported);
    reported.scram++;
    reported.customer = customer;
    reported.mailbox = mailbox;
    memcpy(reported.hash, hash, strlen(hash) + 1);
    memcpy(reported.keys, keys, strlen(keys) + 1);
}

void report_wanted(struct report *report, uint64_t customer, uint64_t issuer)
{
    (void)customer;
    (void)issuer;
    assert_ptr_equal(report, &reported);
}

enum db_result db_trusted_holds(struct db *db, uint64_t customer, const struct in6_addr *address)
{
    assert_ptr_equal(db, &accounts);
    assert_int_equal(customer, accounts.login.customer);
    (void)address;
    return accounts.trusted ? DB_OK : DB_NONE;
}

void report_upgrade(struct report *report, uint64_t customer, uint64_t mailbox,
                    const char *old_hash, const char *new_hash)
{
    assert_ptr_equal(report, &reported);
    assert_int_equal(customer, 8);
    assert_int_equal(mailbox, 7);
    reported.upgrades++;
    snprintf(reported.old_hash, sizeof(reported.old_hash), "%s", old_hash);
    snprintf(reported.new_hash, sizeof(reported.new_hash), "%s", new_hash);
}

void report_used(struct report *report, uint64_t customer, uint64_t app_password,
                 const char *remote)
{
    assert_ptr_equal(report, &reported);
    assert_int_equal(customer, 8);
    assert_int_equal(app_password, 9);
    reported.used++;
    snprintf(reported.remote, sizeof(reported.remote), "%s", remote);
}

static struct event_base *base;
static struct memory *memory;
static struct checker *checker;
static struct conf conf;
static const char *remote; /* where the next client is */

struct answered {
    struct check check; /* first */
    unsigned count;
    enum check_result result;
};

static void on_done(struct check *check, enum check_result result)
{
    struct answered *answered = (struct answered *)check;

    answered->count++;
    answered->result = result;
}

static void set_password(const char *password)
{
    assert_int_equal(crypto_pwhash_str(accounts.login.hash, password, strlen(password), 1, 8192),
                     0);
}

static int set_up(void **state)
{
    (void)state;
    memset(&accounts, 0, sizeof(accounts));
    memset(&reported, 0, sizeof(reported));
    accounts.login.mailbox = 7;
    accounts.login.customer = 8;
    accounts.login.sending = accounts.login.fetching = true;
    remote = "192.0.2.1";
    set_password("secret");
    conf_default(&conf);
    conf.hash_operations = 1;
    conf.hash_memory = 8192;
    conf.hash_threads = 1;
    base = event_base_new();
    memory = memory_new(-1, -1);
    checker = checker_new(base, &conf, (struct report *)&reported, memory);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    checker_free(checker);
    memory_free(memory);
    event_base_free(base);
    return accounts.opened == 0 ? 0 : -1;
}

static void begin(struct answered *answered, const char *name, const char *password)
{
    memset(answered, 0, sizeof(*answered));
    answered->check.done = on_done;
    answered->check.remote = remote;
    answered->check.service = "pop3";
    check_start(checker, &answered->check, name, strlen(name), password, strlen(password));
}

static void finish_all(void)
{
    while (checker_pending(checker) > 0)
        event_base_loop(base, EVLOOP_ONCE);
}

/* One check from beginning to end; `hashes_r`, unless it is NULL, gets how many hashes it cost. */
static enum check_result check(const char *name, const char *password, int64_t *hashes_r)
{
    struct answered answered;
    int64_t before = metric_sum(METRIC_AUTH_HASHES);

    begin(&answered, name, password);
    finish_all();
    assert_int_equal(answered.count, 1);
    if (hashes_r != NULL)
        *hashes_r = metric_sum(METRIC_AUTH_HASHES) - before;
    return answered.result;
}

static void test_good_and_wrong(void **state)
{
    struct answered answered;

    (void)state;
    begin(&answered, "Anna@EXAMPLE.com", "secret");
    finish_all();
    assert_int_equal(answered.result, CHECK_GOOD);
    assert_int_equal(answered.check.mailbox, 7);
    assert_string_equal(answered.check.address, "anna@example.com");
    assert_int_equal(check("anna@example.com", "Secret", NULL), CHECK_WRONG);
}

/* The second time costs no hash, whatever the first one's answer was. */
static void test_cache(void **state)
{
    static const char *const names[] = {"anna@example.com", "nobody@example.com", "no address"};
    static const char *const passwords[] = {"secret", "wrong"};
    int64_t hashes;

    (void)state;
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 2; j++) {
            enum check_result result = i + j == 0 ? CHECK_GOOD : CHECK_WRONG;
            assert_int_equal(check(names[i], passwords[j], &hashes), result);
            assert_int_equal(hashes, 1);
            assert_int_equal(check(names[i], passwords[j], &hashes), result);
            assert_int_equal(hashes, 0);
        }
}

static void test_changed_password(void **state)
{
    (void)state;
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_GOOD);
    assert_int_equal(check("anna@example.com", "other", NULL), CHECK_WRONG);
    set_password("other");
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_WRONG);
    assert_int_equal(check("anna@example.com", "other", NULL), CHECK_GOOD);
}

static void test_suspended(void **state)
{
    (void)state;
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_GOOD);
    accounts.login.suspended = true;
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_DISABLED);
    assert_int_equal(check("anna@example.com", "wrong", NULL), CHECK_WRONG);
    accounts.login.suspended = false;
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_GOOD);
}

static enum check_result check_page(const char *name, const char *password, uint64_t *admin_user_r)
{
    struct answered answered = {
        .check = {.done = on_done, .remote = remote, .service = CHECK_PAGES}};

    check_start(checker, &answered.check, name, strlen(name), password, strlen(password));
    finish_all();
    *admin_user_r = answered.check.admin_user;
    return answered.result;
}

/* An admin user is known to the pages alone; an app password opens no pages. */
static void test_pages(void **state)
{
    char text[APPPASSWORD_TEXT_SIZE];
    uint64_t admin_user;

    (void)state;
    assert_int_equal(check_page("Desk", "secret", &admin_user), CHECK_GOOD);
    assert_int_equal(admin_user, 3);
    assert_int_equal(check_page("desk", "wrong", &admin_user), CHECK_WRONG);
    assert_int_equal(check_page("desk@9", "secret", &admin_user), CHECK_WRONG);
    assert_int_equal(admin_user, 0);
    assert_int_equal(check("desk", "secret", NULL), CHECK_WRONG);
    assert_int_equal(check_page("anna@example.com", "secret", &admin_user), CHECK_GOOD);
    assert_int_equal(admin_user, 0);
    accounts.login.suspended = true;
    assert_int_equal(check_page("desk", "secret", &admin_user), CHECK_DISABLED);
    accounts.login.suspended = false;
    uint8_t octets[APPPASSWORD_OCTETS];
    apppassword_draw(octets, text);
    apppassword_digest(accounts.digest, app_key, 7, octets);
    accounts.app_password = (struct db_app_password){.id = 9, .pop3 = true, .smtp = true};
    assert_int_equal(check("anna@example.com", text, NULL), CHECK_GOOD);
    assert_int_equal(check_page("anna@example.com", text, &admin_user), CHECK_WRONG);
    /* Neither SCRAM's keys nor a hash at another cost are made for a mailbox that is none. */
    assert_int_equal(reported.upgrades, 0);
}

/* Wrong keys of the API delay those who guess passwords from the same address, and are counted once
 * each. */
static void test_wrong_keys(void **state)
{
    uint8_t key[32] = {0};
    bool blocked;

    (void)state;
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(checker_wrong_key(checker, remote, key, &blocked), 0);
    for (key[0] = 1; key[0] < 9; key[0]++) {
        assert_int_equal(checker_wrong_key(checker, remote, key, &blocked), 0);
        assert_int_equal(blocked, key[0] == 8);
    }
    assert_true(checker_wrong_key(checker, remote, key, &blocked) > 0);
    key[0] = 0;
    assert_int_equal(checker_wrong_key(checker, remote, key, &blocked), 0);
    assert_int_equal(check("anna@example.com", "wrong", NULL), CHECK_DELAYED);
    remote = "198.51.100.1";
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_GOOD);
    for (unsigned i = 0; i < 20; i++) {
        key[1] = (uint8_t)(i + 1);
        assert_int_equal(checker_wrong_key(checker, "127.0.0.1", key, &blocked), 0);
    }
}

/* Keys for a name, as a first message of SCRAM asks for them. */
static struct scramkeys keys_of(struct answered *answered, const char *name)
{
    struct scramkeys keys;

    memset(answered, 0, sizeof(*answered));
    answered->check.done = on_done;
    answered->check.remote = remote;
    answered->check.service = "pop3";
    assert_int_equal(check_keys(checker, &answered->check, name, strlen(name), &keys), 0);
    assert_int_equal(answered->count, 0);
    return keys;
}

static enum check_result prove(struct answered *answered, const struct scramkeys *keys, bool fits)
{
    int64_t hashes = metric_sum(METRIC_AUTH_HASHES);

    check_proved(checker, &answered->check, fits, keys->stored_key);
    assert_int_equal(answered->count, 1);
    assert_int_equal(metric_sum(METRIC_AUTH_HASHES), hashes);
    return answered->result;
}

static struct scramkeys set_keys(const char *password)
{
    struct scramkeys keys = {.salt = {1}};

    assert_int_equal(scramkeys_make(&keys, password, strlen(password), 4096), 0);
    scramkeys_format(&keys, accounts.login.scram);
    return keys;
}

static void test_proof(void **state)
{
    struct scramkeys stored = set_keys("secret");
    struct answered answered;

    (void)state;
    struct scramkeys keys = keys_of(&answered, "Anna@EXAMPLE.com");
    assert_memory_equal(&keys, &stored, sizeof(keys));
    assert_int_equal(prove(&answered, &keys, true), CHECK_GOOD);
    assert_int_equal(answered.check.mailbox, 7);
    assert_string_equal(answered.check.address, "anna@example.com");
    keys = keys_of(&answered, "anna@example.com");
    assert_int_equal(prove(&answered, &keys, false), CHECK_WRONG);
}

/* What has changed between the two calls counts. */
static void test_proof_too_late(void **state)
{
    struct answered answered;
    struct scramkeys keys;

    (void)state;
    for (int change = 0; change < 4; change++) {
        enum check_result result = change == 1 ? CHECK_DISABLED : CHECK_WRONG;
        set_keys("secret");
        keys = keys_of(&answered, "anna@example.com");
        accounts.login.suspended = change == 1;
        if (change == 0)
            set_keys("other");
        if (change == 2)
            accounts.login.scram[0] = '\0';
        if (change == 3) {
            result = CHECK_BROKEN;
            accounts.result = DB_BROKEN;
        }
        assert_int_equal(prove(&answered, &keys, true), result);
        accounts.login.suspended = false;
        accounts.result = DB_OK;
    }
}

static void wait_reported(unsigned count)
{
    while (reported.scram < count)
        event_base_loop(base, EVLOOP_ONCE);
}

/* The first good login makes them, and so does one whose password is remembered. */
static void test_keys_of_a_good_password(void **state)
{
    struct answered answered;
    int64_t hashes;

    (void)state;
    accounts.login.customer = 3;
    assert_int_equal(check("anna@example.com", "wrong", NULL), CHECK_WRONG);
    assert_int_equal(check("nobody@example.com", "secret", NULL), CHECK_WRONG);
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_GOOD);
    wait_reported(1);
    assert_int_equal(reported.customer, 3);
    assert_int_equal(reported.mailbox, 7);
    assert_string_equal(reported.hash, accounts.login.hash);
    assert_int_equal(check("anna@example.com", "secret", &hashes), CHECK_GOOD);
    assert_int_equal(hashes, 0);
    wait_reported(2);

    /* With the salt that a stranger was shown before. */
    struct scramkeys before = keys_of(&answered, "anna@example.com");
    assert_int_equal(prove(&answered, &before, true), CHECK_WRONG);
    memcpy(accounts.login.scram, reported.keys, sizeof(reported.keys));
    struct scramkeys keys = keys_of(&answered, "Anna@example.com");
    assert_memory_equal(before.salt, keys.salt, sizeof(keys.salt));
    assert_int_equal(before.iterations, keys.iterations);
    assert_int_equal(prove(&answered, &keys, true), CHECK_GOOD);
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_GOOD);
    event_base_loop(base, EVLOOP_NONBLOCK);
    assert_int_equal(reported.scram, 2);
}

/* A stranger sees keys for each name, the same each time, and cannot fit them. */
static void test_keys_of_nobody(void **state)
{
    static const char *const names[] = {"nobody@example.com", "no address", "anna@example.com"};
    uint8_t salts[3][SCRAMKEYS_SALT_SIZE];
    struct answered answered;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct scramkeys keys = keys_of(&answered, names[i]);
        assert_int_equal(keys.iterations, SCRAMKEYS_ITERATIONS);
        memcpy(salts[i], keys.salt, sizeof(salts[i]));
        assert_int_equal(prove(&answered, &keys, true), CHECK_WRONG);
        struct scramkeys again = keys_of(&answered, names[i]);
        assert_memory_equal(again.salt, keys.salt, sizeof(keys.salt));
        assert_memory_not_equal(again.stored_key, keys.stored_key, sizeof(keys.stored_key));
    }
    assert_memory_not_equal(salts[0], salts[1], sizeof(salts[0]));
    assert_memory_not_equal(salts[0], salts[2], sizeof(salts[0]));
    accounts.result = DB_BROKEN;
    memset(&answered, 0, sizeof(answered));
    answered.check.done = on_done;
    answered.check.remote = remote;
    answered.check.service = "pop3";
    struct scramkeys none;
    assert_int_equal(check_keys(checker, &answered.check, "a@example.com", 13, &none), -1);
    assert_int_equal(answered.result, CHECK_BROKEN);
}

/* Also where all of them were begun before the first was wrong; who sends passwords is not met. */
static void test_proofs_are_guesses(void **state)
{
    struct answered answered[8];
    struct scramkeys keys;

    (void)state;
    set_keys("secret");
    for (size_t i = 0; i < 8; i++)
        keys = keys_of(&answered[i], "anna@example.com");
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(prove(&answered[i], &keys, false), i < 5 ? CHECK_WRONG : CHECK_DELAYED);
    assert_int_equal(check_may_know(checker, &answered[7].check), -1);
    assert_int_equal(answered[7].result, CHECK_DELAYED);
    answered[7].count = 0;
    assert_int_equal(prove(&answered[7], &keys, true), CHECK_DELAYED);
    assert_in_range(answered[7].check.seconds, 14, 15);
    memset(&answered[0], 0, sizeof(answered[0]));
    answered[0].check.done = on_done;
    answered[0].check.remote = remote;
    answered[0].check.service = "pop3";
    assert_int_equal(check_keys(checker, &answered[0].check, "anna@example.com", 16, &keys), -1);
    assert_int_equal(answered[0].result, CHECK_DELAYED);
    remote = "192.0.2.2";
    keys = keys_of(&answered[0], "anna@example.com");
    assert_int_equal(check_may_know(checker, &answered[0].check), 0);
    assert_int_equal(prove(&answered[0], &keys, true), CHECK_GOOD);
    remote = "192.0.2.1"; /* from the same network, so it is no stranger's any more */
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_GOOD);
}

static void test_no_password(void **state)
{
    int64_t hashes;

    (void)state;
    accounts.login.hash[0] = '\0';
    assert_int_equal(check("anna@example.com", "secret", &hashes), CHECK_WRONG);
    assert_int_equal(hashes, 1);
}

/* A database that fails never looks like a wrong password, and is opened again. */
static void test_database_fails(void **state)
{
    (void)state;
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_GOOD);
    accounts.result = DB_BUSY;
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_BROKEN);
    accounts.result = DB_BROKEN;
    accounts.missing = true;
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_BROKEN);
    assert_int_equal(accounts.opened, 0);
    accounts.result = DB_OK;
    accounts.missing = false;
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_GOOD);
    assert_int_equal(accounts.opened, 1);
}

/* What is begun together reads together; a database that is closed in between is not read on. */
static void test_together(void **state)
{
    struct answered answered[3];

    (void)state;
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_GOOD);
    assert_int_equal(accounts.reading, 0);
    checker_begin(checker);
    begin(&answered[0], "anna@example.com", "secret");
    assert_int_equal(answered[0].result, CHECK_GOOD);
    assert_int_equal(accounts.reading, 1);
    checker_end(checker);
    assert_int_equal(accounts.reading, 0);

    checker_begin(checker);
    accounts.result = DB_BROKEN;
    begin(&answered[1], "anna@example.com", "secret");
    assert_int_equal(answered[1].result, CHECK_BROKEN);
    accounts.result = DB_OK;
    begin(&answered[2], "anna@example.com", "secret");
    assert_int_equal(answered[2].result, CHECK_GOOD);
    checker_end(checker);
    assert_int_equal(accounts.reading, 0);

    accounts.result = DB_BROKEN;
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_BROKEN);
    accounts.missing = true;
    checker_begin(checker);
    checker_end(checker);
    assert_int_equal(accounts.reading, 0);
    accounts.missing = false;
}

/* That is not remembered as an answer. */
static void test_hash_fails(void **state)
{
    (void)state;
    accounts.login.hash[sizeof("$argon2id$v=19$m=8")] = 'x';
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_BROKEN);
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_BROKEN);
    set_password("secret");
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_GOOD);
}

/* A hash that takes long enough for the test to act while it is computed. */
static void set_slow_password(const char *password)
{
    assert_int_equal(
        crypto_pwhash_str(accounts.login.hash, password, strlen(password), 4, 16 * 1024 * 1024), 0);
}

static void test_same_credentials_share_a_hash(void **state)
{
    struct answered answered[5];
    int64_t before = metric_sum(METRIC_AUTH_HASHES);

    (void)state;
    set_slow_password("secret");
    for (size_t i = 0; i < 5; i++)
        begin(&answered[i], "anna@example.com", "secret");
    assert_int_equal(checker_pending(checker), 1);
    check_cancel(checker, &answered[2].check);
    finish_all();
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(answered[i].count, i != 2);
        assert_int_equal(answered[i].result, CHECK_GOOD);
    }
    assert_int_equal(metric_sum(METRIC_AUTH_HASHES) - before, 1);
}

/* What changes while the password is hashed counts. */
static void test_change_meanwhile(void **state)
{
    struct answered answered;

    (void)state;
    set_slow_password("secret");
    begin(&answered, "anna@example.com", "secret");
    accounts.login.suspended = true;
    finish_all();
    assert_int_equal(answered.result, CHECK_DISABLED);

    accounts.login.suspended = false;
    set_slow_password("secret");
    begin(&answered, "anna@example.com", "secret");
    set_password("other");
    finish_all();
    assert_int_equal(answered.result, CHECK_WRONG);

    set_slow_password("secret");
    begin(&answered, "anna@example.com", "secret");
    accounts.result = DB_NONE;
    finish_all();
    assert_int_equal(answered.result, CHECK_WRONG);

    accounts.result = DB_OK;
    set_slow_password("secret");
    begin(&answered, "anna@example.com", "secret");
    accounts.result = DB_BROKEN;
    finish_all();
    assert_int_equal(answered.result, CHECK_BROKEN);
}

static void test_cancel(void **state)
{
    struct answered answered[3];
    char password[8] = "slow 0";

    (void)state;
    set_slow_password("secret");
    for (size_t i = 0; i < 3; i++) {
        password[5] = (char)('0' + i);
        begin(&answered[i], "anna@example.com", password);
    }
    assert_int_equal(checker_pending(checker), 3);
    /* The one thread has taken the first, or none yet. */
    check_cancel(checker, &answered[2].check);
    assert_int_equal(checker_pending(checker), 2);
    check_cancel(checker, &answered[0].check);
    finish_all();
    assert_int_equal(answered[0].count, 0);
    assert_int_equal(answered[1].count, 1);
    assert_int_equal(answered[2].count, 0);
    assert_int_equal(metric_sum(METRIC_AUTH_QUEUE), 0);
}

/* More than can be hashed in time are turned away, and told that it will pass. */
static void test_busy(void **state)
{
    static struct answered answered[5000];
    static char remotes[5000][sizeof("10.0.255.255")];
    unsigned busy = 0;

    (void)state;
    set_slow_password("secret");
    accounts.trusted = true;
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(remotes[i], sizeof(remotes[i]), "10.0.%u.%u", i >> 8, i & 255);
        remote = remotes[i];
        begin(&answered[i], "anna@example.com", "wrong");
        busy += answered[i].count == 1 && answered[i].result == CHECK_BUSY;
    }
    /* The queue takes at most 4096, however quick they are, and at least 16. */
    assert_in_range(busy, 500, 5000 - 16);
    for (unsigned i = 0; i < 5000; i++)
        check_cancel(checker, &answered[i].check);
    finish_all();
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_GOOD);
}

/* Others wait until they are known to be no guesses, and get their answers then. */
static void test_held_back(void **state)
{
    struct answered answered[50];
    char name[32];

    (void)state;
    set_slow_password("secret");
    for (unsigned i = 0; i < 50; i++)
        begin(&answered[i], "anna@example.com", i % 2 ? "secret" : "wrong");
    assert_int_equal(checker_pending(checker), 2);
    for (unsigned i = 0; i < 7; i++) {
        snprintf(name, sizeof(name), "guest%u@example.com", i);
        begin(&answered[i], name, "wrong");
    }
    begin(&answered[7], "anna@example.com", "held");
    begin(&answered[8], "anna@example.com", "held");
    begin(&answered[9], "guest@example.com", "held and gone");
    assert_int_equal(checker_pending(checker), 11);
    check_cancel(checker, &answered[9].check);
    assert_int_equal(checker_pending(checker), 10);
    finish_all();
    assert_int_equal(answered[7].count, 1);
    assert_int_equal(answered[7].result, CHECK_WRONG);
    assert_int_equal(answered[8].count, 1);
    assert_int_equal(answered[9].count, 0);
}

/* Of guesses that are made at once no more are hashed than when they are made one by one. */
static void test_guesses_at_once(void **state)
{
    static struct answered answered[100];
    int64_t before = metric_sum(METRIC_AUTH_HASHES);
    unsigned delayed = 0;
    char password[16];

    (void)state;
    set_slow_password("secret");
    for (unsigned i = 0; i < 100; i++) {
        snprintf(password, sizeof(password), "wrong %u", i);
        begin(&answered[i], "anna@example.com", password);
    }
    finish_all();
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(answered[i].count, 1);
        delayed += answered[i].result == CHECK_DELAYED;
        if (answered[i].result == CHECK_DELAYED)
            assert_in_range(answered[i].check.seconds, 14, 15);
    }
    assert_int_equal(delayed, 95);
    assert_int_equal(metric_sum(METRIC_AUTH_HASHES) - before, 5);
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_DELAYED);
    remote = "192.0.2.2";
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_GOOD);
}

/* Who breaks off while his guess is hashed has made it all the same. */
static void test_broken_off_guesses(void **state)
{
    struct answered answered;
    char password[16];

    (void)state;
    set_slow_password("secret");
    for (unsigned i = 0; i < 5; i++) {
        snprintf(password, sizeof(password), "wrong %u", i);
        begin(&answered, "anna@example.com", password);
        while (metric_sum(METRIC_AUTH_QUEUE) > 0)
            ;
        check_cancel(checker, &answered.check);
        finish_all();
    }
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_DELAYED);
}

/* Over many names from one address; nobody at a trusted one is met by that. */
static void test_trusted(void **state)
{
    int64_t hashes;
    char name[32];

    (void)state;
    for (unsigned i = 0; i < 9; i++) {
        snprintf(name, sizeof(name), "guest%u@example.com", i);
        assert_int_equal(check(name, "wrong", NULL), CHECK_WRONG);
    }
    assert_int_equal(check("anna@example.com", "secret", &hashes), CHECK_DELAYED);
    assert_int_equal(hashes, 0);
    accounts.trusted = true;
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_GOOD);
    accounts.trusted = false;
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_GOOD);
    assert_int_equal(check("nobody@example.com", "secret", NULL), CHECK_DELAYED);
}

/* The hash for nobody follows the configuration, or its time would tell who exists. */
static void test_reconfigure(void **state)
{
    int64_t hashes;

    (void)state;
    assert_int_equal(check("nobody@example.com", "secret", &hashes), CHECK_WRONG);
    checker_configure(checker, &conf);
    assert_int_equal(check("nobody@example.com", "secret", &hashes), CHECK_WRONG);
    assert_int_equal(hashes, 0);
    conf.hash_operations = 2;
    checker_configure(checker, &conf);
    /* As for a mailbox that there is, whose hash stays: what is wrong is known to be. */
    assert_int_equal(check("nobody@example.com", "secret", &hashes), CHECK_WRONG);
    assert_int_equal(hashes, 0);
    assert_int_equal(check("nobody@example.com", "Secret", &hashes), CHECK_WRONG);
    assert_int_equal(hashes, 1);
}

static void set_hash(const char *hash)
{
    snprintf(accounts.login.hash, sizeof(accounts.login.hash), "%s", hash);
}

static void wait_upgraded(void)
{
    while (reported.upgrades == 0)
        event_base_loop(base, EVLOOP_ONCE);
}

/* Of the word with a letter and its diacritic apart, and in Latin-1. */
#define SHA_DECOMPOSED "{SHA}EPjyBZETC+ygkJRSP64UMgYwIqQ="
#define SHA_LATIN_1    "{SHA}Hz6mzlWsjFLqjfg7lVBv7WmYwN8="
#define SHA_SECRET     "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="

/* At the first good login, and with that hash the next one costs nothing. */
static void test_upgrade(void **state)
{
    int64_t hashes;

    (void)state;
    set_hash(SHA_SECRET);
    assert_int_equal(check("anna@example.com", "Secret", NULL), CHECK_WRONG);
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_GOOD);
    wait_upgraded();
    assert_string_equal(reported.old_hash, SHA_SECRET);
    assert_int_equal(crypto_pwhash_str_verify(reported.new_hash, "secret", 6), 0);
    assert_int_equal(crypto_pwhash_str_needs_rehash(reported.new_hash, 1, 8192), 0);
    set_hash(reported.new_hash);
    assert_int_equal(check("anna@example.com", "secret", &hashes), CHECK_GOOD);
    assert_int_equal(hashes, 0);
    assert_int_equal(check("anna@example.com", "Secret", NULL), CHECK_WRONG);
    assert_int_equal(reported.upgrades, 1);
}

/* One that costs what is configured, or more, is left alone, until more is configured. */
static void test_upgrade_to_higher_cost(void **state)
{
    (void)state;
    assert_int_equal(check("anna@example.com", "secret", NULL), CHECK_GOOD);
    conf.hash_operations = 2;
    checker_configure(checker, &conf);
    set_password("another");
    assert_int_equal(check("anna@example.com", "another", NULL), CHECK_GOOD);
    wait_upgraded();
    assert_int_equal(reported.upgrades, 1);
    assert_int_equal(crypto_pwhash_str_needs_rehash(reported.new_hash, 2, 8192), 0);
}

/* What another server has hashed is what was typed, in this form or that. */
static void test_raw_password(void **state)
{
    (void)state;
    set_hash(SHA_DECOMPOSED);
    assert_int_equal(check("anna@example.com", "Gr\u00fc\u00dfe", NULL), CHECK_WRONG);
    assert_int_equal(check("anna@example.com", "Gru\u0308\u00dfe", NULL), CHECK_GOOD);
    wait_upgraded();
    /* Ours is made of the prepared form, so from now on both are good. */
    set_hash(reported.new_hash);
    assert_int_equal(check("anna@example.com", "Gr\u00fc\u00dfe", NULL), CHECK_GOOD);
    assert_int_equal(check("anna@example.com", "Gru\u0308\u00dfe", NULL), CHECK_GOOD);
}

/* Latin-1 has no prepared form: it is good where it was hashed, and cannot be hashed anew. */
static void test_password_without_form(void **state)
{
    (void)state;
    set_hash(SHA_LATIN_1);
    assert_int_equal(check("anna@example.com",
                           "Gr\xfc\xdf"
                           "e",
                           NULL),
                     CHECK_GOOD);
    assert_int_equal(check("anna@example.com",
                           "Gr\xfc\xdf"
                           "E",
                           NULL),
                     CHECK_WRONG);
    set_password("secret");
    assert_int_equal(check("anna@example.com",
                           "Gr\xfc\xdf"
                           "e",
                           NULL),
                     CHECK_WRONG);
    assert_int_equal(check("nobody@example.com",
                           "Gr\xfc\xdf"
                           "e",
                           NULL),
                     CHECK_WRONG);
    assert_int_equal(reported.upgrades, 0);
}

static void set_app_password(char text_r[APPPASSWORD_TEXT_SIZE])
{
    uint8_t octets[APPPASSWORD_OCTETS];

    apppassword_draw(octets, text_r);
    apppassword_digest(accounts.digest, app_key, 7, octets);
    accounts.app_password =
        (struct db_app_password){.id = 9, .name = "phone", .pop3 = true, .used = UINT32_MAX};
}

static void test_app_password(void **state)
{
    char text[APPPASSWORD_TEXT_SIZE];
    char other[APPPASSWORD_TEXT_SIZE];
    uint8_t octets[APPPASSWORD_OCTETS];
    struct answered answered;
    int64_t hashes;

    (void)state;
    apppassword_draw(octets, other);
    set_app_password(text);
    assert_int_equal(check("anna@example.com", text, &hashes), CHECK_GOOD);
    assert_int_equal(hashes, 0);
    assert_int_equal(reported.used, 0);
    accounts.app_password.used = 1;
    begin(&answered, "anna@example.com", text);
    assert_int_equal(answered.result, CHECK_GOOD);
    assert_string_equal(answered.check.credential, "phone");
    assert_int_equal(reported.used, 1);
    assert_string_equal(reported.remote, "192.0.2.1");

    /* One that is none, or somebody else's, costs as little, known name or not. */
    static const char *const names[] = {"anna@example.com", "nobody@example.com", "no address"};
    for (size_t i = 0; i < 3; i++) {
        unsigned lookups = accounts.lookups;
        assert_int_equal(check(names[i], i == 0 ? other : text, &hashes), CHECK_WRONG);
        assert_int_equal(hashes, 0);
        assert_int_equal(accounts.lookups, lookups + 1);
    }
    /* What has not the form is never looked up. */
    unsigned lookups = accounts.lookups;
    assert_int_equal(check("anna@example.com", "secret", &hashes), CHECK_GOOD);
    assert_int_equal(hashes, 1);
    assert_int_equal(accounts.lookups, lookups);
}

static const struct {
    const char *service;
    struct db_app_password password;
    bool suspended;
    bool sending;
    enum check_result result;
    const char *reason;
} app_password_rules[] = {
    {"pop3", {.pop3 = true}, false, true, CHECK_GOOD, ""},
    {"smtp", {.smtp = true}, false, true, CHECK_GOOD, ""},
    {"smtp", {.pop3 = true}, false, true, CHECK_WRONG, "the app password is not for smtp"},
    {"pop3", {.smtp = true}, false, true, CHECK_WRONG, "the app password is not for pop3"},
    {"imap",
     {.pop3 = true, .smtp = true},
     false,
     true,
     CHECK_WRONG,
     "app passwords are not for this"},
    {"pop3",
     {.pop3 = true, .expires = 1},
     false,
     true,
     CHECK_WRONG,
     "the app password has expired"},
    {"pop3", {.pop3 = true, .expires = UINT32_MAX}, false, true, CHECK_GOOD, ""},
    {"pop3", {.pop3 = true}, true, true, CHECK_DISABLED, "suspended"},
    {"smtp", {.pop3 = true}, true, true, CHECK_WRONG, "the app password is not for smtp"},
    {"smtp", {.smtp = true}, false, false, CHECK_FORBIDDEN, "sending is not allowed"},
    {"smtp", {.smtp = true}, true, false, CHECK_DISABLED, "suspended"},
    {"pop3", {.pop3 = true}, false, false, CHECK_GOOD, ""},
};

static void test_app_password_rules(void **state)
{
    char text[APPPASSWORD_TEXT_SIZE];

    (void)state;
    set_app_password(text);
    for (size_t i = 0; i < sizeof(app_password_rules) / sizeof(app_password_rules[0]); i++) {
        struct answered answered = {.check.done = on_done,
                                    .check.service = app_password_rules[i].service,
                                    .check.remote = ""};
        accounts.app_password = app_password_rules[i].password;
        accounts.app_password.used = UINT32_MAX;
        accounts.login.suspended = app_password_rules[i].suspended;
        accounts.login.sending = app_password_rules[i].sending;
        check_start(checker, &answered.check, "anna@example.com", 16, text, strlen(text));
        assert_int_equal(answered.count, 1);
        assert_int_equal(answered.result, app_password_rules[i].result);
        assert_string_equal(answered.check.reason, app_password_rules[i].reason);
    }
    assert_int_equal(reported.used, 0);
}

/* The mailbox that has only one of the two services has it with any password. */
static void test_service_switched_off(void **state)
{
    static const struct {
        const char *service;
        bool fetching;
        enum check_result result;
    } cases[] = {
        {"pop3", false, CHECK_DISABLED}, {"pop3", true, CHECK_GOOD}, {"smtp", false, CHECK_GOOD}};
    char text[APPPASSWORD_TEXT_SIZE];

    (void)state;
    set_app_password(text);
    accounts.app_password.pop3 = accounts.app_password.smtp = true;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct answered answered = {
            .check.done = on_done, .check.service = cases[i].service, .check.remote = ""};
        accounts.login.fetching = cases[i].fetching;
        check_start(checker, &answered.check, "anna@example.com", 16, text, strlen(text));
        assert_int_equal(answered.result, cases[i].result);
    }
}

/* The mailbox needs no other password, and a database that fails is no wrong one. */
static void test_app_password_alone(void **state)
{
    char text[APPPASSWORD_TEXT_SIZE];

    (void)state;
    set_app_password(text);
    accounts.login.hash[0] = '\0';
    assert_int_equal(check("anna@example.com", text, NULL), CHECK_GOOD);
    accounts.result = DB_BROKEN;
    assert_int_equal(check("anna@example.com", text, NULL), CHECK_BROKEN);
    accounts.result = DB_OK;
    assert_int_equal(check("anna@example.com", text, NULL), CHECK_GOOD);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_good_and_wrong),
        TEST(test_cache),
        TEST(test_changed_password),
        TEST(test_suspended),
        TEST(test_pages),
        TEST(test_wrong_keys),
        TEST(test_no_password),
        TEST(test_database_fails),
        TEST(test_together),
        TEST(test_hash_fails),
        TEST(test_proof),
        TEST(test_proof_too_late),
        TEST(test_keys_of_nobody),
        TEST(test_keys_of_a_good_password),
        TEST(test_proofs_are_guesses),
        TEST(test_same_credentials_share_a_hash),
        TEST(test_change_meanwhile),
        TEST(test_cancel),
        TEST(test_busy),
        TEST(test_held_back),
        TEST(test_service_switched_off),
        TEST(test_guesses_at_once),
        TEST(test_broken_off_guesses),
        TEST(test_trusted),
        TEST(test_reconfigure),
        TEST(test_upgrade),
        TEST(test_upgrade_to_higher_cost),
        TEST(test_raw_password),
        TEST(test_password_without_form),
        TEST(test_app_password),
        TEST(test_app_password_rules),
        TEST(test_app_password_alone),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
