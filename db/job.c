#include "db/job.h"

#include <inttypes.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "db/handle.h"

/* Seconds after which nobody sends the rest of an upload any more. */
#define UPLOAD_TIME 3600

#define DAY 86400

static const char *const states[] = {"upload", "checking", "applying",
                                     "done",   "failed",   "cancelled"};
static const char *const formats[] = {"csv", "json", "ndjson"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char *db_job_state_name(enum db_job_state state)
{
    return states[state];
}

const char *db_job_format_name(enum db_job_format format)
{
    return formats[format];
}

/* The index of a word, or -1. */
static int find_word(const char *const *words, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(words[i], text) == 0) {
            return (int)i;
        }
    }
    return -1;
}

int db_job_state_parse(const char *name, enum db_job_state *state_r)
{
    int found = find_word(states, COUNT(states), name);
    if (found >= 0) {
        *state_r = (enum db_job_state)found;
    }
    return found >= 0 ? 0 : -1;
}

int db_job_format_parse(const char *name, enum db_job_format *format_r)
{
    int found = find_word(formats, COUNT(formats), name);
    if (found >= 0) {
        *format_r = (enum db_job_format)found;
    }
    return found >= 0 ? 0 : -1;
}

bool db_job_is_over(const struct db_job *job)
{
    return job->state >= DB_JOB_DONE;
}

unsigned db_job_places(const struct db_job *job)
{
    return job->aliases > 0 ? 2 * job->rows : job->rows;
}

unsigned db_job_percent(const struct db_job *job)
{
    uint64_t places = db_job_places(job);
    if (db_job_is_over(job)) {
        return 100;
    }
    if (job->state != DB_JOB_APPLYING) {
        return 0;
    }
    return DB_JOB_CHECKED_PERCENT +
           (places > 0 ? (unsigned)(job->place * (100 - DB_JOB_CHECKED_PERCENT) / places) : 0);
}

static enum db_result read_job(struct db *db, struct sqlite3_stmt *row, struct db_job *job_r)
{
    char mode[8];
    char format[16];
    char state[16];
    enum db_result result = statement_row(db, row);
    if (result != DB_OK) {
        return result;
    }
    job_r->id = statement_number(row, 0);
    job_r->customer = statement_number(row, 1);
    statement_text(row, 2, job_r->actor, sizeof(job_r->actor));
    statement_text(row, 3, job_r->remote, sizeof(job_r->remote));
    statement_text(row, 4, job_r->request, sizeof(job_r->request));
    statement_text(row, 5, format, sizeof(format));
    (void)db_job_format_parse(format, &job_r->format); /* the table has these words alone */
    statement_text(row, 6, mode, sizeof(mode));
    job_r->all = strcmp(mode, "all") == 0;
    job_r->dry_run = statement_bool(row, 7);
    statement_text(row, 8, state, sizeof(state));
    (void)db_job_state_parse(state, &job_r->state);
    job_r->octets = statement_number(row, 9);
    job_r->rows = statement_count(row, 10);
    job_r->aliases = statement_count(row, 11);
    job_r->wrong = statement_count(row, 12);
    job_r->place = statement_count(row, 13);
    job_r->made = statement_count(row, 14);
    job_r->created = statement_number(row, 15);
    job_r->begun = statement_number(row, 16);
    job_r->ended = statement_number(row, 17);
    job_r->result = statement_bool(row, 18) &&
                    (job_r->state == DB_JOB_DONE || job_r->state == DB_JOB_CANCELLED);
    statement_reset(row);
    return DB_OK;
}

/* --- the upload */

enum db_result db_job_begin(struct db *db, struct db_job *job)
{
    uint8_t secret[DB_JOB_SECRET_SIZE];
    struct sqlite3_stmt *begin = statement_get(db, STATEMENT_JOB_BEGIN);
    randombytes_buf(secret, sizeof(secret));
    statement_bind_number(begin, 1, job->customer);
    statement_bind_text(begin, 2, db->actor);
    statement_bind_text(begin, 3, db->remote);
    statement_bind_text(begin, 4, db->request);
    statement_bind_text(begin, 5, formats[job->format]);
    statement_bind_text(begin, 6, job->all ? "all" : "rows");
    statement_bind_number(begin, 7, job->dry_run);
    statement_bind_blob(begin, 8, secret, sizeof(secret));
    enum db_result result = statement_change(db, begin);
    job->id = (uint64_t)sqlite3_last_insert_rowid(db->sqlite);
    sodium_memzero(secret, sizeof(secret));
    return result;
}

enum db_result db_job_add_part(struct db *db, uint64_t job, unsigned number, const void *octets,
                               size_t length)
{
    struct sqlite3_stmt *add = statement_get(db, STATEMENT_JOB_PART_ADD);
    statement_bind_number(add, 1, job);
    statement_bind_number(add, 2, number);
    statement_bind_blob(add, 3, octets, length);
    return statement_change(db, add);
}

