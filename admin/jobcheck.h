#ifndef ADMIN_JOBCHECK_H
#define ADMIN_JOBCHECK_H

#include <stdbool.h>

#include "admin/lot.h"
#include "db/job.h"
#include "db/rowcheck.h"

/* Looks at all rows of a job, some at a time, before any of them is applied. */

#define JOBCHECK_ERRORS 256

struct jobcheck {
    const struct db_job *job;
    struct jobsource *source;
    struct rowcheck *accounts;
    bool targets; /* the second round, along the aliases, is on its way */
    bool over;
    bool broken;   /* the upload makes no sense from some row on */
    unsigned rows; /* as in db_job, these three */
    unsigned aliases;
    unsigned wrong_count;
    unsigned generated; /* rows for which a password is drawn */
    struct rowset wrong;
    unsigned error_count; /* those of the last step */
    struct db_job_error errors[JOBCHECK_ERRORS];
};

struct jobcheck *jobcheck_new(const struct db_job *job);
void jobcheck_free(struct jobcheck *check); /* NULL is allowed */

/*
 * Goes on for some milliseconds. DB_OK; DB_BUSY or DB_BROKEN: all is to be checked again, with a
 * new one. Always with the same database.
 */
enum db_result jobcheck_step(struct jobcheck *check, struct db *db);

#endif
