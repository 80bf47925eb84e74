#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "authd/report.h"
#include "authd/upgrade.h"
#include "lib/xalloc.h"

struct upgrading {
    struct hash_job job; /* first, so that the job's address is this one's */
    struct upgrader *upgrader;
    struct upgrade upgrade;
    char old_hash[DB_HASH_SIZE];
    struct upgrading *prev;
    struct upgrading *next;
    char address[];
};

struct upgrader {
    struct hashpool *pool;
    struct report *report;
    void (*done)(void *context, const struct upgrade *upgrade);
    void *context;
    struct upgrading *all;
};

struct upgrader *upgrader_new(struct hashpool *pool, struct report *report,
                              void (*done)(void *context, const struct upgrade *upgrade),
                              void *context)
{
    struct upgrader *upgrader = xcalloc(1, sizeof(*upgrader));

    upgrader->pool = pool;
    upgrader->report = report;
    upgrader->done = done;
    upgrader->context = context;
    return upgrader;
}

static void upgrading_free(struct upgrading *upgrading)
{
    DL_DELETE(upgrading->upgrader->all, upgrading);
    sodium_memzero(upgrading, sizeof(*upgrading));
    free(upgrading);
}

void upgrader_free(struct upgrader *upgrader)
{
    if (upgrader == NULL)
        return;
    while (upgrader->all != NULL)
        upgrading_free(upgrader->all);
    free(upgrader);
}

static void on_made(struct hash_job *job)
{
    struct upgrading *upgrading = (struct upgrading *)job;
    struct upgrader *upgrader = upgrading->upgrader;
    struct upgrade *upgrade = &upgrading->upgrade;

    if (job->result == HASH_FITS) {
        report_upgrade(upgrader->report, upgrade->customer, upgrade->mailbox, upgrading->old_hash,
                       job->hash);
        upgrader->done(upgrader->context, upgrade);
    }
    upgrading_free(upgrading);
}

void upgrade_start(struct upgrader *upgrader, const struct hash_job *checked,
                   const struct upgrade *upgrade)
{
    size_t address_size = strlen(upgrade->address) + 1;

    if (checked->password_length == 0 ||
        storedhash_is_current(&checked->stored, checked->operations, checked->memory))
        return;
    struct upgrading *upgrading = xcalloc(1, sizeof(*upgrading) + address_size);
    upgrading->upgrader = upgrader;
    DL_APPEND(upgrader->all, upgrading);
    memcpy(upgrading->address, upgrade->address, address_size);
    memcpy(upgrading->old_hash, checked->hash, sizeof(checked->hash));
    struct hash_job *job = &upgrading->job;
    job->kind = HASH_MAKE;
    job->operations = checked->operations;
    job->memory = checked->memory;
    job->password_length = checked->password_length;
    memcpy(job->password, checked->password, checked->password_length);
    job->done = on_made;
    upgrading->upgrade = *upgrade;
    upgrading->upgrade.address = upgrading->address;
    upgrading->upgrade.hash = job->hash;
    upgrading->upgrade.password = job->password;
    upgrading->upgrade.password_length = job->password_length;
    if (hashpool_submit(upgrader->pool, job) < 0)
        upgrading_free(upgrading);
}
