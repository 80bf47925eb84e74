#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/metrics.h"

#define METRIC_INFO(id, type, name, help) {name, help, type},
const struct metric_info metric_infos[METRIC__MAX] = {METRICS_TABLE(METRIC_INFO)};
#undef METRIC_INFO

_Static_assert(METRIC__MAX <= METRICS_COLUMNS, "each metric has a column");

struct metrics_slot {
    _Alignas(64) _Atomic int64_t values[METRICS_COLUMNS];
};

struct metrics_area {
    _Atomic uint64_t names[METRICS_COLUMNS]; /* whose a column is: its name's digest; 0: nobody's */
    _Atomic uint32_t used;                   /* no slot from here on has ever been anybody's */
    struct metrics_slot slots[METRICS_SLOTS];
};

/* Of a process without an area. */
static struct metrics_slot private_slot;

static struct metrics_area *area;
static struct metrics_slot *own = &private_slot;

/* The column of each metric. */
#define METRIC_COLUMN(id, type, name, help) METRIC_##id,
static uint8_t columns[METRIC__MAX] = {METRICS_TABLE(METRIC_COLUMN)};
#undef METRIC_COLUMN

_Static_assert(METRICS_COLUMNS <= UINT8_MAX + 1, "a column's number fits");

size_t metrics_size(void)
{
    return sizeof(struct metrics_area);
}

/* FNV-1a. That two of some hundred names have one digest does not happen by chance. */
static uint64_t digest(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (; *name != '\0'; name++)
        hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
    return hash;
}

/* Takes the first column that has this name, or nobody's. Returns it, or -1: there is none. */
static int claim_column(const char *name)
{
    const uint64_t wanted = digest(name);

    for (int i = 0; i < METRICS_COLUMNS; i++) {
        uint64_t found = 0;
        if (atomic_compare_exchange_strong(&area->names[i], &found, wanted) || found == wanted)
            return i;
    }
    return -1;
}

static int claim_columns(void)
{
    for (size_t i = 0; i < METRIC__MAX; i++) {
        int column = claim_column(metric_infos[i].name);
        if (column < 0)
            return -1;
        columns[i] = (uint8_t)column;
    }
    return 0;
}

static void note_used(uint32_t count)
{
    uint32_t used = atomic_load(&area->used);

    while (used < count && !atomic_compare_exchange_weak(&area->used, &used, count))
        ;
}

static struct metrics_area *map(int fd)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return NULL;
    if (status.st_size != (off_t)metrics_size()) {
        errno = EPROTO;
        return NULL;
    }
    void *memory = mmap(NULL, metrics_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

int metrics_attach(int fd, unsigned slot)
{
    if (slot >= METRICS_SLOTS) {
        errno = ERANGE;
        return -1;
    }
    struct metrics_area *memory = map(fd);
    if (memory == NULL)
        return -1;
    area = memory;
    if (claim_columns() < 0) {
        errno = EPROTO;
        return -1;
    }
    note_used(slot + 1);
    own = &area->slots[slot];
    metrics_leave(slot);
    return 0;
}

void metrics_leave(unsigned slot)
{
    for (size_t i = 0; i < METRIC__MAX; i++)
        if (metric_infos[i].type == METRIC_GAUGE)
            atomic_store(&area->slots[slot].values[columns[i]], 0);
}

void metric_add(enum metric metric, int64_t amount)
{
    atomic_fetch_add_explicit(&own->values[columns[metric]], amount, memory_order_relaxed);
}

void metric_set(enum metric metric, int64_t value)
{
    atomic_store_explicit(&own->values[columns[metric]], value, memory_order_relaxed);
}

void metric_observe(enum metric histogram, uint64_t microseconds)
{
    /* As METRICS_HISTOGRAM has them; what is longer goes into the last. */
    static const uint64_t bounds[METRICS_BUCKETS - 1] = {
        500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000};
    unsigned bucket = 0;

    while (bucket < METRICS_BUCKETS - 1 && microseconds > bounds[bucket])
        bucket++;
    metric_add(histogram + bucket, 1);
    metric_add(histogram + METRICS_BUCKETS, (int64_t)microseconds);
}

int64_t metric_sum(enum metric metric)
{
    int64_t sum = 0;

    if (area == NULL)
        return atomic_load(&private_slot.values[columns[metric]]);
    for (unsigned i = 0; i < atomic_load(&area->used) && i < METRICS_SLOTS; i++)
        sum += atomic_load_explicit(&area->slots[i].values[columns[metric]], memory_order_relaxed);
    return sum;
}
