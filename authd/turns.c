#include <stdlib.h>
#include <uthash.h>
#include <utlist.h>

#include "authd/hashpool.h"
#include "authd/turns.h"
#include "lib/xalloc.h"

/* Of a customer with jobs that wait or are computed. */
struct share {
    uint64_t customer;
    uint64_t spent; /* microseconds */
    unsigned running;
    unsigned waiting;
    struct hash_job *jobs; /* that wait */
    UT_hash_handle hh;
};

struct turns {
    struct share *shares;
    unsigned count;
    uint64_t spent; /* by who was served last: where a new one begins */
};

struct turns *turns_new(void)
{
    return xcalloc(1, sizeof(struct turns));
}

static void share_free(struct turns *turns, struct share *share)
{
    HASH_DEL(turns->shares, share);
    free(share);
}

void turns_free(struct turns *turns)
{
    struct share *share;
    struct share *next;

    if (turns == NULL)
        return;
    HASH_ITER (hh, turns->shares, share, next) {
        share_free(turns, share);
    }
    free(turns);
}

unsigned turns_count(const struct turns *turns)
{
    return turns->count;
}

struct hash_job *turns_any(const struct turns *turns)
{
    struct share *share;
    struct share *next;

    HASH_ITER (hh, turns->shares, share, next) {
        if (share->jobs != NULL)
            return share->jobs;
    }
    return NULL;
}

static struct share *share_of(struct turns *turns, uint64_t customer)
{
    struct share *share;

    HASH_FIND(hh, turns->shares, &customer, sizeof(customer), share);
    if (share != NULL)
        return share;
    share = xcalloc(1, sizeof(*share));
    share->customer = customer;
    share->spent = turns->spent;
    HASH_ADD(hh, turns->shares, customer, sizeof(share->customer), share);
    return share;
}

void turns_add(struct turns *turns, struct hash_job *job)
{
    struct share *share = share_of(turns, job->customer);

    job->share = share;
    DL_APPEND(share->jobs, job);
    share->waiting++;
    turns->count++;
}

static void leave(struct turns *turns, struct hash_job *job)
{
    struct share *share = job->share;

    DL_DELETE(share->jobs, job);
    share->waiting--;
    turns->count--;
}

static void tidy(struct turns *turns, struct share *share)
{
    if (share->waiting == 0 && share->running == 0)
        share_free(turns, share);
}

void turns_remove(struct turns *turns, struct hash_job *job)
{
    leave(turns, job);
    tidy(turns, job->share);
}

static bool comes_before(const struct share *one, const struct share *other)
{
    return one->running != other->running ? one->running < other->running
                                          : one->spent < other->spent;
}

struct hash_job *turns_next(const struct turns *turns, uint64_t memory)
{
    const struct share *first = NULL;
    struct share *share;
    struct share *next;

    HASH_ITER (hh, turns->shares, share, next) {
        if (share->waiting > 0 && share->jobs->needs <= memory &&
            (first == NULL || comes_before(share, first)))
            first = share;
    }
    return first != NULL ? first->jobs : NULL;
}

void turns_begin(struct turns *turns, struct hash_job *job)
{
    leave(turns, job);
    job->share->running++;
    if (job->share->spent > turns->spent)
        turns->spent = job->share->spent;
}

void turns_end(struct turns *turns, struct hash_job *job, uint64_t microseconds)
{
    job->share->running--;
    job->share->spent += microseconds;
    tidy(turns, job->share);
}

struct hash_job *turns_crowded(const struct turns *turns, uint64_t customer)
{
    const struct share *most = NULL;
    struct share *own;
    struct share *share;
    struct share *next;

    HASH_FIND(hh, turns->shares, &customer, sizeof(customer), own);
    HASH_ITER (hh, turns->shares, share, next) {
        if (share->waiting > 0 && (most == NULL || share->waiting > most->waiting))
            most = share;
    }
    if (most == NULL || most->waiting <= (own != NULL ? own->waiting : 0) + 1)
        return NULL;
    return most->jobs->prev; /* the head's is the tail */
}
