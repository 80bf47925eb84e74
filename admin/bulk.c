#include <event2/event.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>
#include <utlist.h>

#include "admin/bulk.h"
#include "admin/jobcheck.h"
#include "admin/lot.h"
#include "db/audit.h"
#include "db/transaction.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/xalloc.h"

/* Jobs at once: a small one need not wait for a large one. */
#define RUNS_MAX 8

/* Of these, of a customer: the others' need not wait for all of one's. */
#define RUNS_OF_ONE_MAX 2

/* That wait for the thread: pieces of jobs, and results. */
#define WAITING_MAX 64

/*
 * In ms: from one look for jobs to the next, for a command may have begun one, or another process
 * during a reload; after a failure; and from one pruning to the next.
 */
#define LOOK_EVERY  2000
#define PATIENCE    1000
#define PRUNE_EVERY 60000

/* That are written in less than a second: others wait for them, and are refused for more. */
#define ROWS_QUICK 5000

/* Percents that are over when rows are applied, without passwords to hash and with. */
#define CHECKED_PERCENT DB_JOB_CHECKED_PERCENT
#define HASHED_PERCENT  90

enum phase {
    PHASE_OPEN,  /* what it knew before a restart is read */
    PHASE_CHECK, /* rows are looked at, and their errors written */
    PHASE_HASH,  /* passwords are, where all is to be written at once */
    PHASE_ROWS,  /* rows are written, some at a time */
    PHASE_ALL,   /* all of them */
    PHASE_FAIL,  /* none of them: one was refused */
    PHASE_OVER
};

/* A job that is being worked on. Holds secrets. */
struct run {
    struct run *prev;
    struct run *next;
    struct bulk *bulk;
    struct db_job job; /* as the database has it, but that in PHASE_HASH the place is the run's */
    enum phase phase;
    uint8_t secret[DB_JOB_SECRET_SIZE];
    bool keyless;           /* the secret is gone, and everybody could work out another */
    struct jobcheck *check; /* in PHASE_CHECK */
    struct rowset wrong;
    bool hashing; /* a password is drawn for some row, or may be */
    struct lot_reader reader;
    struct lot *filled;  /* by the thread, or being so; NULL: none yet */
    struct lot *written; /* the same by the writer */
    bool careful;        /* a row of that was refused, and each is tried for itself */
    struct bulk_work work;
    struct writing writing;
    bool working;          /* the thread has the work */
    bool worked;           /* what comes of it waits to be written */
    bool busy;             /* the writer has the writing */
    bool dropped;          /* it goes when nobody has anything of it any more */
    enum db_result result; /* of the work */
    uint64_t begun;        /* in ms: its phase, at this row */
    unsigned begun_rows;
    atomic_bool cancelled;
    atomic_uint rows;     /* that its phase has come to */
    atomic_ullong octets; /* the same of the upload, in PHASE_CHECK */
};

struct bulk {
    struct event_base *base;
    struct db *db;      /* the event loop's */
    struct db *threads; /* the thread's */
    struct writer *writer;
    struct workers *workers;
    struct password_cost cost;
    struct run *runs;
    unsigned count;
    atomic_bool stopping;
    struct event *look;
    struct event *prune;
    struct writing pruning;
};

static bool is_failure(enum db_result result)
{
    return result == DB_BUSY || result == DB_BROKEN;
}

static bool is_ended(const struct run *run)
{
    return atomic_load(&run->cancelled) || atomic_load(&run->bulk->stopping);
}

/* --- the phases: first in the thread */

static enum db_result read_job(struct run *run, struct db *db)
{
    struct db_job_error error = {0};
    enum db_result result = db_job_secret(db, run->job.id, run->secret);

    run->keyless = result == DB_NONE;
    if (result == DB_OK && run->job.state == DB_JOB_APPLYING)
        while ((result = db_job_error_next(db, run->job.id, &error)) == DB_OK)
            rowset_add(&run->wrong, error.row);
    return result == DB_NONE ? DB_OK : result;
}

static enum db_result check(struct run *run, struct db *db)
{
    if (run->check == NULL)
        run->check = jobcheck_new(&run->job);
    enum db_result result = jobcheck_step(run->check, db);
    atomic_store(&run->rows, run->check->rows);
    if (run->check->source != NULL)
        atomic_store(&run->octets, jobsource_octets(run->check->source));
    return result;
}

static void read_from(struct run *run, unsigned place)
{
    lot_reader_end(&run->reader);
    run->reader = (struct lot_reader){.job = &run->job,
                                      .secret = run->secret,
                                      .cost = &run->bulk->cost,
                                      .wrong = &run->wrong,
                                      .from = place};
}

