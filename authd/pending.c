#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "authd/pending.h"
#include "authd/typed.h"
#include "lib/clock.h"
#include "lib/xalloc.h"

/* A hash that is being computed, or is held back until others are done; and who waits for it. */
struct pending {
    struct hash_job job; /* first, so that the job's address is this one's */
    struct pending_key key;
    struct throttle_try try;
    struct pendings *pendings;
    struct check *checks;
    bool held;
    uint32_t since;       /* it is held */
    struct pending *prev; /* of those held */
    struct pending *next;
    UT_hash_handle hh;
};

struct pendings {
    struct throttle *throttle;
    struct cache *cache;
    struct hashpool *pool;
    const struct pendings_events *events;
    void *context;
    struct pending *all; /* by key */
    struct pending *held;
};

struct pendings *pendings_new(struct throttle *throttle, struct cache *cache, struct hashpool *pool,
                              const struct pendings_events *events, void *context)
{
    struct pendings *pendings = xcalloc(1, sizeof(*pendings));

    pendings->throttle = throttle;
    pendings->cache = cache;
    pendings->pool = pool;
    pendings->events = events;
    pendings->context = context;
    return pendings;
}

static void pending_free(struct pending *pending)
{
    if (pending->held)
        DL_DELETE(pending->pendings->held, pending);
    HASH_DEL(pending->pendings->all, pending);
    sodium_memzero(pending, sizeof(*pending));
    free(pending);
}

void pendings_free(struct pendings *pendings)
{
    struct pending *pending;
    struct pending *next;

    HASH_ITER (hh, pendings->all, pending, next) {
        pending_free(pending);
    }
    free(pendings);
}

unsigned pendings_count(const struct pendings *pendings)
{
    return HASH_COUNT(pendings->all);
}

static struct check *take_check(struct pending *pending)
{
    struct check *check = pending->checks;

    if (check != NULL) {
        DL_DELETE(pending->checks, check);
        check->pending = NULL;
    }
    return check;
}

/* Has the password hashed. Returns 0, or -1 when the queue is full. */
static int submit(struct pending *pending)
{
    struct pendings *pendings = pending->pendings;

    throttle_begin(pendings->throttle, &pending->try, clock_seconds());
    if (hashpool_submit(pendings->pool, &pending->job) == 0)
        return 0;
    throttle_note(pendings->throttle, &pending->try, THROTTLE_UNDECIDED, clock_seconds());
    return -1;
}

/* Answers everybody who waits for one that is held back, and forgets it. */
static void dismiss(struct pending *pending, enum throttle_verdict verdict,
                    const struct throttle_wait *wait, bool good)
{
    struct pendings *pendings = pending->pendings;
    struct check *check;

    pending->job.result = good ? HASH_FITS : HASH_WRONG;
    if (good)
        throttle_note(pendings->throttle, &pending->try, THROTTLE_GOOD, clock_seconds());
    while ((check = take_check(pending)) != NULL) {
        if (verdict == THROTTLE_WAIT)
            pendings->events->delayed(check, wait);
        else if (verdict == THROTTLE_PASS && !good)
            pendings->events->busy(check);
        else
            pendings->events->compared(pendings->context, check, &pending->job, false);
    }
    pending_free(pending);
}

/* The end of another check may let one pass that is held back. */
static void release(struct pending *pending)
{
    struct pendings *pendings = pending->pendings;
    uint32_t now = clock_seconds();
    struct throttle_wait wait;

    enum throttle_verdict verdict = throttle_judge(pendings->throttle, &pending->try, now, &wait);
    if (verdict == THROTTLE_HOLD)
        return;
    bool good = verdict == THROTTLE_PASS && cache_find(pendings->cache, pending->key.digest, now);
    if (verdict != THROTTLE_PASS || good || now - pending->since >= PENDING_SECONDS ||
        submit(pending) < 0) {
        dismiss(pending, verdict, &wait, good);
        return;
    }
    DL_DELETE(pendings->held, pending);
    pending->held = false;
}

