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
#include "lib/saslprep.h"
#include "lib/xalloc.h"

_Static_assert(DB_SECRET_SIZE == SCRAMKEYS_SECRET_SIZE, "a stored secret is one for salts");

struct hashing {
    const struct conf *conf;
    const struct password_job *jobs;
    size_t count;
    uint8_t salt_secret[DB_SECRET_SIZE];
    atomic_size_t next;
    atomic_bool failed;
};

static int make_scram(const struct hashing *work, const struct password_job *job,
                      const char *prepared, size_t length)
{
    struct scramkeys keys;

    scramkeys_salt(keys.salt, work->salt_secret, job->address);
    int result = scramkeys_make(&keys, prepared, length, SCRAMKEYS_ITERATIONS);
    if (result == 0)
        scramkeys_format(&keys, job->kept->scram);
    sodium_memzero(&keys, sizeof(keys));
    return result;
}

/* In the form in which authd compares it. password_check() has seen that it has one. */
static int hash_one(const struct hashing *work, const struct password_job *job)
{
    const struct password *password = job->password;
    char prepared[PASSWORD_MOST + 1];
    int result = -1;

    long length = saslprep(prepared, sizeof(prepared), password->text, password->length);
    if (length >= 0 && crypto_pwhash_str(job->kept->hash, prepared, (size_t)length,
                                         work->conf->hash_operations, work->conf->hash_memory) == 0)
        result = make_scram(work, job, prepared, (size_t)length);
    sodium_memzero(prepared, sizeof(prepared));
    return result;
}

static void *hash_some(void *context)
{
    struct hashing *work = context;
    size_t i;

    while (!work->failed && (i = work->next++) < work->count)
        if (hash_one(work, &work->jobs[i]) != 0)
            work->failed = true;
    return NULL;
}

static int hash_all(struct hashing *work)
{
    size_t wanted = child_per_core(work->conf->hash_threads);
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
    struct hashing work = {.conf = conf, .jobs = jobs, .count = count};

    enum db_result found =
        database_result(db, db_secret_find(db, DB_SECRET_SCRAM_SALT, work.salt_secret));
    if (found == DB_NONE)
        return refuse("the account database has lost the secret that salts are made with; restore "
                      "it from a backup");
    int done = found == DB_OK ? hash_all(&work) : EXIT_REFUSED;
    sodium_memzero(work.salt_secret, sizeof(work.salt_secret));
    return done;
}