static enum db_result fill(struct run *run, struct db *db)
{
    if (run->filled == NULL)
        run->filled = lot_new();
    return lot_fill(run->filled, &run->reader, db);
}

/* --- then in the writer's; what is refused here has been ended by somebody else */

static enum db_result write_opening(struct run *run, struct db *db)
{
    if (run->keyless)
        return db_job_end(db, &run->job, DB_JOB_CANCELLED);
    return run->job.state == DB_JOB_CHECKING ? db_job_forget_errors(db, run->job.id) : DB_OK;
}

static enum db_result judge(struct run *run, struct db *db)
{
    if (run->check->broken || (run->job.all && !run->job.dry_run && run->job.wrong > 0))
        return db_job_end(db, &run->job, DB_JOB_FAILED);
    return run->job.dry_run ? db_job_end(db, &run->job, DB_JOB_DONE)
                            : db_job_checked(db, &run->job);
}

static enum db_result write_check(struct run *run, struct db *db)
{
    const struct jobcheck *check = run->check;
    enum db_result result = DB_OK;

    for (unsigned i = 0; i < check->error_count && !is_failure(result); i++)
        result = db_job_add_error(db, run->job.id, &check->errors[i]);
    if (is_failure(result) || !check->over)
        return is_failure(result) ? result : DB_OK;
    run->job.rows = check->rows;
    run->job.aliases = check->aliases;
    run->job.wrong = check->wrong_count;
    return judge(run, db);
}

static enum db_result write_hashes(struct run *run, struct db *db)
{
    enum db_result result = DB_OK;

    for (unsigned i = 0; i < run->written->count && (result == DB_OK || result == DB_TAKEN); i++) {
        const struct lot_row *row = &run->written->rows[i];
        if (row->hashed)
            result = db_job_add_hash(db, run->job.id, row->number, row->kept.hash, row->kept.scram);
    }
    return result == DB_TAKEN ? DB_OK : result;
}

static enum db_result advance(struct run *run, struct db *db, unsigned place, unsigned made,
                              unsigned wrong)
{
    enum db_result result = db_job_advance(db, &run->job, place, made, wrong);

    return result == DB_OK && place == db_job_places(&run->job)
               ? db_job_end(db, &run->job, DB_JOB_DONE)
               : result;
}

static enum db_result write_rows(struct run *run, struct db *db)
{
    struct lot *lot = run->written;

    if (!run->careful)
        db_transaction_is_whole(db);
    enum db_result result = lot_apply(lot, db, run->careful);
    return result == DB_OK ? advance(run, db, lot->place, lot->made, lot->refused) : result;
}

/*
 * They are read as they are written. Whoever asks may see the job's end before the commit has
 * returned, which still moves what it wrote into the file: nobody is refused from then on.
 */
static enum db_result write_all(struct run *run, struct db *db)
{
    enum db_result result = DB_OK;
    unsigned made = 0;

    db_transaction_is_whole(db);
    read_from(run, 0);
    if (run->written == NULL)
        run->written = lot_new();
    struct lot *lot = run->written;
    do {
        result = is_ended(run) ? DB_NONE : lot_fill(lot, &run->reader, db);
        if (result == DB_OK)
            result = lot_apply(lot, db, false);
        made += lot->made;
        atomic_store(&run->rows, lot->place);
    } while (result == DB_OK && !run->reader.over);
    run->job.made = made;
    if (result == DB_OK)
        result = advance(run, db, lot->place, made, 0);
    writer_release(run->bulk->writer, &run->writing);
    return result;
}

static enum db_result write_failure(struct run *run, struct db *db)
{
    enum db_result result = db_job_add_error(db, run->job.id, &run->written->last_error);

    run->job.wrong = 1;
    return is_failure(result) ? result : db_job_end(db, &run->job, DB_JOB_FAILED);
}

/* --- and what comes after that, in the event loop's */

static void begin(struct run *run, enum phase phase, unsigned rows)
{
    read_from(run, rows);
    run->phase = phase;
    run->begun = clock_milliseconds();
    run->begun_rows = rows;
    atomic_store(&run->rows, rows);
}

static void begin_applying(struct run *run)
{
    if (!run->job.all)
        begin(run, PHASE_ROWS, run->job.place);
    else
        begin(run, run->hashing ? PHASE_HASH : PHASE_ALL, 0);
}

