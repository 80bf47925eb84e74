#ifndef ADMIN_JOBRESULT_H
#define ADMIN_JOBRESULT_H

#include "admin/bulk.h"
#include "db/job.h"

/* The result of a job (db/handout.h), made outside of the event loop. */

/* Zeroed, then filled in up to `context`. */
struct jobresult {
    struct db_job job;
    const char *page_url; /* may be empty */
    void (*done)(struct jobresult *result);
    void *context; /* for done() */
    enum db_result result;
    char *text; /* wiped by jobresult_release() */
    size_t size;
    struct bulk_work work;
};

/* Returns 0, or -1 when too much waits: done() is not called then. */
int jobresult_submit(struct bulk *bulk, struct jobresult *result);

/* Wipes and frees what a struct jobresult holds. */
void jobresult_release(void *own);

#endif