static void release_beside(struct pendings *pendings, const struct throttle_try *done)
{
    struct pending *pending;
    struct pending *next;

    DL_FOREACH_SAFE(pendings->held, pending, next)
    {
        if (throttle_is_beside(&pending->try, done))
            release(pending);
    }
}

static void on_hashed(struct hash_job *job)
{
    static const enum throttle_outcome outcomes[] = {[HASH_FITS] = THROTTLE_GOOD,
                                                     [HASH_WRONG] = THROTTLE_WRONG,
                                                     [HASH_BROKEN] = THROTTLE_UNDECIDED,
                                                     [HASH_REFUSED] = THROTTLE_UNDECIDED};
    struct pending *pending = (struct pending *)job;
    struct pendings *pendings = pending->pendings;
    struct throttle_try try = pending->try;
    struct check *check;
    bool told = false;

    unsigned delays =
        throttle_note(pendings->throttle, &try, outcomes[job->result], clock_seconds());
    if (job->result == HASH_FITS)
        cache_add(pendings->cache, pending->key.digest, clock_seconds());
    if (pending->checks != NULL)
        pending->checks->delays = delays;
    while ((check = take_check(pending)) != NULL) {
        if (job->result == HASH_REFUSED) {
            pendings->events->busy(check);
            continue;
        }
        told = pendings->events->compared(pendings->context, check, job, !told) || told;
    }
    pending_free(pending);
    release_beside(pendings, &try);
}

static struct pending *pending_new(struct pendings *pendings, const struct pending_key *key,
                                   const struct throttle_try *try)
{
    struct pending *pending = xcalloc(1, sizeof(*pending));

    pending->pendings = pendings;
    pending->key = *key;
    pending->try = *try;
    pending->job.done = on_hashed;
    HASH_ADD(hh, pendings->all, key, sizeof(*key), pending);
    return pending;
}

static void fill_in(struct hash_job *job, const struct pending_order *order)
{
    const struct typed *typed = order->typed;

    job->customer = order->customer;
    memcpy(job->hash, order->hash, strlen(order->hash) + 1);
    memcpy(job->password, typed->prepared, typed->prepared_length);
    job->password_length = typed->prepared_length;
    memcpy(job->raw, typed->raw, typed->raw_length);
    job->raw_length = typed->raw_length;
    job->operations = order->operations;
    job->memory = order->memory;
}

int pendings_add(struct pendings *pendings, struct check *check, const struct pending_order *order,
                 bool hold)
{
    struct pending *pending;

    HASH_FIND(hh, pendings->all, order->key, sizeof(*order->key), pending);
    if (pending == NULL) {
        if (hold && HASH_COUNT(pendings->all) >= PENDING_MOST)
            return -1;
        pending = pending_new(pendings, order->key, &check->try);
        fill_in(&pending->job, order);
        if (hold) {
            pending->held = true;
            pending->since = clock_seconds();
            DL_APPEND(pendings->held, pending);
        } else if (submit(pending) < 0) {
            pending_free(pending);
            return -1;
        }
    }
    check->pending = pending;
    DL_APPEND(pending->checks, check);
    return 0;
}

void pendings_cancel(struct pendings *pendings, struct check *check)
{
    struct pending *pending = check->pending;

    if (pending == NULL)
        return;
    check->pending = NULL;
    DL_DELETE(pending->checks, check);
    if (pending->checks != NULL)
        return;
    /* Nobody waits for it: it need not be hashed, unless a thread is at it already. */
    if (pending->held) {
        pending_free(pending);
    } else if (hashpool_withdraw(pendings->pool, &pending->job) == 0) {
        struct throttle_try try = pending->try;
        throttle_note(pendings->throttle, &try, THROTTLE_UNDECIDED, clock_seconds());
        pending_free(pending);
        release_beside(pendings, &try);
    }
}