static void after_open(struct run *run)
{
    if (run->keyless) {
        log_error("job %" PRIu64
                  ": cancelled, because accounts.db has lost its secret; what it has "
                  "not made needs another upload",
                  run->job.id);
        run->phase = PHASE_OVER;
        return;
    }
    run->hashing = true;
    if (run->job.state == DB_JOB_APPLYING)
        begin_applying(run);
    else
        begin(run, PHASE_CHECK, 0);
}

static void after_check(struct run *run)
{
    const struct jobcheck *check = run->check;

    if (!check->over)
        return;
    metric_add(METRIC_JOBS_WRONG, check->wrong_count);
    if (check->broken || run->job.dry_run || (run->job.all && run->job.wrong > 0)) {
        run->phase = PHASE_OVER;
        return;
    }
    run->job.state = DB_JOB_APPLYING;
    run->hashing = check->generated > 0;
    run->wrong = check->wrong;
    jobcheck_free(run->check);
    run->check = NULL;
    begin_applying(run);
}

static void after_hashes(struct run *run)
{
    atomic_store(&run->rows, run->written->place);
    if (run->written->place == db_job_places(&run->job))
        begin(run, PHASE_ALL, 0);
}

static void after_rows(struct run *run)
{
    const struct lot *lot = run->written;

    run->job.place = lot->place;
    run->job.made += lot->made;
    run->job.wrong += lot->refused;
    metric_add(METRIC_JOBS_MADE, lot->made);
    metric_add(METRIC_JOBS_WRONG, lot->refused);
    atomic_store(&run->rows, run->job.place);
    if (run->job.place == db_job_places(&run->job))
        run->phase = PHASE_OVER;
}

static void after_all(struct run *run)
{
    metric_add(METRIC_JOBS_MADE, run->job.made);
    metric_add(METRIC_JOBS_WRONG, run->job.wrong);
    run->phase = PHASE_OVER;
}

static const struct {
    enum db_result (*work)(struct run *run, struct db *db);
    enum db_result (*write)(struct run *run, struct db *db);
    bool ahead; /* the next lot is filled while one is written, until the reader is over */
    bool alone; /* what is written has a transaction of its own */
    void (*after)(struct run *run);
} phases[] = {
    [PHASE_OPEN] = {read_job, write_opening, false, false, after_open},
    [PHASE_CHECK] = {check, write_check, false, false, after_check},
    [PHASE_HASH] = {fill, write_hashes, true, false, after_hashes},
    [PHASE_ROWS] = {fill, write_rows, true, true, after_rows},
    [PHASE_ALL] = {NULL, write_all, false, true, after_all},
    [PHASE_FAIL] = {NULL, write_failure, false, false, after_all},
};

/* --- from one piece to the next */

static void wait_for(struct event *event, unsigned ms)
{
    const struct timeval pause = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    event_add(event, &pause);
}

/* What is left of the job, if anything, is found again. */
static void drop(struct run *run, unsigned ms)
{
    struct bulk *bulk = run->bulk;

    run->dropped = true;
    if (run->working || run->busy)
        return;
    /* A first that is not the last has a next. */
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
    DL_DELETE(bulk->runs, run);
    bulk->count--;
    metric_add(METRIC_JOBS_RUNNING, -1);
    jobcheck_free(run->check);
    lot_reader_end(&run->reader);
    lot_free(run->filled);
    lot_free(run->written);
    sodium_memzero(run->secret, sizeof(run->secret));
    free(run);
    if (!atomic_load(&bulk->stopping))
        wait_for(bulk->look, ms);
}

static bool submit_writing(struct run *run)
{
    run->writing.alone = phases[run->phase].alone;
    run->writing.holds = run->phase == PHASE_ALL && run->job.rows > ROWS_QUICK;
    run->busy = writer_submit(run->bulk->writer, &run->writing) == 0;
    return run->busy;
}

/* What has been filled is written, and there is room for the next. */
static void exchange_lots(struct run *run)
{
    struct lot *lot = run->filled;

    run->filled = run->written;
    run->written = lot;
    run->careful = run->worked = false;
}

/* Gives the writer what is ready, and the thread what comes next: false where one took nothing. */
static bool submit_next(struct run *run)
{
    bool works = phases[run->phase].work != NULL;
    bool ahead = phases[run->phase].ahead;

    if (!run->busy && (run->worked || !works)) {
        if (run->worked)
            exchange_lots(run);
        if (!submit_writing(run))
            return false;
    }
    if (!works || run->working || run->worked || (run->busy && (!ahead || run->reader.over)))
        return true;
    run->working = bulk_submit(run->bulk, &run->work) == 0;
    return run->working;
}

