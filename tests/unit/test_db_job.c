#include "tests/unit/db_fixture.h"

#include <sqlite3.h>

#include "db/handle.h"
#include "db/job.h"

static uint64_t begin(struct db *db, uint64_t customer)
{
    struct db_job job = {.customer = customer, .format = DB_JOB_NDJSON, .all = true};
    db_audit_actor(db, "api-key panel");
    db_audit_source(db, "192.0.2.1", "r1");
    assert_int_equal(db_job_begin(db, &job), DB_OK);
    return job.id;
}

static void execute(struct db *db, const char *sql)
{
    assert_int_equal(sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL), SQLITE_OK);
}

static void keeps_an_upload_in_pieces(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_job job = {0};
    char octets[DB_JOB_PART_MAX];
    unsigned number = 0;
    size_t length;
    uint64_t id = begin(db, fixture->ours);

    assert_int_equal(db_job_add_part(db, id, 1, "one", 3), DB_OK);
    assert_int_equal(db_job_add_part(db, id, 2, "second", 6), DB_OK);
    assert_int_equal(db_job_add_part(db, id, 2, "again", 5), DB_TAKEN);
    /* Until it is started it is nothing to anybody. */
    assert_int_equal(db_job_get(db, fixture->ours, id, &job), DB_NONE);
    assert_int_equal(db_operator_job_find(db, id, &job), DB_NONE);
    assert_int_equal(db_job_start(db, fixture->theirs, id), DB_NONE);
    assert_int_equal(db_job_start(db, fixture->ours, id), DB_OK);
    assert_int_equal(db_job_add_part(db, id, 3, "late", 4), DB_NONE);

    assert_int_equal(db_job_get(db, fixture->theirs, id, &job), DB_NONE);
    assert_int_equal(db_job_get(db, fixture->ours, id, &job), DB_OK);
    assert_int_equal(job.octets, 9);
    assert_int_equal(job.format, DB_JOB_NDJSON);
    assert_int_equal(job.state, DB_JOB_CHECKING);
    assert_true(job.all && !job.dry_run && !job.result);
    assert_string_equal(job.actor, "api-key panel");
    assert_int_equal(db_job_part_next(db, id, &number, octets, &length), DB_OK);
    assert_memory_equal(octets, "one", 3);
    assert_int_equal(db_job_part_next(db, id, &number, octets, &length), DB_OK);
    assert_int_equal(number, 2);
    assert_int_equal(length, 6);
    assert_int_equal(db_job_part_next(db, id, &number, octets, &length), DB_NONE);
}

/* Two who work on it at once, as while a program is replaced: one of them does. */
static void advances_from_where_it_is(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    uint64_t id = begin(db, fixture->ours);
    struct db_job job = {.id = id};

    assert_int_equal(db_job_start(db, fixture->ours, id), DB_OK);
    assert_int_equal(db_job_advance(db, &job, 5, 5, 0), DB_NONE);
    job.rows = 10;
    assert_int_equal(db_job_checked(db, &job), DB_OK);
    assert_int_equal(db_job_checked(db, &job), DB_NONE);
    assert_int_equal(db_job_advance(db, &job, 5, 4, 1), DB_OK);
    assert_int_equal(db_job_advance(db, &job, 5, 4, 1), DB_NONE);
    assert_int_equal(db_job_get(db, fixture->ours, id, &job), DB_OK);
    assert_int_equal(job.place, 5);
    assert_int_equal(job.made, 4);
    assert_int_equal(job.wrong, 1);
    assert_int_equal(db_job_advance(db, &job, 10, 5, 0), DB_OK);
    assert_int_equal(db_job_end(db, &job, DB_JOB_DONE), DB_OK);
    assert_int_equal(db_job_end(db, &job, DB_JOB_CANCELLED), DB_NONE);
    assert_int_equal(db_job_get(db, fixture->ours, id, &job), DB_OK);
    assert_int_equal(job.state, DB_JOB_DONE);
}

/* Who hashes for it is told when somebody has ended it, before the next password. */
static void keeps_no_hash_once_it_has_ended(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    uint64_t id = begin(db, fixture->ours);
    struct db_job job = {.id = id, .customer = fixture->ours, .rows = 10};
    char hash[8];
    char scram[8];

    assert_int_equal(db_job_start(db, fixture->ours, id), DB_OK);
    assert_int_equal(db_job_add_hash(db, id, 1, "hash", "scram"), DB_NONE);
    assert_int_equal(db_job_checked(db, &job), DB_OK);
    assert_int_equal(db_job_add_hash(db, id, 1, "hash", "scram"), DB_OK);
    assert_int_equal(db_job_add_hash(db, id, 1, "other", "scram"), DB_TAKEN);
    assert_int_equal(db_job_find_hash(db, id, 1, hash, sizeof(hash), scram, sizeof(scram)), DB_OK);
    assert_string_equal(hash, "hash");
    assert_int_equal(db_job_end(db, &job, DB_JOB_CANCELLED), DB_OK);
    assert_int_equal(db_job_add_hash(db, id, 2, "hash", "scram"), DB_NONE);
    assert_int_equal(db_job_find_hash(db, id, 1, hash, sizeof(hash), scram, sizeof(scram)),
                     DB_NONE);
}

static void tells_how_far_it_is(void **state)
{
    struct db_job job = {.state = DB_JOB_CHECKING, .rows = 0};
    (void)state;

    assert_int_equal(db_job_percent(&job), 0);
    job = (struct db_job){.state = DB_JOB_APPLYING, .rows = 100000, .place = 50000};
    assert_int_equal(db_job_percent(&job), 55);
    job.aliases = 1; /* they are gone through behind the mailboxes */
    assert_int_equal(db_job_percent(&job), 32);
    job.state = DB_JOB_FAILED;
    assert_int_equal(db_job_percent(&job), 100);
}

