#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/addresses.h"
#include "admin/admin.h"
#include "admin/bulk.h"
#include "admin/change.h"
#include "admin/domains.h"
#include "admin/field.h"
#include "admin/jobresult.h"
#include "admin/jobs.h"
#include "admin/page.h"
#include "admin/problem.h"
#include "lib/xalloc.h"

static const char *const modes[] = {"rows", "all", NULL};
static const char *const states[] = {"checking", "applying", "done", "failed", "cancelled", NULL};
const struct parameter job_new_parameters[] = {
    {.name = "mode",
     .words = modes,
     .about = "rows: each good row is made, as where it is not given; all: all or nothing"},
    {.name = "dry_run", .type = FIELD_BOOL, .about = "whether the rows are only checked"},
    {0}};
const struct parameter job_parameters[] = {
    CUSTOMER_PARAMETER, {.name = "state", .words = states, .about = "those in this state"}, {0}};

/* --- as JSON */

json_t *job_object(const struct bulk *bulk, const struct db_job *job)
{
    struct bulk_progress progress = {0};

    if (bulk != NULL)
        bulk_progress(bulk, job, &progress);
    return json_pack(
        "{sI so ss ss sb ss si si si si so so sb so so so}", "id", (json_int_t)job->id, "customer",
        job->customer != 0 ? json_integer((json_int_t)job->customer) : json_null(), "format",
        db_job_format_name(job->format), "mode", job->all ? "all" : "rows", "dry_run",
        (int)job->dry_run, "state", db_job_state_name(job->state), "rows", (int)job->rows, "wrong",
        (int)job->wrong, "made", (int)job->made, "percent", (int)progress.percent,
        "rows_per_second", progress.rate > 0 ? json_real(progress.rate) : json_null(),
        "seconds_left", progress.timed ? json_integer((json_int_t)progress.seconds) : json_null(),
        "result", (int)job->result, "created", field_format_time(job->created), "begun",
        field_format_time(job->begun), "ended", field_format_time(job->ended));
}

enum db_result job_show(struct db *db, struct request *request, struct json_t **object_r)
{
    enum db_result result = db_operator_job_find(db, request->job.id, &request->job);

    if (result == DB_OK)
        *object_r = job_object(request->admin->bulk, &request->job);
    return result;
}

/* --- the upload */

static void begin(struct admin *admin, struct request *request)
{
    char *mode = page_parameter(request, "mode");
    (void)admin;

    request->job = (struct db_job){.customer = request->customer,
                                   .format = (enum db_job_format)request->type,
                                   .all = mode != NULL && strcmp(mode, "all") == 0,
                                   .dry_run = page_flag(request, "dry_run")};
    free(mode);
}

/* The first piece brings the job, also when it is written once more after a failure. */
static enum db_result piece(struct db *db, struct request *request)
{
    struct db_job *job = &request->job;
    enum db_result result = request->pieces == 1 ? db_job_begin(db, job) : DB_OK;

    return result == DB_OK
               ? db_job_add_part(db, job->id, request->pieces, request->body, request->body_length)
               : result;
}

struct abandoning {
    struct writing writing;
    uint64_t job;
};

static enum db_result run_abandon(struct writing *writing, struct db *db)
{
    return db_job_abandon(db, ((struct abandoning *)writing)->job);
}

static void done_abandon(struct writing *writing)
{
    free((struct abandoning *)writing);
}

/*
 * Nobody waits for it; what is not written now is pruned in time. An upload that is still on its
 * way when the program ends has no writer any more.
 */
static void abandon(struct admin *admin, struct request *request)
{
    if (admin->writer == NULL || request->job.id == 0)
        return;
    struct abandoning *abandoning = xcalloc(1, sizeof(*abandoning));

    abandoning->writing.run = run_abandon;
    abandoning->writing.done = done_abandon;
    abandoning->job = request->job.id;
    if (writer_submit(admin->writer, &abandoning->writing) != 0)
        free(abandoning);
}

static const char *const types[] = {[DB_JOB_CSV] = "text/csv",
                                    [DB_JOB_JSON] = "application/json",
                                    [DB_JOB_NDJSON] = "application/x-ndjson",
                                    NULL};

const struct route_upload job_upload = {.types = types,
                                        .fields = address_row_fields,
                                        .begin = begin,
                                        .piece = piece,
                                        .abandon = abandon};

enum db_result job_start(struct db *db, struct request *request)
{
    char id[24];

    if (request->pieces == 0) {
        problem_set(request, PROBLEM_MALFORMED, "the upload is empty");
        return DB_NONE;
    }
    enum db_result result = db_job_start(db, request->customer, request->job.id);
    if (result == DB_OK)
        result = db_operator_job_find(db, request->job.id, &request->job);
    if (result == DB_OK) {
        snprintf(id, sizeof(id), "%" PRIu64, request->job.id);
        request_set_location(request, "/api/v1/jobs/", id);
        request_set(request, 202, job_object(NULL, &request->job));
    }
    return result;
}

void job_started(struct admin *admin, struct request *request)
{
    (void)request;
    bulk_wake(admin->bulk);
}

/* --- cancelling */

void job_stop(struct admin *admin, struct request *request)
{
    bulk_cancel(admin->bulk, request->job.id);
}

enum db_result job_cancel(struct db *db, struct request *request)
{
    enum db_result result = db_operator_job_find(db, request->job.id, &request->job);