static void go_on(struct run *run)
{
    if (run->phase == PHASE_OVER)
        drop(run, 0);
    else if (run->dropped || is_ended(run) || !submit_next(run))
        drop(run, PATIENCE);
}

static struct run *run_of_work(struct bulk_work *work)
{
    return (struct run *)((char *)work - offsetof(struct run, work));
}

static void work(struct bulk_work *bulk_work, struct db *db)
{
    struct run *run = run_of_work(bulk_work);

    run->result = phases[run->phase].work(run, db);
}

static void done_work(struct bulk_work *bulk_work)
{
    struct run *run = run_of_work(bulk_work);

    run->working = false;
    run->worked = run->result == DB_OK;
    if (run->worked)
        go_on(run);
    else
        drop(run, PATIENCE);
}

static struct run *run_of_writing(struct writing *writing)
{
    return (struct run *)((char *)writing - offsetof(struct run, writing));
}

static enum db_result write_run(struct writing *writing, struct db *db)
{
    struct run *run = run_of_writing(writing);

    db_audit_actor(db, run->job.actor);
    db_audit_source(db, run->job.remote, run->job.request);
    return phases[run->phase].write(run, db);
}

static void done_writing(struct writing *writing)
{
    struct run *run = run_of_writing(writing);
    bool refused = run->written != NULL && run->written->last_error.row != 0;

    run->busy = false;
    if (writing->result == DB_OK) {
        phases[run->phase].after(run);
        go_on(run);
    } else if (run->phase == PHASE_ALL && refused && !is_failure(writing->result)) {
        run->phase = PHASE_FAIL;
        go_on(run);
    } else if (run->phase == PHASE_ROWS && refused && !run->careful && !run->dropped &&
               !is_ended(run)) {
        run->careful = true;
        if (!submit_writing(run))
            drop(run, PATIENCE);
    } else {
        drop(run, PATIENCE);
    }
}

static struct run *find(const struct bulk *bulk, uint64_t job)
{
    struct run *run;

    DL_FOREACH (bulk->runs, run)
        if (run->job.id == job)
            return run;
    return NULL;
}

static bool has_its_share(const struct bulk *bulk, uint64_t customer)
{
    const struct run *run;
    unsigned count = 0;

    DL_FOREACH (bulk->runs, run)
        count += run->job.customer == customer;
    return count >= RUNS_OF_ONE_MAX;
}

static void start(struct bulk *bulk, const struct db_job *job)
{
    struct run *run = xcalloc(1, sizeof(*run));

    run->bulk = bulk;
    run->job = *job;
    run->work.run = work;
    run->work.done = done_work;
    run->writing.run = write_run;
    run->writing.done = done_writing;
    DL_APPEND(bulk->runs, run);
    bulk->count++;
    metric_add(METRIC_JOBS_RUNNING, 1);
    go_on(run);
}

static void look(struct bulk *bulk)
{
    struct db_job job = {0};
    enum db_result result = DB_NONE;

    while (!atomic_load(&bulk->stopping) && bulk->count < RUNS_MAX &&
           (result = db_job_open_next(bulk->db, &job)) == DB_OK)
        if (find(bulk, job.id) == NULL && !has_its_share(bulk, job.customer))
            start(bulk, &job);
    wait_for(bulk->look, is_failure(result) ? PATIENCE : LOOK_EVERY);
}

static void on_look(evutil_socket_t fd, short what, void *context)
{
    struct bulk *bulk = context;
    (void)fd;
    (void)what;

    if (!atomic_load(&bulk->stopping))
        look(bulk);
}

void bulk_wake(struct bulk *bulk)
{
    if (!atomic_load(&bulk->stopping))
        wait_for(bulk->look, 0);
}

/* --- what nobody needs any more */

static enum db_result write_pruning(struct writing *writing, struct db *db)
{
    (void)writing;
    return db_job_prune(db);
}

static void done_pruning(struct writing *writing)
{
    struct bulk *bulk = (struct bulk *)((char *)writing - offsetof(struct bulk, pruning));

    if (!atomic_load(&bulk->stopping))
        wait_for(bulk->prune, writing->result == DB_OK ? 0 : PRUNE_EVERY);
}

static void on_prune(evutil_socket_t fd, short what, void *context)
{
    struct bulk *bulk = context;
    (void)fd;
    (void)what;

    if (writer_submit(bulk->writer, &bulk->pruning) != 0)
        wait_for(bulk->prune, PRUNE_EVERY);
}