static void gives_out_its_secret_until_the_result_is_taken(void **state)
{
    static const uint8_t zeros[DB_JOB_SECRET_SIZE];
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    uint8_t secret[DB_JOB_SECRET_SIZE];
    uint64_t id = begin(db, 0);
    struct db_job job = {.id = id, .rows = 1};

    assert_int_equal(db_job_start(db, 0, id), DB_OK);
    assert_int_equal(db_job_take_result(db, 0, id), DB_NONE);
    assert_int_equal(db_job_checked(db, &job), DB_OK);
    assert_int_equal(db_job_advance(db, &job, 1, 1, 0), DB_OK);
    assert_int_equal(db_job_end(db, &job, DB_JOB_DONE), DB_OK);
    assert_int_equal(db_job_secret(db, id, secret), DB_OK);
    assert_memory_not_equal(secret, zeros, sizeof(secret));
    assert_int_equal(db_operator_job_find(db, id, &job), DB_OK);
    assert_true(job.result);
    assert_int_equal(db_job_take_cards(db, fixture->ours, id), DB_NONE);
    assert_int_equal(db_job_take_cards(db, 0, id), DB_OK);
    assert_int_equal(db_job_take_cards(db, 0, id), DB_NONE);
    assert_int_equal(db_job_secret(db, id, secret), DB_OK);
    assert_int_equal(db_job_take_result(db, fixture->ours, id), DB_NONE);
    assert_int_equal(db_job_take_result(db, 0, id), DB_OK);
    assert_int_equal(db_job_take_result(db, 0, id), DB_NONE);
    assert_int_equal(db_job_secret(db, id, secret), DB_NONE);
}

static void has_no_cards_after_its_result(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    uint64_t id = begin(db, fixture->ours);
    struct db_job job = {.id = id, .customer = fixture->ours, .rows = 1};

    assert_int_equal(db_job_start(db, fixture->ours, id), DB_OK);
    assert_int_equal(db_job_checked(db, &job), DB_OK);
    assert_int_equal(db_job_advance(db, &job, 1, 1, 0), DB_OK);
    assert_int_equal(db_job_take_cards(db, fixture->ours, id), DB_NONE);
    assert_int_equal(db_job_end(db, &job, DB_JOB_DONE), DB_OK);
    assert_int_equal(db_job_take_result(db, fixture->ours, id), DB_OK);
    assert_int_equal(db_job_take_cards(db, fixture->ours, id), DB_NONE);
}

static void has_no_more_than_some_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    struct db_job job = {.customer = fixture->ours};
    struct db_limit limit;
    uint64_t id = begin(db, fixture->ours);

    for (unsigned i = 1; i < DB_JOBS_MAX; i++) {
        begin(db, fixture->ours);
    }
    assert_int_equal(db_job_begin(db, &job), DB_LIMIT);
    db_limit_get(db, &limit);
    assert_int_equal(limit.kind, DB_LIMIT_JOBS);
    begin(db, fixture->theirs);
    assert_int_equal(db_job_abandon(db, id), DB_OK);
    assert_int_equal(db_job_begin(db, &job), DB_OK);
}

static int64_t count(struct db *db, const char *sql)
{
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db->sqlite, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

static void forgets_in_time(void **state)
{
    struct fixture *fixture = *state;
    struct db *db = fixture->db;
    uint64_t broken = begin(db, fixture->ours);
    uint64_t id = begin(db, fixture->ours);
    struct db_job job = {.id = id, .rows = 2};
    const struct db_job_error error = {.row = 2, .line = 3, .code = "taken"};

    for (unsigned i = 1; i <= 40; i++) {
        assert_int_equal(db_job_add_part(db, broken, i, "x", 1), DB_OK);
    }
    assert_int_equal(db_job_add_part(db, id, 1, "x", 1), DB_OK);
    assert_int_equal(db_job_start(db, fixture->ours, id), DB_OK);
    assert_int_equal(db_job_add_error(db, id, &error), DB_OK);
    assert_int_equal(db_job_checked(db, &job), DB_OK);
    assert_int_equal(db_job_advance(db, &job, 2, 1, 0), DB_OK);
    assert_int_equal(db_job_end(db, &job, DB_JOB_DONE), DB_OK);
    assert_int_equal(db_job_prune(db), DB_NONE);

    /* An upload that nobody goes on with. */
    execute(db, "UPDATE job SET created = created - 4000 WHERE state = 'upload'");
    while (db_job_prune(db) == DB_OK) {
    }
    assert_int_equal(count(db, "SELECT count(*) FROM job"), 1);
    assert_int_equal(count(db, "SELECT count(*) FROM job_part"), 1);
    /* The upload goes with the result. */
    execute(db, "UPDATE job SET ended = ended - 8 * 86400");
    while (db_job_prune(db) == DB_OK) {
    }
    assert_int_equal(count(db, "SELECT count(*) FROM job WHERE secret IS NULL"), 1);
    assert_int_equal(count(db, "SELECT count(*) FROM job_part"), 0);
    assert_int_equal(count(db, "SELECT count(*) FROM job_error"), 1);
    execute(db, "UPDATE job SET ended = ended - 31 * 86400");
    while (db_job_prune(db) == DB_OK) {
    }
    assert_int_equal(count(db, "SELECT count(*) FROM job"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(keeps_an_upload_in_pieces),
        fixture_test(advances_from_where_it_is),
        fixture_test(keeps_no_hash_once_it_has_ended),
        fixture_test(tells_how_far_it_is),
        fixture_test(gives_out_its_secret_until_the_result_is_taken),
        fixture_test(has_no_cards_after_its_result),
        fixture_test(has_no_more_than_some_at_once),
        fixture_test(forgets_in_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
