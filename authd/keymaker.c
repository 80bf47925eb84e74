#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "authd/hashpool.h"
#include "authd/keymaker.h"
#include "authd/report.h"
#include "lib/xalloc.h"

struct making {
    struct hash_job job; /* first, so that the job's address is this one's */
    struct keymaker *keymaker;
    uint64_t customer;
    uint64_t mailbox;
    UT_hash_handle hh;
};

struct keymaker {
    struct hashpool *pool;
    struct report *report;
    struct making *all; /* by mailbox */
};

struct keymaker *keymaker_new(struct hashpool *pool, struct report *report)
{
    struct keymaker *keymaker = xcalloc(1, sizeof(*keymaker));

    keymaker->pool = pool;
    keymaker->report = report;
    return keymaker;
}

static void making_free(struct making *making)
{
    HASH_DEL(making->keymaker->all, making);
    sodium_memzero(making, sizeof(*making));
    free(making);
}

void keymaker_free(struct keymaker *keymaker)
{
    struct making *making;
    struct making *next;

    if (keymaker == NULL)
        return;
    HASH_ITER (hh, keymaker->all, making, next) {
        making_free(making);
    }
    free(keymaker);
}

static void on_made(struct hash_job *job)
{
    struct making *making = (struct making *)job;
    char keys[SCRAMKEYS_TEXT_SIZE];

    if (job->result == HASH_FITS) {
        scramkeys_format(&job->keys, keys);
        report_scram(making->keymaker->report, making->customer, making->mailbox, job->hash, keys);
        sodium_memzero(keys, sizeof(keys));
    }
    making_free(making);
}

void keymaker_make(struct keymaker *keymaker, const struct keymaker_order *order)
{
    struct making *making;

    HASH_FIND(hh, keymaker->all, &order->mailbox, sizeof(order->mailbox), making);
    if (making != NULL)
        return;
    making = xcalloc(1, sizeof(*making));
    making->keymaker = keymaker;
    making->customer = order->customer;
    making->mailbox = order->mailbox;
    HASH_ADD(hh, keymaker->all, mailbox, sizeof(making->mailbox), making);
    struct hash_job *job = &making->job;
    job->kind = HASH_KEYS;
    memcpy(job->hash, order->hash, strlen(order->hash) + 1);
    memcpy(job->password, order->password, order->password_length);
    job->password_length = order->password_length;
    memcpy(job->keys.salt, order->salt, sizeof(order->salt));
    job->done = on_made;
    if (hashpool_submit(keymaker->pool, job) < 0)
        making_free(making);
}
