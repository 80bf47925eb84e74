#include <stddef.h>
#include <stdlib.h>

#include <sodium.h>

#include "admin/hasher.h"
#include "lib/xalloc.h"

/* Some seconds of work; who comes then is told to come again. */
#define HASHES_WAITING_MAX 64

struct hasher {
    struct password_cost cost;
    struct workers *workers;
};

static struct hashing *hashing_of(struct work *work)
{
    return (struct hashing *)((char *)work - offsetof(struct hashing, work));
}

static void run(void *context, struct work *work)
{
    const struct hasher *hasher = context;
    struct hashing *hashing = hashing_of(work);

    hashing->failed =
        password_hash(&hashing->kept, &hasher->cost, &hashing->password, hashing->address) != 0;
}

static void done(struct work *work)
{
    struct hashing *hashing = hashing_of(work);

    hashing->done(hashing);
}

struct hasher *hasher_new(struct event_base *base, unsigned threads,
                          const struct password_cost *cost)
{
    struct hasher *hasher = xcalloc(1, sizeof(*hasher));

    hasher->cost = *cost;
    hasher->workers = workers_new(base, threads, 1, HASHES_WAITING_MAX, run, hasher);
    return hasher;
}

int hasher_submit(struct hasher *hasher, struct hashing *hashing)
{
    hashing->work.done = done;
    return workers_submit(hasher->workers, &hashing->work);
}

unsigned hasher_waiting(const struct hasher *hasher)
{
    return workers_waiting(hasher->workers);
}

void hasher_free(struct hasher *hasher)
{
    if (hasher == NULL)
        return;
    workers_free(hasher->workers);
    sodium_memzero(&hasher->cost, sizeof(hasher->cost));
    free(hasher);
}
