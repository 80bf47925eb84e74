#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>
#include <utlist.h>

#include "authd/hashpool.h"
#include "authd/scheme.h"
#include "authd/turns.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/xalloc.h"

/* Microseconds: so long others pass by one for which there is no memory. */
#define PASSING_TIME 1000000

/* Of the hash threads: beside something that wants all of a core, they get a quarter of it. */
#define NICENESS 5

struct hashpool {
    pthread_mutex_t lock; /* guards all members down to `stopping` and every job's state */
    pthread_cond_t work;
    struct turns *turns;    /* to be checked */
    struct hash_job *later; /* to be made; begun when nothing is to be checked */
    struct hash_job *finished;
    unsigned later_count;
    unsigned limit;
    uint64_t memory;      /* octets that hashes may take together */
    uint64_t memory_used; /* ... and take now */
    bool stopping;

    int wakeup; /* eventfd: there are finished jobs */
    struct event *on_wakeup;
    unsigned thread_count;
    pthread_t threads[];
};

static void wipe(struct hash_job *job)
{
    sodium_memzero(job->password, sizeof(job->password));
    sodium_memzero(job->raw, sizeof(job->raw));
    sodium_memzero(&job->stored, sizeof(job->stored));
    job->password_length = 0;
    job->raw_length = 0;
}

/*
 * What a wrong password costs against nobody's hash: without it, the time that a cheaper imported
 * hash takes would tell that the mailbox exists.
 */
static void pass_time(const struct hash_job *job)
{
    static const uint8_t salt[crypto_pwhash_SALTBYTES];
    uint8_t octets[crypto_pwhash_BYTES_MIN];

    if (crypto_pwhash(octets, sizeof(octets), job->password, job->password_length, salt,
                      job->operations, (size_t)job->memory, crypto_pwhash_ALG_ARGON2ID13) != 0)
        log_warning("a wrong password took less time than others, for want of memory; lower "
                    "hash_threads or hash_memory");
    sodium_memzero(octets, sizeof(octets));
}

static enum hash_result compare_with(const struct hash_job *job)
{
    enum scheme_result result = SCHEME_WRONG;

    if (job->password_length > 0)
        result = scheme_compare(&job->stored, job->password, job->password_length);
    if (result == SCHEME_WRONG && job->raw_length > 0)
        result = scheme_compare(&job->stored, job->raw, job->raw_length);
    if (result == SCHEME_WRONG && job->stored.kind != STOREDHASH_OWN)
        pass_time(job);
    return result == SCHEME_FITS ? HASH_FITS : result == SCHEME_WRONG ? HASH_WRONG : HASH_BROKEN;
}

static enum hash_result compare(const struct hash_job *job)
{
    if (job->is_stored)
        return compare_with(job);
    log_error("a stored password hash is damaged; set that password anew");
    return HASH_BROKEN;
}

static enum hash_result make(struct hash_job *job)
{
    _Static_assert(sizeof(job->hash) >= crypto_pwhash_STRBYTES, "a hash fits");
    if (crypto_pwhash_str(job->hash, job->password, job->password_length, job->operations,
                          (size_t)job->memory) == 0)
        return HASH_FITS;
    log_warning("a password was not hashed anew, for want of memory; lower hash_threads or "
                "hash_memory");
    return HASH_BROKEN;
}

static void finish(struct hashpool *pool, struct hash_job *job)
{
    const uint64_t one = 1;
    bool first = pool->finished == NULL;

    job->state = HASH_DONE;
    DL_APPEND(pool->finished, job);
    if (first && write(pool->wakeup, &one, sizeof(one)) < 0)
        log_error("cannot wake the event loop: %s", strerror(errno));
}

static bool has_room(const struct hashpool *pool, const struct hash_job *job)
{
    return pool->memory_used == 0 ||
           (pool->memory_used <= pool->memory && job->needs <= pool->memory - pool->memory_used);
}

