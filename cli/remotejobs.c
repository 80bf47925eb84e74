#include "cli/remoteserver.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "cli/command.h"
#include "cli/database.h"
#include "lib/log.h"
#include "lib/xalloc.h"

/* Bulk uploads, and a table of addresses as one. */

/* Between two looks at an import, in ms. */
#define LOOK_EVERY 200

static enum db_result read_job(const struct db *db, const json_t *object, struct db_job *job_r)
{
    return server_understood(db, remoteanswer_job(object, job_r, &server_of(db)->job_percent));
}

enum db_result server_operator_job_find(struct db *db, uint64_t id, struct db_job *job_r)
{
    json_t *object;
    enum db_result result =
        remote_get(server_remote(db), remote_path_id("/jobs/", id, ""), &object);

    if (result != DB_OK)
        return result;
    result = read_job(db, object, job_r);
    json_decref(object);
    return result;
}

enum db_result server_job_next(struct db *db, uint64_t customer, struct db_job *job)
{
    const json_t *item;
    enum db_result result = server_next(
        db, LIST_JOBS, job->id == 0 ? server_list_path("/jobs", customer) : NULL, &item);

    return result == DB_OK ? read_job(db, item, job) : result;
}

enum db_result server_operator_job_next(struct db *db, struct db_job *job)
{
    return server_job_next(db, 0, job);
}

enum db_result server_job_error_next(struct db *db, uint64_t job, struct db_job_error *error)
{
    char *path = NULL;

    if (error->code[0] == '\0')
        path = remote_path_id("/jobs/", job, "/errors?" SERVER_PAGE);
    SERVER_NEXT(db, LIST_JOB_ERRORS, path, remoteanswer_job_error, error);
}

unsigned server_job_percent(struct db *db, const struct db_job *job)
{
    (void)job;
    return server_of(db)->job_percent;
}

/* Its service answers, so it runs. */
void server_job_warn(const struct instance *instance)
{
    (void)instance;
}

enum db_result server_job_upload(struct db *db, struct db_job *job, const char *octets,
                                 size_t length)
{
    static const char *const types[] = {[DB_JOB_CSV] = "text/csv",
                                        [DB_JOB_JSON] = "application/json",
                                        [DB_JOB_NDJSON] = "application/x-ndjson"};
    char *after = xasprintf("/jobs?mode=%s%s", job->all ? "all" : "rows",
                            job->dry_run ? "&dry_run=true" : "");
    char *path = job->customer != 0 ? server_customer_path(job->customer, after)
                                    : remote_path(after, "", "");
    json_t *answer = NULL;

    enum db_result result =
        remote_upload(server_remote(db), path, types[job->format], octets, length, &answer);
    if (result == DB_OK)
        result = answer != NULL ? read_job(db, answer, job) : remote_strange(server_remote(db));
    json_decref(answer);
    free(after);
    return result;
}

/* There is one way to end it from outside. */
enum db_result server_job_end(struct db *db, const struct db_job *job, enum db_job_state state)
{
    (void)state;
    return server_change(db, "POST", remote_path_id("/jobs/", job->id, "/cancel"), json_object());
}

int server_job_take_table(struct db *db, const struct conf *conf, const struct db_job *job,
                          FILE *file)
{
    enum db_result result =
        remote_take(server_remote(db), remote_path_id("/jobs/", job->id, "/result"), file);
    (void)conf;

    return result == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}

int server_job_take_cards(struct db *db, const struct conf *conf, const struct db_job *job,
                          FILE *file)
{
    enum db_result result =
        remote_copy(server_remote(db), "POST", remote_path_id("/jobs/", job->id, "/cards"),
                    json_object(), file);
    (void)conf;

    return result == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}

/* --- imports */