/* What the audit calls it. */
static const char *name_of(uint64_t job, char text_r[24])
{
    snprintf(text_r, 24, "%" PRIu64, job);
    return text_r;
}

enum db_result db_job_start(struct db *db, uint64_t customer, uint64_t job)
{
    char name[24];
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *start = statement_get(db, STATEMENT_JOB_START);
    statement_bind_number(start, 1, customer);
    statement_bind_number(start, 2, job);
    result = statement_change(db, start);
    return change_end(db, result, "job.start", customer, name_of(job, name));
}

enum db_result db_job_abandon(struct db *db, uint64_t job)
{
    struct sqlite3_stmt *abandon = statement_get(db, STATEMENT_JOB_ABANDON);
    statement_bind_number(abandon, 1, job);
    return statement_change(db, abandon);
}

/* --- looking */

enum db_result db_job_get(struct db *db, uint64_t customer, uint64_t id, struct db_job *job_r)
{
    struct sqlite3_stmt *get = statement_get(db, STATEMENT_JOB_GET);
    statement_bind_number(get, 1, customer);
    statement_bind_number(get, 2, id);
    return read_job(db, get, job_r);
}

enum db_result db_operator_job_find(struct db *db, uint64_t id, struct db_job *job_r)
{
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_OPERATOR_JOB_FIND);
    statement_bind_number(find, 1, id);
    return read_job(db, find, job_r);
}

/* What the id must be below. */
static uint64_t older(uint64_t than)
{
    return than == 0 ? INT64_MAX : than;
}

enum db_result db_job_next(struct db *db, uint64_t customer, struct db_job *job)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_JOB_NEXT);
    statement_bind_number(next, 1, customer);
    statement_bind_number(next, 2, older(job->id));
    return read_job(db, next, job);
}

enum db_result db_operator_job_next(struct db *db, struct db_job *job)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_OPERATOR_JOB_NEXT);
    statement_bind_number(next, 1, older(job->id));
    return read_job(db, next, job);
}

enum db_result db_job_open_next(struct db *db, struct db_job *job)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_JOB_OPEN_NEXT);
    statement_bind_number(next, 1, job->id);
    return read_job(db, next, job);
}

enum db_result db_job_part_next(struct db *db, uint64_t job, unsigned *number, void *octets_r,
                                size_t *length_r)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_JOB_PART_NEXT);
    statement_bind_number(next, 1, job);
    statement_bind_number(next, 2, *number);
    enum db_result result = statement_row(db, next);
    if (result != DB_OK) {
        return result;
    }
    *number = statement_count(next, 0);
    const void *octets = sqlite3_column_blob(next, 1);
    size_t length = (size_t)sqlite3_column_bytes(next, 1);
    *length_r = length < DB_JOB_PART_MAX ? length : DB_JOB_PART_MAX;
    memcpy(octets_r, octets, *length_r);
    statement_reset(next);
    return DB_OK;
}

enum db_result db_job_error_next(struct db *db, uint64_t job, struct db_job_error *error)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_JOB_ERROR_NEXT);
    statement_bind_number(next, 1, job);
    statement_bind_number(next, 2, error->row);
    statement_bind_number(next, 3, error->number);
    enum db_result result = statement_row(db, next);
    if (result != DB_OK) {
        return result;
    }
    error->row = statement_count(next, 0);
    error->number = statement_count(next, 1);
    error->line = statement_count(next, 2);
    statement_text(next, 3, error->name, sizeof(error->name));
    statement_text(next, 4, error->code, sizeof(error->code));
    statement_text(next, 5, error->reason, sizeof(error->reason));
    statement_reset(next);
    return DB_OK;
}

/* --- working on it */

enum db_result db_job_add_error(struct db *db, uint64_t job, const struct db_job_error *error)
{
    struct sqlite3_stmt *add = statement_get(db, STATEMENT_JOB_ERROR_ADD);
    statement_bind_number(add, 1, job);
    statement_bind_number(add, 2, error->row);
    statement_bind_number(add, 3, error->number);
    statement_bind_number(add, 4, error->line);
    statement_bind_text(add, 5, error->name);
    statement_bind_text(add, 6, error->code);
    statement_bind_text(add, 7, error->reason);
    return statement_change(db, add);
}

/* That there is none is as good. */
static enum db_result forget(struct db *db, enum statement_id id, uint64_t job)
{
    struct sqlite3_stmt *forget = statement_get(db, id);
    statement_bind_number(forget, 1, job);
    enum db_result result = statement_change(db, forget);
    return result == DB_NONE ? DB_OK : result;
}

enum db_result db_job_forget_errors(struct db *db, uint64_t job)
{
    return forget(db, STATEMENT_JOB_ERRORS_FORGET, job);
}

enum db_result db_job_add_hash(struct db *db, uint64_t job, unsigned row, const char *hash,
                               const char *scram)
{
    struct sqlite3_stmt *add = statement_get(db, STATEMENT_JOB_HASH_ADD);
    statement_bind_number(add, 1, job);
    statement_bind_number(add, 2, row);
    statement_bind_text(add, 3, hash);
    statement_bind_text(add, 4, scram);
    return statement_change(db, add);
}

