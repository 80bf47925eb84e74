#include "tests/unit/db_fixture.h"

#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "db/auditchain.h"
#include "db/handle.h"
#include "db/login.h"
#include "db/migrations.h"
#include "db/plan.h"

static void execute(const char *path, const char *sql)
{
    struct sqlite3 *sqlite;
    assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
    assert_int_equal(sqlite3_exec(sqlite, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(sqlite), SQLITE_OK);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* Both modes refuse the file with a sentence that holds `word`. */
static void assert_refused(const char *path, const char *word)
{
    static const enum db_mode modes[] = {DB_READ, DB_WRITE};
    for (size_t i = 0; i < 2; i++) {
        char error[512] = "";
        assert_null(db_open(path, modes[i], error, sizeof(error)));
        if (strstr(error, word) == NULL) {
            fail_msg("\"%s\" is not in: %s", word, error);
        }
        /* Whoever shows it puts it into a line of its own. */
        assert_int_not_equal(error[strlen(error) - 1], '.');
    }
}

static void makes_a_private_file(void **state)
{
    struct fixture *fixture = *state;
    struct stat status;
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void seeds_three_plans(void **state)
{
    static const struct {
        const char *name;
        unsigned addresses;
    } seeds[] = {{"single", 1}, {"house", 25}, {"chain", 100}};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 3; i++) {
        struct db_plan plan;
        const char *error = "";
        assert_int_equal(db_plan_find(fixture->db, seeds[i].name, &plan), DB_OK);
        assert_int_equal(plan.addresses, seeds[i].addresses);
        assert_true(plan.message_octets >= 50000000);
        assert_int_equal(db_plan_check(&plan, &error), 0);
    }
}

static void keeps_everything_when_applied_again(void **state)
{
    struct fixture *fixture = *state;
    struct db_customer customer;
    char error[512] = "";
    unsigned from = 99;
    unsigned version = 99;
    assert_int_equal(db_schema_apply(fixture->path, &from, error, sizeof(error)), 0);
    assert_int_equal(from, db_schema_version());
    assert_int_equal(db_schema_read(fixture->path, &version, error, sizeof(error)), 0);
    assert_int_equal(version, db_schema_version());
    assert_int_equal(db_customer_find(fixture->db, "ours", &customer), DB_OK);
}

static void refuses_a_missing_file(void **state)
{
    (void)state;
    static const char path[] = "none.db";
    struct stat status;
    assert_refused(path, "bellhop init");
    assert_int_equal(stat(path, &status), -1);
}

static void refuses_an_older_version(void **state)
{
    struct fixture *fixture = *state;
    execute(fixture->path, "PRAGMA user_version = 0");
    assert_refused(fixture->path, "bellhop init");
}

static void refuses_a_newer_version(void **state)
{
    struct fixture *fixture = *state;
    char error[512] = "";
    unsigned from;
    execute(fixture->path, "PRAGMA user_version = 77");
    assert_refused(fixture->path, "version 77");
    assert_refused(fixture->path, "install");
    assert_int_equal(db_schema_apply(fixture->path, &from, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "version 77"));
}

/* Neither opened nor changed: whatever else lies there may be somebody's work. */
static void refuses_what_is_not_ours(void **state)
{
    (void)state;
    static const char path[] = "other.db";
    char error[512] = "";
    unsigned from;
    unsigned version = 99;
    struct stat before;
    struct stat after;

    execute(path, "CREATE TABLE thing (id INTEGER PRIMARY KEY); PRAGMA user_version = 1");
    assert_int_equal(stat(path, &before), 0);
    assert_refused(path, "not an account database");
    assert_int_equal(db_schema_apply(path, &from, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "not an account database"));
    assert_int_equal(db_schema_read(path, &version, error, sizeof(error)), 0);
    assert_int_equal(version, 0);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);

    write_file(path,
               "This is a letter, not a database. It is long enough to be taken for a header, "
               "and it says nothing that a program could use.\n");
    assert_refused(path, "not an account database");
    assert_int_equal(db_schema_apply(path, &from, error, sizeof(error)), -1);
}

static void refuses_an_empty_file_and_fills_it(void **state)
{
    struct fixture *fixture = *state;
    char error[512] = "";
    unsigned from = 99;
    db_close(fixture->db);
    fixture->db = NULL;
    write_file(fixture->path, "");
    assert_refused(fixture->path, "not an account database");
    assert_int_equal(db_schema_apply(fixture->path, &from, error, sizeof(error)), 0);
    assert_int_equal(from, 0);
    fixture->db = fixture_open(fixture, DB_WRITE);
}

static const char first[] = "PRAGMA application_id = 1113943148; PRAGMA user_version = 1;"
                            "CREATE TABLE parent (id INTEGER PRIMARY KEY);"
                            "CREATE TABLE child (parent INTEGER REFERENCES parent (id));"
                            "INSERT INTO parent VALUES (7); INSERT INTO child VALUES (7);";

static const char again[] = "PRAGMA user_version = 2;"
                            "CREATE TABLE fresh (id INTEGER PRIMARY KEY);"
                            "INSERT INTO fresh SELECT id FROM parent;"
                            "DROP TABLE parent; ALTER TABLE fresh RENAME TO parent;";

static const char failing[] = "DROP TABLE child; PRAGMA user_version = 3; nonsense;";
static const char orphaning[] = "DELETE FROM parent; PRAGMA user_version = 3;";
static const char forgetful[] = "DROP TABLE child;";

static void goes_from_version_to_version(void **state)
{
    (void)state;
    const char *const list[] = {first, again};
    static const char path[] = "steps.db";
    char error[512] = "";
    unsigned from = 99;
    assert_int_equal(migrations_apply(list, 1, path, &from, error, sizeof(error)), 0);
    assert_int_equal(from, 0);
    assert_int_equal(migrations_apply(list, 2, path, &from, error, sizeof(error)), 0);
    assert_int_equal(from, 1);
    assert_int_equal(migrations_apply(list, 2, path, &from, error, sizeof(error)), 0);
    assert_int_equal(from, 2);
    execute(path, "INSERT INTO child SELECT id FROM parent WHERE id = 7");
}

static void undoes_a_migration_that_fails(void **state)
{
    static const char *const bad[] = {failing, orphaning, forgetful};
    (void)state;
    static const char path[] = "steps.db";
    for (size_t i = 0; i < 3; i++) {
        const char *const list[] = {first, again, bad[i]};
        char error[512] = "";
        unsigned from = 99;
        unsigned version = 99;
        assert_int_equal(migrations_apply(list, 3, path, &from, error, sizeof(error)), -1);
        assert_non_null(strstr(error, "version 3"));
        assert_int_equal(db_schema_read(path, &version, error, sizeof(error)), 0);
        assert_int_equal(version, 2);
        execute(path, "SELECT * FROM child");
        assert_int_equal(unlink(path), 0);
    }
}

/* What version 1 held is still there, and its customers are written to in English. */
static void takes_version_1_along(void **state)
{
    (void)state;
    static const char path[] = "old.db";
    struct db_customer customer;
    char error[512] = "";
    unsigned from = 99;
    enum language language;

    assert_int_equal(migrations_apply(migrations, 1, path, &from, error, sizeof(error)), 0);
    execute(path, "INSERT INTO customer (name, plan, created) SELECT 'old', id, 7 FROM plan"
                  " WHERE name = 'house'; INSERT INTO domain (customer, name, created)"
                  " SELECT id, 'old.example', 7 FROM customer");
    assert_refused(path, "bellhop init");
    assert_int_equal(db_schema_apply(path, &from, error, sizeof(error)), 0);
    assert_int_equal(from, 1);
    struct db *db = db_open(path, DB_WRITE, error, sizeof(error));
    assert_non_null(db);
    assert_int_equal(db_customer_find(db, "old", &customer), DB_OK);
    assert_int_equal(customer.language, LANGUAGE_EN);
    assert_int_equal(customer.domains, 1);
    /* The list in SQL is that of lib/language.h. */
    for (language = 0; language < LANGUAGE__MAX; language++) {
        assert_int_equal(db_customer_set_language(db, customer.id, language), DB_OK);
        assert_int_equal(db_customer_get(db, customer.id, &customer), DB_OK);
        assert_int_equal(customer.language, language);
    }
    db_close(db);
}

struct applier {
    pthread_t thread;
    const char *path;
    int result;
    char error[512];
};

static void *apply(void *context)
{
    struct applier *applier = context;
    unsigned from;
    applier->result = db_schema_apply(applier->path, &from, applier->error, sizeof(applier->error));
    return NULL;
}

static void is_made_once_by_many(void **state)
{
    struct fixture *fixture = *state;
    struct applier appliers[8];
    struct db_plan plan = {0};
    unsigned plans = 0;
    db_close(fixture->db);
    fixture->db = NULL;
    assert_int_equal(unlink(fixture->path), 0);
    for (size_t i = 0; i < 8; i++) {
        appliers[i].path = fixture->path;
        assert_int_equal(pthread_create(&appliers[i].thread, NULL, apply, &appliers[i]), 0);
    }
    for (size_t i = 0; i < 8; i++) {
        pthread_join(appliers[i].thread, NULL);
    }
    for (size_t i = 0; i < 8; i++) {
        if (appliers[i].result != 0) {
            fail_msg("%s", appliers[i].error);
        }
    }
    fixture->db = fixture_open(fixture, DB_WRITE);
    while (db_plan_next(fixture->db, &plan) == DB_OK) {
        plans++;
    }
    assert_int_equal(plans, 3);
}

/* SQLite itself waits for nobody while it makes a file's journal a WAL. */
static void waits_for_who_writes_a_new_file(void **state)
{
    struct fixture *fixture = *state;
    struct applier applier = {.path = fixture->path};
    const struct timespec while_it_waits = {.tv_nsec = 100 * 1000 * 1000};
    sqlite3 *other;

    db_close(fixture->db);
    fixture->db = NULL;
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(sqlite3_open(fixture->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(pthread_create(&applier.thread, NULL, apply, &applier), 0);
    nanosleep(&while_it_waits, NULL);
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    pthread_join(applier.thread, NULL);
    sqlite3_close(other);
    if (applier.result != 0)
        fail_msg("%s", applier.error);
    fixture->db = fixture_open(fixture, DB_WRITE);
}

static void asks_for_what_it_needs(void **state)
{
    static const struct {
        const char *pragma;
        const char *read;
        const char *write;
    } wanted[] = {
        {"PRAGMA journal_mode", "wal", "wal"}, {"PRAGMA foreign_keys", "1", "1"},
        {"PRAGMA synchronous", "2", "2"},      {"PRAGMA busy_timeout", "5000", "5000"},
        {"PRAGMA trusted_schema", "0", "0"},   {"PRAGMA query_only", "1", "0"},
        {"PRAGMA temp_store", "2", "2"},
    };
    struct fixture *fixture = *state;
    struct db *reader = fixture_open(fixture, DB_READ);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        for (int reads = 0; reads < 2; reads++) {
            sqlite3_stmt *ask;
            struct sqlite3 *sqlite = reads ? reader->sqlite : fixture->db->sqlite;
            assert_int_equal(sqlite3_prepare_v2(sqlite, wanted[i].pragma, -1, &ask, NULL),
                             SQLITE_OK);
            assert_int_equal(sqlite3_step(ask), SQLITE_ROW);
            assert_string_equal((const char *)sqlite3_column_text(ask, 0),
                                reads ? wanted[i].read : wanted[i].write);
            sqlite3_finalize(ask);
        }
    }
    assert_int_equal(
        db_customer_set_suspended(reader, fixture->ours, true, DB_SUSPENDED_AS_CONFIGURED),
        DB_BROKEN);
    db_close(reader);
}

/* Passwords that version 2 held are those of version 3. */
static void takes_version_2_along(void **state)
{
    (void)state;
    static const char path[] = "old.db";
    struct db_login login;
    struct address address = fixture_address("a@old.example");
    char error[512] = "";
    unsigned from = 99;

    assert_int_equal(migrations_apply(migrations, 2, path, &from, error, sizeof(error)), 0);
    execute(path, "INSERT INTO customer (id, name, plan, created) SELECT 1, 'old', id, 7 FROM plan"
                  " WHERE name = 'house'; INSERT INTO domain VALUES (2, 1, 'old.example', 7);"
                  "INSERT INTO mailbox VALUES (3, 1, '', 0, 7);"
                  "INSERT INTO address VALUES (4, 1, 2, 'a', 3, 7);"
                  "INSERT INTO credential VALUES (3, 1, 'a hash', 7);");
    assert_int_equal(db_schema_apply(path, &from, error, sizeof(error)), 0);
    assert_int_equal(from, 2);
    struct db *db = db_open(path, DB_READ, error, sizeof(error));
    assert_non_null(db);
    assert_int_equal(db_login_find(db, &address, &login), DB_OK);
    assert_int_equal(login.mailbox, 3);
    assert_string_equal(login.hash, "a hash");
    db_close(db);
}

/* Rows of the audit from before it was chained are still there, and the chains begin behind them.
 */
static void takes_version_3_along(void **state)
{
    (void)state;
    static const char path[] = "old.db";
    static const char *const actions[] = {"customer.add", "address.add", "customer.language"};
    struct db_audit audit = {0};
    char error[512] = "";
    unsigned from = 99;

    assert_int_equal(migrations_apply(migrations, 3, path, &from, error, sizeof(error)), 0);
    execute(path, "INSERT INTO customer (id, name, plan, created) SELECT 1, 'old', id, 7 FROM plan"
                  " WHERE name = 'house';"
                  "INSERT INTO audit VALUES (3, 7, 1, 'a', 'customer.add', 'old');"
                  "INSERT INTO audit VALUES (4, 7, NULL, 'a', 'plan.add', 'own');"
                  "INSERT INTO audit VALUES (6, 8, 1, 'a', 'address.add', 'a@old.example');");
    assert_int_equal(db_schema_apply(path, &from, error, sizeof(error)), 0);
    struct db *db = db_open(path, DB_WRITE, error, sizeof(error));
    assert_non_null(db);
    assert_int_equal(db_customer_set_language(db, 1, LANGUAGE_DE), DB_OK);
    struct auditchain *chain = auditchain_new(false);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(db_audit_follow(db, 1, &audit), DB_OK);
        assert_string_equal(audit.action, actions[i]);
        assert_int_equal(auditchain_check(chain, &audit, error, sizeof(error)), 0);
    }
    assert_int_equal(auditchain_unsealed(chain), 2);
    assert_int_equal(audit.id, 7);
    auditchain_free(chain);
    db_audit_free(&audit);
    db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(makes_a_private_file),
        fixture_test(seeds_three_plans),
        fixture_test(keeps_everything_when_applied_again),
        fixture_test(refuses_a_missing_file),
        fixture_test(refuses_an_older_version),
        fixture_test(refuses_a_newer_version),
        fixture_test(refuses_what_is_not_ours),
        fixture_test(refuses_an_empty_file_and_fills_it),
        fixture_test(goes_from_version_to_version),
        fixture_test(undoes_a_migration_that_fails),
        fixture_test(takes_version_1_along),
        fixture_test(takes_version_2_along),
        fixture_test(takes_version_3_along),
        fixture_test(waits_for_who_writes_a_new_file),
        fixture_test(is_made_once_by_many),
        fixture_test(asks_for_what_it_needs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