/* A line of JSON each, but of those that are wrong; freed by the caller, with its secrets. */
static char *rows_text(const struct import_rows *wanted, size_t *length_r)
{
    char *text = NULL;
    FILE *file = open_memstream(&text, length_r);

    if (file == NULL)
        log_panic("out of memory");
    for (size_t i = 0; i < wanted->count; i++) {
        const struct import_row *row = &wanted->rows[i];
        if (row->address.text[0] == '\0')
            continue;
        json_t *object = json_pack("{ss ss}", "address", row->address.text, "name", row->name);
        if (row->kept.hash[0] != '\0')
            json_object_set_new(object, "hash", json_string(row->kept.hash));
        json_dumpf(object, file, JSON_COMPACT);
        fputc('\n', file);
        json_decref(object);
    }
    if (fclose(file) != 0)
        log_panic("out of memory");
    return text;
}

/* The one with this number among those that were sent. */
static const struct import_row *row_of(const struct import_rows *wanted, unsigned number)
{
    for (size_t i = 0; i < wanted->count; i++)
        if (wanted->rows[i].address.text[0] != '\0' && --number == 0)
            return &wanted->rows[i];
    return NULL;
}

static enum db_result find_limit(struct db *db, uint64_t customer)
{
    struct db_limit limit = {.kind = DB_LIMIT_ADDRESSES};
    struct db_customer found;
    struct db_plan plan;

    enum db_result result = server_customer_get(db, customer, &found);
    if (result == DB_OK)
        result = server_plan_find(db, found.plan, &plan);
    if (result != DB_OK)
        return result;
    limit.allowed = plan.addresses;
    limit.used = found.addresses;
    snprintf(limit.plan, sizeof(limit.plan), "%s", plan.name);
    snprintf(limit.customer, sizeof(limit.customer), "%s", found.name);
    remote_note_limit(server_remote(db), &limit);
    return DB_OK;
}

static int tell_error(struct db *db, const struct import_rows *wanted,
                      const struct db_job_error *error)
{
    const struct import_row *row = error->row > 0 ? row_of(wanted, error->row) : NULL;
    enum db_result result = DB_BROKEN;

    if (strcmp(error->code, "taken") == 0)
        result = DB_TAKEN;
    else if (strcmp(error->code, "no-domain") == 0 || strcmp(error->code, "none") == 0)
        result = DB_NONE;
    else if (strcmp(error->code, "limit") == 0)
        result = DB_LIMIT;
    if (row == NULL || result == DB_BROKEN)
        return refuse("the server does not take it: %s", error->reason);
    if (result == DB_LIMIT && find_limit(db, wanted->customer) != DB_OK)
        return EXIT_REFUSED;
    wanted->refused(wanted->context, db, row, result);
    return EXIT_DONE;
}

static int tell_errors(struct db *db, const struct import_rows *wanted, uint64_t job)
{
    struct db_job_error error = {0};
    enum db_result result;

    while ((result = server_job_error_next(db, job, &error)) == DB_OK)
        if (tell_error(db, wanted, &error) != EXIT_DONE)
            return EXIT_REFUSED;
    return result == DB_NONE ? EXIT_DONE : EXIT_REFUSED;
}

static int wait_for_end(struct db *db, struct db_job *job)
{
    enum db_result result = DB_OK;

    while (result == DB_OK && !db_job_is_over(job)) {
        nanosleep(&(struct timespec){.tv_nsec = LOOK_EVERY * 1000000L}, NULL);
        result = server_operator_job_find(db, job->id, job);
    }
    if (result == DB_NONE || (result == DB_OK && job->state == DB_JOB_CANCELLED))
        return refuse("somebody has cancelled it, as job %" PRIu64 "; nothing was added", job->id);
    return result == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}

int server_import_add(struct db *db, const struct import_rows *wanted, bool for_good)
{
    struct db_job job = {
        .customer = wanted->customer, .format = DB_JOB_NDJSON, .all = true, .dry_run = !for_good};
    size_t length;
    char *text = rows_text(wanted, &length);
    enum db_result result = length > 0 ? server_job_upload(db, &job, text, length) : DB_OK;

    sodium_memzero(text, length);
    free(text);
    if (length == 0)
        return EXIT_DONE;
    if (database_result(db, result) == DB_NONE)
        return refuse("the customer was removed just now");
    if (result != DB_OK || wait_for_end(db, &job) != EXIT_DONE)
        return EXIT_REFUSED;
    return job.wrong > 0 ? tell_errors(db, wanted, job.id) : EXIT_DONE;
}
