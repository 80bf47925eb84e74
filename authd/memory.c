/*
 * The header, and the tables behind it, each from a page's begin on. The last one's is read with
 * pread(), so nothing that is wrong with it can end this process.
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "authd/memory.h"
#include "lib/child.h"
#include "lib/log.h"
#include "lib/xalloc.h"

/* The largest that a kernel of ours may have. */
#define PAGE UINT64_C(65536)

struct table {
    uint64_t begin; /* 0: not taken */
    uint64_t count;
    uint64_t size;
};

struct header {
    char magic[8];
    uint32_t version;
    uint32_t tables;
    struct table table[MEMORY_TABLES];
    uint8_t secret[crypto_kdf_KEYBYTES];
};

static const char magic[8] = "authd/m";

_Static_assert(sizeof(struct header) <= PAGE, "the header is a page");

/* Records that are read at once. */
#define CHUNK 1024

struct memory {
    int fd;
    int last; /* -1: there is none of this version */
    uint64_t end;
    struct header *header;
    void *records[MEMORY_TABLES];
};

static void *map(const struct memory *memory, uint64_t begin, uint64_t size)
{
    int flags = memory->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;

    if (memory->fd >= 0 && ftruncate(memory->fd, (off_t)(begin + size)) < 0)
        log_fatal("cannot get memory for what is remembered: %s", strerror(errno));
    void *area = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, memory->fd,
                      memory->fd < 0 ? 0 : (off_t)begin);
    if (area == MAP_FAILED)
        log_fatal("cannot get memory for what is remembered: %s", strerror(errno));
    (void)madvise(area, size, MADV_DONTDUMP);
    return area;
}

static int read_header(int fd, struct header *header_r)
{
    if (fd >= 0 && child_read(fd, header_r, sizeof(*header_r)) == sizeof(*header_r) &&
        memcmp(header_r->magic, magic, sizeof(magic)) == 0 && header_r->version == MEMORY_VERSION &&
        header_r->tables == MEMORY_TABLES)
        return 0;
    return -1;
}

struct memory *memory_new(int fd, int last)
{
    struct memory *memory = xcalloc(1, sizeof(*memory));
    struct header before;

    memory->fd = fd;
    memory->last = last;
    memory->header = map(memory, 0, PAGE);
    memory->end = PAGE;
    if (mlock(memory->header, sizeof(*memory->header)) < 0)
        log_warning("cannot keep the key of what is remembered out of swap: %s", strerror(errno));
    crypto_kdf_keygen(memory->header->secret);
    if (read_header(last, &before) == 0)
        memcpy(memory->header->secret, before.secret, sizeof(before.secret));
    else
        memory->last = -1;
    sodium_memzero(&before, sizeof(before));
    memory->header->version = MEMORY_VERSION;
    memory->header->tables = MEMORY_TABLES;
    memcpy(memory->header->magic, magic, sizeof(magic));
    return memory;
}

void memory_free(struct memory *memory)
{
    if (memory == NULL)
        return;
    for (unsigned i = 0; i < MEMORY_TABLES; i++)
        if (memory->records[i] != NULL)
            munmap(memory->records[i],
                   memory->header->table[i].count * memory->header->table[i].size);
    munmap(memory->header, PAGE);
    free(memory);
}

void *memory_take(struct memory *memory, enum memory_table table, uint64_t count, uint64_t size)
{
    void *records = map(memory, memory->end, count * size);

    memory->records[table] = records;
    memory->header->table[table] =
        (struct table){.begin = memory->end, .count = count, .size = size};
    memory->end += (count * size + PAGE - 1) / PAGE * PAGE;
    return records;
}

void memory_secret(const struct memory *memory, enum memory_secret number, uint8_t *secret_r,
                   uint64_t size)
{
    crypto_kdf_derive_from_key(secret_r, size, number, "remember", memory->header->secret);
}

/* --- taking over */

/* Of one table. */
struct reading {
    const struct table *table;
    enum memory_table number;
    uint8_t *chunk;
    memory_tell *tell;
    void *context;
};

static void tell_chunk(const struct reading *reading, uint64_t octets)
{
    const uint64_t size = reading->table->size;

    for (uint64_t at = 0; at + size <= octets; at += size)
        if (!sodium_is_zero(reading->chunk + at, size))
            reading->tell(reading->context, reading->number, reading->chunk + at);
}

/* What was never written is a hole, and left out. */
static void tell_table(int fd, const struct reading *reading)
{
    const struct table *table = reading->table;
    const uint64_t end = table->begin + table->count * table->size;
    const uint64_t step = CHUNK * table->size;
    uint64_t at = table->begin;

    while (at < end) {
        off_t data = lseek(fd, (off_t)at, SEEK_DATA);
        if (data < 0 || (uint64_t)data >= end)
            return;
        at += ((uint64_t)data - at) / step * step;
        const uint64_t wanted = end - at < step ? end - at : step;
        ssize_t got = pread(fd, reading->chunk, wanted, (off_t)at);
        if (got != (ssize_t)wanted)
            return;
        tell_chunk(reading, wanted);
        at += wanted;
    }
}

static bool is_readable(const struct table *table, uint64_t size)
{
    return size > 0 && table->size == size && table->begin < INT64_MAX / 2 &&
           table->count < INT64_MAX / 2 / size;
}

static void seal(const struct memory *memory)
{
    const int seals = F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE;

    if (memory->fd >= 0 && fcntl(memory->fd, F_ADD_SEALS, seals) < 0)
        log_warning("cannot seal the memory of what is remembered: %s", strerror(errno));
}

void memory_take_over(struct memory *memory, memory_tell *tell, void *context)
{
    struct header before;

    seal(memory);
    if (read_header(memory->last, &before) < 0)
        return;
    for (unsigned i = 0; i < MEMORY_TABLES; i++) {
        const uint64_t size = memory->header->table[i].size;
        if (!is_readable(&before.table[i], size))
            continue;
        struct reading reading = {&before.table[i], i, xcalloc(CHUNK, size), tell, context};
        tell_table(memory->last, &reading);
        free(reading.chunk);
    }
    sodium_memzero(&before, sizeof(before));
    memory->last = -1;
}