enum db_result db_job_find_hash(struct db *db, uint64_t job, unsigned row, char *hash_r,
                                size_t hash_size, char *scram_r, size_t scram_size)
{
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_JOB_HASH_FIND);
    statement_bind_number(find, 1, job);
    statement_bind_number(find, 2, row);
    enum db_result result = statement_row(db, find);
    if (result == DB_OK) {
        statement_text(find, 0, hash_r, hash_size);
        statement_text(find, 1, scram_r, scram_size);
        statement_reset(find);
    }
    return result;
}

enum db_result db_job_checked(struct db *db, const struct db_job *job)
{
    struct sqlite3_stmt *checked = statement_get(db, STATEMENT_JOB_CHECKED);
    statement_bind_number(checked, 1, job->id);
    statement_bind_number(checked, 2, job->rows);
    statement_bind_number(checked, 3, job->aliases);
    statement_bind_number(checked, 4, job->wrong);
    return statement_change(db, checked);
}

enum db_result db_job_advance(struct db *db, const struct db_job *job, unsigned place,
                              unsigned made, unsigned wrong)
{
    struct sqlite3_stmt *advance = statement_get(db, STATEMENT_JOB_ADVANCE);
    statement_bind_number(advance, 1, job->id);
    statement_bind_number(advance, 2, job->place);
    statement_bind_number(advance, 3, place);
    statement_bind_number(advance, 4, made);
    statement_bind_number(advance, 5, wrong);
    return statement_change(db, advance);
}

enum db_result db_job_end(struct db *db, const struct db_job *job, enum db_job_state state)
{
    static const char *const actions[] = {[DB_JOB_DONE] = "job.done",
                                          [DB_JOB_FAILED] = "job.fail",
                                          [DB_JOB_CANCELLED] = "job.cancel"};
    char name[24];
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *end = statement_get(db, STATEMENT_JOB_END);
    statement_bind_number(end, 1, job->id);
    statement_bind_text(end, 2, states[state]);
    statement_bind_number(end, 3, job->rows);
    statement_bind_number(end, 4, job->aliases);
    statement_bind_number(end, 5, job->wrong);
    result = statement_change(db, end);
    if (result == DB_OK) {
        result = forget(db, STATEMENT_JOB_HASHES_FORGET, job->id);
    }
    return change_end(db, result, actions[state], job->customer, name_of(job->id, name));
}

enum db_result db_job_secret(struct db *db, uint64_t job, uint8_t secret_r[DB_JOB_SECRET_SIZE])
{
    struct sqlite3_stmt *secret = statement_get(db, STATEMENT_JOB_SECRET);
    statement_bind_number(secret, 1, job);
    enum db_result result = statement_row(db, secret);
    if (result == DB_OK) {
        statement_blob(secret, 0, secret_r, DB_JOB_SECRET_SIZE);
        statement_reset(secret);
    }
    return result;
}

static enum db_result take(struct db *db, enum statement_id id, const char *action,
                           uint64_t customer, uint64_t job)
{
    char name[24];
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    struct sqlite3_stmt *take = statement_get(db, id);
    statement_bind_number(take, 1, customer);
    statement_bind_number(take, 2, job);
    result = statement_change(db, take);
    return change_end(db, result, action, customer, name_of(job, name));
}

enum db_result db_job_take_result(struct db *db, uint64_t customer, uint64_t job)
{
    return take(db, STATEMENT_JOB_TAKE_RESULT, "job.result", customer, job);
}

enum db_result db_job_take_cards(struct db *db, uint64_t customer, uint64_t job)
{
    return take(db, STATEMENT_JOB_TAKE_CARDS, "job.cards", customer, job);
}

/* --- the end of it */

enum db_result db_job_prune(struct db *db)
{
    static const struct {
        enum statement_id id;
        uint64_t seconds;
    } steps[] = {{STATEMENT_JOB_UPLOADS_PRUNE, UPLOAD_TIME},
                 {STATEMENT_JOB_RESULTS_PRUNE, (uint64_t)DB_JOB_RESULT_DAYS * DAY},
                 {STATEMENT_JOB_PARTS_PRUNE, 0},
                 {STATEMENT_JOB_ERRORS_PRUNE, (uint64_t)DB_JOB_DAYS * DAY},
                 {STATEMENT_JOB_PRUNE, (uint64_t)DB_JOB_DAYS * DAY}};
    enum db_result result = DB_NONE;
    for (size_t i = 0; i < COUNT(steps) && result == DB_NONE; i++) {
        struct sqlite3_stmt *prune = statement_get(db, steps[i].id);
        if (steps[i].seconds != 0) {
            statement_bind_number(prune, 1, steps[i].seconds);
        }
        result = statement_change(db, prune);
    }
    return result;
}
