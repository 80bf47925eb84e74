/* Password hashes and keys, which are slow on purpose: several are made at once. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <sodium.h>

#include "cli/command.h"
#include "cli/database.h"
#include "cli/password.h"
#include "db/secret.h"
#include "lib/child.h"
#include "lib/xalloc.h"

_Static_assert(DB_SECRET_SIZE == SCRAMKEYS_SECRET_SIZE, "a stored secret is one for salts");

struct hashing {
    const struct password_job *jobs;
    size_t count;
    struct password_cost cost;
    bool foreign; /* as another server would have them */
    atomic_size_t next;
    atomic_bool failed;
};

/* Of the octets as they are typed: what comes to an instance as a hash is compared with those. */
static int hash_typed(const struct password_job *job, const struct password_cost *cost)
{
    *job->kept = (struct password_kept){0};
    return crypto_pwhash_str(job->kept->hash, job->password->text, job->password->length,
                             cost->operations, cost->memory);
}

static void *hash_some(void *context)
{
    struct hashing *work = context;
    size_t i;

    while (!work->failed && (i = work->next++) < work->count) {
        const struct password_job *job = &work->jobs[i];
        int done = work->foreign
                       ? hash_typed(job, &work->cost)
                       : password_hash(job->kept, &work->cost, job->password, job->address);
        if (done != 0)
            work->failed = true;
    }
    return NULL;
}

static int hash_all(struct hashing *work, uint64_t threads_wanted)
{
    size_t wanted = child_per_core(threads_wanted);
    size_t running = 0;

    if (wanted > work->count)
        wanted = work->count;
    pthread_t *threads = xcalloc(wanted, sizeof(*threads));
    /* This thread is one of them, so fewer threads only make it slower. */
    while (running + 1 < wanted && pthread_create(&threads[running], NULL, hash_some, work) == 0)
        running++;
    hash_some(work);
    while (running > 0)
        pthread_join(threads[--running], NULL);
    free(threads);
    if (work->failed)
        return refuse("there is not enough free memory to hash a password; lower hash_memory in "
                      "%s or hash_threads, or end other programs",
                      INSTANCE_CONF);
    return EXIT_DONE;
}

int password_keep(const struct conf *conf, struct db *db, const struct password_job *jobs,
                  size_t count)
{
    struct hashing work = {
        .jobs = jobs,
        .count = count,
        .cost = {.operations = conf->hash_operations, .memory = conf->hash_memory},
    };

    enum db_result found =
        database_result(db, db_secret_find(db, DB_SECRET_SCRAM_SALT, work.cost.salt_secret));
    if (found == DB_NONE)
        return refuse("the account database has lost the secret that salts are made with; restore "
                      "it from a backup");
    int done = found == DB_OK ? hash_all(&work, conf->hash_threads) : EXIT_REFUSED;
    sodium_memzero(work.cost.salt_secret, sizeof(work.cost.salt_secret));
    return done;
}

int password_keep_elsewhere(const struct conf *conf, struct db *db, const struct password_job *jobs,
                            size_t count)
{
    struct hashing work = {.jobs = jobs, .count = count, .foreign = true};
    struct conf usual;
    (void)conf;
    (void)db;

    conf_default(&usual);
    work.cost.operations = usual.hash_operations;
    work.cost.memory = usual.hash_memory;
    return hash_all(&work, usual.hash_threads);
}
