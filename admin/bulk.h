#ifndef ADMIN_BULK_H
#define ADMIN_BULK_H

#include <stdbool.h>
#include <stdint.h>

#include "admin/workers.h"
#include "admin/writer.h"
#include "db/job.h"
#include "lib/password.h"

struct event_base;

/*
 * Works on the jobs of the account database (db/job.h), some at once, but few of one customer, in
 * small pieces: one thread of its own reads, checks and hashes, and the writer (admin/writer.h)
 * writes. What else waits for the writer waits for one piece at most. Only a job of all or nothing
 * is one piece, and where that takes long, it is told so at once.
 */
struct bulk;

/* What a job is at, beyond what the database says. */
struct bulk_progress {
    unsigned percent;
    unsigned rows; /* that it has dealt with in its state */
    double rate;   /* rows a second; 0: not known yet */
    bool timed;
    uint64_t seconds; /* that are left, where it is timed */
};

/*
 * `db` is the event loop's, `threads` is for its thread and closed in the end. The cost is copied,
 * and wiped.
 */
struct bulk *bulk_new(struct event_base *base, struct db *db, struct db *threads,
                      struct writer *writer, const struct password_cost *cost);

/* Begins with what the database has, and looks for more now and then. */
void bulk_serve(struct bulk *bulk);

/* There is another one: looks at once. */
void bulk_wake(struct bulk *bulk);

/* Begins no piece any more, and ends the one that takes long. */
void bulk_stop(struct bulk *bulk);

/* Waits for its thread, before the writer goes; then, behind the writer, the rest. */
void bulk_join(struct bulk *bulk);
void bulk_free(struct bulk *bulk);

/* Does no more of this job, which is being cancelled. */
void bulk_cancel(struct bulk *bulk, uint64_t job);

void bulk_progress(const struct bulk *bulk, const struct db_job *job,
                   struct bulk_progress *progress_r);

/* Work for its thread, with its database. */
struct bulk_work {
    struct work work; /* the thread's */
    void (*run)(struct bulk_work *work, struct db *db);
    void (*done)(struct bulk_work *work);
};

/* Returns 0, or -1 when too much waits. */
int bulk_submit(struct bulk *bulk, struct bulk_work *work);

#endif
