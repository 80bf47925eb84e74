#include <ctype.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utlist.h>

#include "authd/hashpool.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/xalloc.h"

struct hashpool {
    pthread_mutex_t lock; /* guards all members down to `stopping` and every job's state */
    pthread_cond_t work;
    struct hash_job *queued;
    struct hash_job *finished;
    unsigned queued_count;
    unsigned limit;
    bool stopping;

    int wakeup; /* eventfd: there are finished jobs */
    struct event *on_wakeup;
    unsigned thread_count;
    pthread_t threads[];
};

static void wipe(struct hash_job *job)
{
    sodium_memzero(job->password, sizeof(job->password));
    job->password_length = 0;
}

/* What the text that crypto_pwhash_str() makes says. */
struct parsed_hash {
    unsigned long long operations;
    size_t memory; /* octets */
    uint8_t salt[crypto_pwhash_SALTBYTES];
    uint8_t hash[32];
};

/* Moves *text behind this label. Returns 0 or -1. */
static int parse_label(const char **text, const char *label)
{
    size_t length = strlen(label);

    if (strncmp(*text, label, length) != 0)
        return -1;
    *text += length;
    return 0;
}

static int parse_number(const char **text, unsigned long *number_r)
{
    char *end;

    if (!isdigit((unsigned char)**text))
        return -1;
    errno = 0;
    *number_r = strtoul(*text, &end, 10);
    *text = end;
    return errno == 0 && *number_r <= UINT32_MAX ? 0 : -1;
}

/* Decodes exactly `size` octets. */
static int parse_octets(const char **text, uint8_t *octets_r, size_t size)
{
    size_t length;

    if (sodium_base642bin(octets_r, size, *text, strlen(*text), NULL, &length, text,
                          sodium_base64_VARIANT_ORIGINAL_NO_PADDING) != 0)
        return -1;
    return length == size ? 0 : -1;
}

static int parse_hash(struct parsed_hash *parsed_r, const char *text)
{
    unsigned long kibibytes;
    unsigned long operations;

    if (parse_label(&text, "$argon2id$v=19$m=") < 0 || parse_number(&text, &kibibytes) < 0 ||
        parse_label(&text, ",t=") < 0 || parse_number(&text, &operations) < 0 ||
        parse_label(&text, ",p=1$") < 0 ||
        parse_octets(&text, parsed_r->salt, sizeof(parsed_r->salt)) < 0 ||
        parse_label(&text, "$") < 0 ||
        parse_octets(&text, parsed_r->hash, sizeof(parsed_r->hash)) < 0 || *text != '\0')
        return -1;
    parsed_r->operations = operations;
    parsed_r->memory = (size_t)kibibytes * 1024;
    return operations >= crypto_pwhash_OPSLIMIT_MIN &&
                   parsed_r->memory >= crypto_pwhash_MEMLIMIT_MIN
               ? 0
               : -1;
}

/*
 * Not by crypto_pwhash_str_verify(): for a lack of memory that gives the same answer as for a wrong
 * password (libsodium 1.0.18), and clients with the right one would ask their users for another.
 */
static enum hash_result verify(const struct hash_job *job)
{
    struct parsed_hash parsed;
    uint8_t hash[sizeof(parsed.hash)];
    enum hash_result result = HASH_BROKEN;

    if (parse_hash(&parsed, job->hash) < 0) {
        log_error("a stored password hash is damaged; set that password anew");
        return HASH_BROKEN;
    }
    if (crypto_pwhash(hash, sizeof(hash), job->password, job->password_length, parsed.salt,
                      parsed.operations, parsed.memory, crypto_pwhash_ALG_ARGON2ID13) == 0)
        result = sodium_memcmp(hash, parsed.hash, sizeof(hash)) == 0 ? HASH_FITS : HASH_WRONG;
    else
        log_error("a password could not be hashed for want of memory; lower hash_threads or "
                  "hash_memory");
    sodium_memzero(hash, sizeof(hash));
    sodium_memzero(&parsed, sizeof(parsed));
    return result;
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

static void *run_thread(void *context)
{
    struct hashpool *pool = context;

    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        struct hash_job *job = pool->queued;
        if (job == NULL) {
            pthread_cond_wait(&pool->work, &pool->lock);
            continue;
        }
        DL_DELETE(pool->queued, job);
        pool->queued_count--;
        job->state = HASH_RUNNING;
        pthread_mutex_unlock(&pool->lock);
        metric_add(METRIC_AUTH_QUEUE, -1);
        metric_add(METRIC_AUTH_HASHES, 1);
        job->result = verify(job);
        wipe(job);
        pthread_mutex_lock(&pool->lock);
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

struct hashpool *hashpool_new(struct event_base *base, unsigned threads, unsigned limit)
{
    struct hashpool *pool = xcalloc(1, sizeof(*pool) + threads * sizeof(pool->threads[0]));

    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pool->limit = limit;
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
    DL_FOREACH (pool->queued, job) {
        wipe(job);
    }
    metric_add(METRIC_AUTH_QUEUE, -(int64_t)pool->queued_count);
    event_free(pool->on_wakeup);
    close(pool->wakeup);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

void hashpool_set_limit(struct hashpool *pool, unsigned limit)
{
    pthread_mutex_lock(&pool->lock);
    pool->limit = limit;
    pthread_mutex_unlock(&pool->lock);
}

int hashpool_submit(struct hashpool *pool, struct hash_job *job)
{
    pthread_mutex_lock(&pool->lock);
    bool full = pool->queued_count >= pool->limit;
    if (!full) {
        job->state = HASH_QUEUED;
        DL_APPEND(pool->queued, job);
        pool->queued_count++;
        metric_add(METRIC_AUTH_QUEUE, 1);
        pthread_cond_signal(&pool->work);
    }
    pthread_mutex_unlock(&pool->lock);
    if (full)
        wipe(job);
    return full ? -1 : 0;
}

int hashpool_withdraw(struct hashpool *pool, struct hash_job *job)
{
    pthread_mutex_lock(&pool->lock);
    bool queued = job->state == HASH_QUEUED;
    if (queued) {
        DL_DELETE(pool->queued, job);
        pool->queued_count--;
        job->state = HASH_IDLE;
    }
    pthread_mutex_unlock(&pool->lock);
    if (!queued)
        return -1;
    metric_add(METRIC_AUTH_QUEUE, -1);
    wipe(job);
    return 0;
}
