/* Password hashes, which are slow on purpose: several are made at once. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <sodium.h>

#include "cli/command.h"
#include "cli/password.h"
#include "lib/child.h"
#include "lib/saslprep.h"
#include "lib/xalloc.h"

struct hashing {
    const struct conf *conf;
    const struct password *const *passwords;
    size_t count;
    char (*hashes)[DB_HASH_SIZE];
    atomic_size_t next;
    atomic_bool failed;
};

/* In the form in which authd compares it. password_check() has seen that it has one. */
static int hash_one(const struct conf *conf, const struct password *password, char *hash_r)
{
    char prepared[PASSWORD_MOST + 1];

    long length = saslprep(prepared, sizeof(prepared), password->text, password->length);
    int result = length < 0 ? -1
                            : crypto_pwhash_str(hash_r, prepared, (size_t)length,
                                                conf->hash_operations, conf->hash_memory);
    sodium_memzero(prepared, sizeof(prepared));
    return result;
}

static void *hash_some(void *context)
{
    struct hashing *work = context;
    size_t i;

    while (!work->failed && (i = work->next++) < work->count)
        if (hash_one(work->conf, work->passwords[i], work->hashes[i]) != 0)
            work->failed = true;
    return NULL;
}

int password_hash_all(const struct conf *conf, const struct password *const *passwords,
                      size_t count, char (*hashes_r)[DB_HASH_SIZE])
{
    struct hashing work = {
        .conf = conf, .passwords = passwords, .count = count, .hashes = hashes_r};
    size_t wanted = child_per_core(conf->hash_threads);
    size_t running = 0;

    if (wanted > count)
        wanted = count;
    pthread_t *threads = xcalloc(wanted, sizeof(*threads));
    /* This thread is one of them, so fewer threads only make it slower. */
    while (running + 1 < wanted && pthread_create(&threads[running], NULL, hash_some, &work) == 0)
        running++;
    hash_some(&work);
    while (running > 0)
        pthread_join(threads[--running], NULL);
    free(threads);
    if (work.failed)
        return refuse("there is not enough free memory to hash a password; lower hash_memory in "
                      "%s or hash_threads, or end other programs",
                      INSTANCE_CONF);
    return EXIT_DONE;
}

int password_hash(const struct conf *conf, const struct password *password,
                  char hash_r[DB_HASH_SIZE])
{
    return password_hash_all(conf, &password, 1, (char(*)[DB_HASH_SIZE])hash_r);
}