    if (result == DB_OK && db_job_is_over(&request->job)) {
        problem_set(request, PROBLEM_ENDED, "the job has ended: %s",
                    db_job_state_name(request->job.state));
        return DB_NONE;
    }
    return result == DB_OK ? db_job_end(db, &request->job, DB_JOB_CANCELLED) : result;
}

/* --- the result */

static void on_prepared(struct jobresult *result)
{
    struct request *request = result->context;

    change_go_on(request);
}

/* Where there is none, or not any more, taking it says so. */
void job_prepare_result(struct admin *admin, struct request *request)
{
    struct jobresult *result;

    request->own_size = sizeof(*result);
    result = request->own = xcalloc(1, sizeof(*result));
    result->job = request->job;
    result->page_url = admin->child.conf.page_url;
    result->done = on_prepared;
    result->context = request;
    request->release = jobresult_release;
    if (!request->job.result)
        return;
    if (jobresult_submit(admin->bulk, result) == 0) {
        request->preparing = true;
    } else {
        problem_set(request, PROBLEM_BUSY, "too many results are being made; try again");
        request->answer.retry_after = 1;
    }
}

enum db_result job_refuse_result(struct request *request)
{
    const struct db_job *job = &request->job;

    if (!db_job_is_over(job))
        problem_set(request, PROBLEM_NOT_ENDED, "the job has not ended; it is %s",
                    db_job_state_name(job->state));
    else if (job->made == 0)
        problem_set(request, PROBLEM_GONE, "there is no result: the job has made nothing");
    else
        problem_set(request, PROBLEM_GONE,
                    "the result was fetched before, or %d days ago; invite again whom it was lost "
                    "for",
                    DB_JOB_RESULT_DAYS);
    return DB_NONE;
}

enum db_result job_take_result(struct db *db, struct request *request)
{
    struct jobresult *made = request->own;
    enum db_result result = db_operator_job_find(db, request->job.id, &request->job);

    if (result != DB_OK)
        return result;
    if (made->result != DB_OK)
        return made->result;
    result =
        made->text == NULL ? DB_NONE : db_job_take_result(db, request->customer, request->job.id);
    if (result == DB_NONE)
        return job_refuse_result(request);
    if (result == DB_OK) {
        request_set(request, 200, NULL);
        request->answer.type = "text/csv";
        request->answer.text = xstrdup(made->text);
    }
    return result;
}

/* --- lists */

struct row {
    uint64_t customer;
    int state; /* -1: all */
    struct db_job job;
};

static enum db_result next(struct page *page, void *context)
{
    struct db *db = page->request->admin->db;
    struct row *row = context;

    return row->customer != 0 ? db_job_next(db, row->customer, &row->job)
                              : db_operator_job_next(db, &row->job);
}

static json_t *item(const struct page *page, void *context)
{
    const struct row *row = context;

    return row->state < 0 || row->state == (int)row->job.state
               ? job_object(page->request->admin->bulk, &row->job)
               : NULL;
}

static void name(const void *row, char name_r[PAGE_NAME_MAX + 1])
{
    snprintf(name_r, PAGE_NAME_MAX + 1, "%" PRIu64, ((const struct row *)row)->job.id);
}

static int take_state(struct request *request, struct row *row)
{
    char *text = page_parameter(request, "state");

    row->state = -1;
    for (int state = DB_JOB_CHECKING; text != NULL && state <= DB_JOB_CANCELLED; state++)
        if (strcmp(text, db_job_state_name((enum db_job_state)state)) == 0)
            row->state = state;
    free(text);
    return request->answer.status != 0 ? -1 : 0;
}

void jobs_list(struct admin *admin, struct request *request)
{
    static const struct listing listing = {next, item, name};
    struct row row = {0};
    struct page page;
    (void)admin;

    if (list_customer(request, &row.customer) < 0 || take_state(request, &row) < 0 ||
        page_begin(&page, request) < 0)
        return;
    row.job.id = page_after_number(&page);
    page_fill(&page, &listing, &row);
}

struct error_row {
    uint64_t job;
    struct db_job_error error;
};

static enum db_result error_next(struct page *page, void *context)
{
    struct error_row *row = context;

    return db_job_error_next(page->request->admin->db, row->job, &row->error);
}

static json_t *error_item(const struct page *page, void *context)
{
    const struct db_job_error *error = &((struct error_row *)context)->error;
    (void)page;

    return json_pack("{si si so ss ss}", "row", (int)error->row, "line", (int)error->line, "column",
                     field_format_text(error->name), "code", error->code, "reason", error->reason);
}

static void error_name(const void *row, char name_r[PAGE_NAME_MAX + 1])
{
    const struct db_job_error *error = &((const struct error_row *)row)->error;

    snprintf(name_r, PAGE_NAME_MAX + 1, "%u.%u", error->row, error->number);
}

void job_errors_list(struct admin *admin, struct request *request)
{
    static const struct listing listing = {error_next, error_item, error_name};
    struct error_row row = {.job = request->job.id};
    struct page page;
    (void)admin;

    if (page_begin(&page, request) < 0)
        return;
    const char *dot = strchr(page.after, '.');
    row.error.row = (unsigned)strtoul(page.after, NULL, 10);
    row.error.number = dot == NULL ? 0 : (unsigned)strtoul(dot + 1, NULL, 10);
    page_fill(&page, &listing, &row);
}