/* Whose turn it is; where there is no memory for that one yet, who may pass by. NULL: nobody. */
static struct hash_job *choose(const struct hashpool *pool)
{
    struct hash_job *first = turns_next(pool->turns, UINT64_MAX);

    if (first == NULL)
        first = pool->later;
    if (first == NULL || has_room(pool, first))
        return first;
    if (first->kind != HASH_COMPARE || pool->memory_used >= pool->memory)
        return NULL;
    if (first->passed == 0)
        first->passed = clock_microseconds();
    if (clock_microseconds() - first->passed >= PASSING_TIME)
        return NULL;
    return turns_next(pool->turns, pool->memory - pool->memory_used);
}

/* Takes the next job off its queue, or returns NULL: there is none, or no memory for it yet. */
static struct hash_job *take_job(struct hashpool *pool)
{
    struct hash_job *job = choose(pool);

    if (job == NULL)
        return NULL;
    if (job->kind == HASH_COMPARE) {
        turns_begin(pool->turns, job);
    } else {
        DL_DELETE(pool->later, job);
        pool->later_count--;
    }
    pool->memory_used += job->needs;
    job->state = HASH_RUNNING;
    return job;
}

static enum hash_result make_keys(struct hash_job *job)
{
    if (scramkeys_make(&job->keys, job->password, job->password_length, SCRAMKEYS_ITERATIONS) == 0)
        return HASH_FITS;
    log_warning("keys for SCRAM were not made, for want of memory");
    return HASH_BROKEN;
}

static void run_job(struct hash_job *job)
{
    if (job->kind != HASH_COMPARE) {
        job->result = job->kind == HASH_MAKE ? make(job) : make_keys(job);
        return;
    }
    metric_add(METRIC_AUTH_QUEUE, -1);
    metric_add(METRIC_AUTH_HASHES, 1);
    job->result = compare(job);
}

/* Linux takes it for the thread's own, and POSIX for the process's. */
static void step_back(void)
{
    if (setpriority(PRIO_PROCESS, 0, NICENESS) < 0)
        log_warning("cannot lower the priority of a hash thread: %s", strerror(errno));
}

