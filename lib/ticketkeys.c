/*
 * One writer and many readers without a lock: the version is odd while the keys are being replaced,
 * and another one afterwards, so a reader knows when what it has copied does not belong together.
 * A writer that dies or is held up half-way costs handshakes in full, and never a wait.
 */
#include <errno.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/log.h"
#include "lib/ticketkeys.h"

#define WORDS (sizeof(struct ticketkey) / sizeof(uint64_t))

_Static_assert(sizeof(struct ticketkey) % sizeof(uint64_t) == 0, "a key is copied in words");

struct ticketkeys {
    _Atomic uint64_t version;
    _Atomic uint64_t words[TICKETKEYS__MAX][WORDS];
};

size_t ticketkeys_size(void)
{
    return sizeof(struct ticketkeys);
}

static void store(struct ticketkeys *keys, enum ticketkeys_which which, const uint64_t words[WORDS])
{
    for (size_t i = 0; i < WORDS; i++)
        atomic_store_explicit(&keys->words[which][i], words[i], memory_order_relaxed);
}

static void load(const struct ticketkeys *keys, enum ticketkeys_which which,
                 uint64_t words_r[WORDS])
{
    for (size_t i = 0; i < WORDS; i++)
        words_r[i] = atomic_load_explicit(&keys->words[which][i], memory_order_relaxed);
}

static struct ticketkeys *map(int fd, int protection)
{
    void *area = mmap(NULL, ticketkeys_size(), protection, MAP_SHARED, fd, 0);

    return area == MAP_FAILED ? NULL : area;
}

struct ticketkeys *ticketkeys_make(int fd)
{
    struct ticketkeys *keys = map(fd, PROT_READ | PROT_WRITE);

    if (keys == NULL)
        return NULL;
    if (mlock(keys, ticketkeys_size()) < 0)
        log_warning("cannot keep the keys of TLS session tickets out of swap: %s", strerror(errno));
    (void)madvise(keys, ticketkeys_size(), MADV_DONTDUMP);
    for (unsigned i = 0; i < TICKETKEYS__MAX; i++)
        ticketkeys_rotate(keys);
    return keys;
}

void ticketkeys_rotate(struct ticketkeys *keys)
{
    uint64_t current[WORDS];
    uint64_t next[WORDS];

    randombytes_buf(next, sizeof(next));
    load(keys, TICKETKEYS_CURRENT, current);
    atomic_fetch_add(&keys->version, 1);
    atomic_thread_fence(memory_order_release);
    store(keys, TICKETKEYS_PREVIOUS, current);
    store(keys, TICKETKEYS_CURRENT, next);
    atomic_fetch_add(&keys->version, 1);
    sodium_memzero(current, sizeof(current));
    sodium_memzero(next, sizeof(next));
}

const struct ticketkeys *ticketkeys_attach(int fd)
{
    struct ticketkeys *keys = map(fd, PROT_READ);

    if (keys != NULL)
        (void)madvise(keys, ticketkeys_size(), MADV_DONTDUMP);
    return keys;
}

int ticketkeys_read(const struct ticketkeys *keys, struct ticketkey keys_r[TICKETKEYS__MAX])
{
    uint64_t words[TICKETKEYS__MAX][WORDS];

    uint64_t before = atomic_load(&keys->version);
    for (unsigned i = 0; i < TICKETKEYS__MAX; i++)
        load(keys, (enum ticketkeys_which)i, words[i]);
    atomic_thread_fence(memory_order_acquire);
    uint64_t after = atomic_load_explicit(&keys->version, memory_order_relaxed);
    bool whole = before == after && before % 2 == 0;
    if (whole)
        memcpy(keys_r, words, sizeof(words));
    sodium_memzero(words, sizeof(words));
    return whole ? 0 : -1;
}

void ticketkeys_detach(const struct ticketkeys *keys)
{
    munmap((void *)(uintptr_t)keys, ticketkeys_size());
}
