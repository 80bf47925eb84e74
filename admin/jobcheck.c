#include <stdio.h>
#include <stdlib.h>

#include "admin/jobcheck.h"
#include "lib/clock.h"
#include "lib/xalloc.h"

#define STEP_TIME 30 /* ms */

/* Of a row, behind those of the first round. */
#define TARGETS_NUMBER 100

struct jobcheck *jobcheck_new(const struct db_job *job)
{
    struct jobcheck *check = xcalloc(1, sizeof(*check));

    check->job = job;
    check->source = jobsource_new(job);
    return check;
}

void jobcheck_free(struct jobcheck *check)
{
    if (check == NULL)
        return;
    jobsource_free(check->source);
    rowcheck_free(check->accounts);
    free(check);
}

/* The errors from number `first` on. */
static void note(struct jobcheck *check, const struct row *row, unsigned first)
{
    unsigned numbers = check->targets ? TARGETS_NUMBER : 1;

    if (row->error_count <= first)
        return;
    if (!rowset_has(&check->wrong, row->number))
        check->wrong_count++;
    rowset_add(&check->wrong, row->number);
    for (unsigned i = first; i < row->error_count; i++) {
        const struct row_error *from = &row->errors[i];
        struct db_job_error *error = &check->errors[check->error_count++];
        *error =
            (struct db_job_error){.row = row->number, .number = numbers + i, .line = row->line};
        snprintf(error->name, sizeof(error->name), "%s", from->column);
        snprintf(error->code, sizeof(error->code), "%s", from->code);
        snprintf(error->reason, sizeof(error->reason), "%s", from->reason);
    }
}

static enum db_result look(struct jobcheck *check, struct row *row)
{
    unsigned known = 0;
    enum db_result result = DB_OK;

    if (check->targets) {
        known = row->error_count;
        if (row->target_count > 0)
            result = rowcheck_targets(check->accounts, row);
    } else if (jobsource_is_broken(check->source)) {
        check->broken = true;
    } else {
        check->rows++;
        check->aliases += row->target_count > 0;
        check->generated += row->login == ROW_LOGIN_GENERATE;
        result = rowcheck_take(check->accounts, row);
    }
    if (result == DB_OK)
        note(check, row, known);
    return result;
}

static void end_round(struct jobcheck *check)
{
    check->over = check->targets || check->broken || check->aliases == 0;
    check->targets = true;
    jobsource_free(check->source);
    check->source = check->over ? NULL : jobsource_new(check->job);
}

enum db_result jobcheck_step(struct jobcheck *check, struct db *db)
{
    uint64_t end = clock_milliseconds() + STEP_TIME;
    enum db_result result = DB_OK;
    struct row *row;

    if (check->accounts == NULL)
        check->accounts = rowcheck_new(db, check->job->customer, "");
    check->error_count = 0;
    while (result == DB_OK && clock_milliseconds() < end &&
           check->error_count + ROW_ERRORS_MAX <= JOBCHECK_ERRORS) {
        result = jobsource_next(check->source, db, &row);
        if (result == DB_OK)
            result = look(check, row);
        else if (result == DB_NONE)
            end_round(check);
    }
    return result == DB_NONE ? DB_OK : result;
}