/* --- the thread */

static void run_work(void *context, struct work *work)
{
    const struct bulk *bulk = context;
    struct bulk_work *bulk_work =
        (struct bulk_work *)((char *)work - offsetof(struct bulk_work, work));

    bulk_work->run(bulk_work, bulk->threads);
}

static void end_work(struct work *work)
{
    struct bulk_work *bulk_work =
        (struct bulk_work *)((char *)work - offsetof(struct bulk_work, work));

    bulk_work->done(bulk_work);
}

int bulk_submit(struct bulk *bulk, struct bulk_work *work)
{
    work->work.done = end_work;
    return workers_submit(bulk->workers, &work->work);
}

/* --- the life of it */

struct bulk *bulk_new(struct event_base *base, struct db *db, struct db *threads,
                      struct writer *writer, const struct password_cost *cost)
{
    struct bulk *bulk = xcalloc(1, sizeof(*bulk));

    bulk->db = db;
    bulk->threads = threads;
    bulk->writer = writer;
    bulk->cost = *cost;
    bulk->pruning.run = write_pruning;
    bulk->pruning.done = done_pruning;
    bulk->look = evtimer_new(base, on_look, bulk);
    bulk->prune = evtimer_new(base, on_prune, bulk);
    if (bulk->look == NULL || bulk->prune == NULL)
        log_fatal("cannot make a timer: out of memory");
    bulk->workers = workers_new(base, 1, 1, WAITING_MAX, run_work, bulk);
    atomic_store(&bulk->stopping, true);
    return bulk;
}

void bulk_serve(struct bulk *bulk)
{
    atomic_store(&bulk->stopping, false);
    wait_for(bulk->look, 0);
    wait_for(bulk->prune, PRUNE_EVERY);
}

void bulk_stop(struct bulk *bulk)
{
    atomic_store(&bulk->stopping, true);
    event_del(bulk->look);
    event_del(bulk->prune);
}

void bulk_join(struct bulk *bulk)
{
    bulk_stop(bulk);
    workers_free(bulk->workers);
}

void bulk_free(struct bulk *bulk)
{
    event_free(bulk->look);
    event_free(bulk->prune);
    db_close(bulk->threads);
    sodium_memzero(&bulk->cost, sizeof(bulk->cost));
    free(bulk);
}

/* --- for those who ask */

void bulk_cancel(struct bulk *bulk, uint64_t job)
{
    struct run *run = find(bulk, job);

    if (run == NULL)
        return;
    atomic_store(&run->cancelled, true);
    writer_release(bulk->writer, &run->writing);
}

/* Of so many percent that begin at `from`. */
static unsigned percent(uint64_t done, uint64_t total, unsigned from, unsigned to)
{
    return from + (total == 0 ? 0 : (unsigned)(done * (to - from) / total));
}

static unsigned run_percent(const struct run *run)
{
    unsigned end = db_job_places(&run->job);
    unsigned rows = atomic_load(&run->rows);

    switch (run->phase) {
    case PHASE_OPEN: return 0;
    case PHASE_CHECK:
        return percent(atomic_load(&run->octets), run->job.octets, 0,
                       run->job.dry_run ? 100 : CHECKED_PERCENT);
    case PHASE_HASH: return percent(rows, end, CHECKED_PERCENT, HASHED_PERCENT);
    default:
        return percent(rows, end, run->job.all && run->hashing ? HASHED_PERCENT : CHECKED_PERCENT,
                       100);
    }
}

/* How fast its phase is, and how long the rest of that takes. */
static void measure(const struct run *run, struct bulk_progress *progress)
{
    unsigned rows = atomic_load(&run->rows);
    uint64_t time = clock_milliseconds() - run->begun;
    unsigned end = db_job_places(&run->job);

    progress->rows = rows;
    if (time < 100 || rows <= run->begun_rows)
        return;
    progress->rate = (rows - run->begun_rows) * 1000.0 / (double)time;
    progress->timed = run->phase > PHASE_CHECK;
    progress->seconds = (uint64_t)((end - rows) / progress->rate + 0.5);
}

void bulk_progress(const struct bulk *bulk, const struct db_job *job,
                   struct bulk_progress *progress_r)
{
    const struct run *run = db_job_is_over(job) ? NULL : find(bulk, job->id);

    *progress_r = (struct bulk_progress){.rows = job->place, .percent = db_job_percent(job)};
    if (run != NULL) {
        progress_r->percent = run_percent(run);
        measure(run, progress_r);
    }
}