static void *run_thread(void *context)
{
    struct hashpool *pool = context;

    step_back();
    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        struct hash_job *job = take_job(pool);
        if (job == NULL) {
            pthread_cond_wait(&pool->work, &pool->lock);
            continue;
        }
        /* There may be memory for another, and a thread that waits for it. */
        if (turns_count(pool->turns) > 0 || pool->later != NULL)
            pthread_cond_signal(&pool->work);
        pthread_mutex_unlock(&pool->lock);
        uint64_t began = clock_microseconds();
        run_job(job);
        uint64_t took = clock_microseconds() - began;
        pthread_mutex_lock(&pool->lock);
        pool->memory_used -= job->needs;
        if (job->kind == HASH_COMPARE)
            turns_end(pool->turns, job, took);
        finish(pool, job);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static void on_wakeup(evutil_socket_t fd, short what, void *context)
{
    struct hashpool *pool = context;
    uint64_t count;
    (void)what;

    /* Emptied before the list is taken, so that a job which finishes meanwhile wakes us again. */
    if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
        log_error("cannot read the hash threads' eventfd: %s", strerror(errno));
    pthread_mutex_lock(&pool->lock);
    struct hash_job *jobs = pool->finished;
    pool->finished = NULL;
    pthread_mutex_unlock(&pool->lock);
    while (jobs != NULL) {
        struct hash_job *job = jobs;
        DL_DELETE(jobs, job);
        job->done(job);
    }
}

/* Signals are the event loop's: a thread that took one would only delay it. */
static void start_threads(struct hashpool *pool, unsigned threads)
{
    sigset_t all;
    sigset_t before;

    sigfillset(&all);
    sigdelset(&all, SIGSYS); /* lib/callfilter.c answers it */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; pool->thread_count < threads; pool->thread_count++) {
        int error = pthread_create(&pool->threads[pool->thread_count], NULL, run_thread, pool);
        if (error != 0)
            log_fatal("cannot start a hash thread: %s; lower hash_threads", strerror(error));
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct hashpool *hashpool_new(struct event_base *base, unsigned threads, unsigned limit,
                              uint64_t memory)
{
    struct hashpool *pool = xcalloc(1, sizeof(*pool) + threads * sizeof(pool->threads[0]));

    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pool->turns = turns_new();
    pool->limit = limit;
    pool->memory = memory;
    pool->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pool->wakeup < 0)
        log_fatal("cannot make an eventfd: %s", strerror(errno));
    pool->on_wakeup = event_new(base, pool->wakeup, EV_READ | EV_PERSIST, on_wakeup, pool);
    if (pool->on_wakeup == NULL || event_add(pool->on_wakeup, NULL) < 0)
        log_fatal("cannot watch the hash threads");
    start_threads(pool, threads);
    return pool;
}

void hashpool_free(struct hashpool *pool)
{
    struct hash_job *job;

    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    metric_add(METRIC_AUTH_QUEUE, -(int64_t)turns_count(pool->turns));
    while ((job = turns_any(pool->turns)) != NULL) {
        turns_remove(pool->turns, job);
        wipe(job);
    }
    turns_free(pool->turns);
    DL_FOREACH (pool->later, job) {
        wipe(job);
    }
    DL_FOREACH (pool->finished, job) {
        wipe(job);
    }
    event_free(pool->on_wakeup);
    close(pool->wakeup);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

void hashpool_configure(struct hashpool *pool, unsigned limit, uint64_t memory)
{
    pthread_mutex_lock(&pool->lock);
    pool->limit = limit;
    pool->memory = memory;
    pthread_mutex_unlock(&pool->lock);
}

static void enqueue(struct hashpool *pool, struct hash_job *job)
{
    job->state = HASH_QUEUED;
    if (job->kind != HASH_COMPARE) {
        DL_APPEND(pool->later, job);
        pool->later_count++;
    } else {
        turns_add(pool->turns, job);
        metric_add(METRIC_AUTH_QUEUE, 1);
    }
    pthread_cond_signal(&pool->work);
}

/* Whether there is room for the job, which another may have made. */
static bool make_room(struct hashpool *pool, const struct hash_job *job)
{
    if (job->kind != HASH_COMPARE)
        return pool->later_count < pool->limit;
    if (turns_count(pool->turns) < pool->limit)
        return true;
    struct hash_job *other = turns_crowded(pool->turns, job->customer);
    if (other == NULL)
        return false;
    turns_remove(pool->turns, other);
    metric_add(METRIC_AUTH_QUEUE, -1);
    other->result = HASH_REFUSED;
    finish(pool, other);
    return true;
}

int hashpool_submit(struct hashpool *pool, struct hash_job *job)
{
    const char *error;

    if (job->kind == HASH_COMPARE)
        job->is_stored = storedhash_parse(&job->stored, job->hash, &error) == 0 &&
                         (job->stored.kind == STOREDHASH_OWN ||
                          storedhash_check_cost(&job->stored, &error) == 0);
    /* What one takes alone is not too much: see storedhash_check_cost(). */
    job->needs = job->stored.memory > job->memory ? job->stored.memory : job->memory;
    pthread_mutex_lock(&pool->lock);
    bool room = make_room(pool, job);
    if (room)
        enqueue(pool, job);
    pthread_mutex_unlock(&pool->lock);
    if (!room)
        wipe(job);
    return room ? 0 : -1;
}

int hashpool_withdraw(struct hashpool *pool, struct hash_job *job)
{
    pthread_mutex_lock(&pool->lock);
    bool queued = job->kind == HASH_COMPARE && job->state == HASH_QUEUED;
    if (queued) {
        turns_remove(pool->turns, job);
        job->state = HASH_IDLE;
    }
    pthread_mutex_unlock(&pool->lock);
    if (!queued)
        return -1;
    metric_add(METRIC_AUTH_QUEUE, -1);
    wipe(job);
    return 0;
}
