#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "lib/metrics.h"

#define METRIC_INFO(id, type, name, help) {name, help, type},
const struct metric_info metric_infos[METRIC__MAX] = {METRICS_TABLE(METRIC_INFO)};
#undef METRIC_INFO

struct metrics_slot {
    _Alignas(64) _Atomic int64_t values[METRIC__MAX];
};

static struct metrics_slot private_slot;
static struct metrics_slot *slots = &private_slot;
static unsigned slot_count = 1;
static struct metrics_slot *own = &private_slot;

size_t metrics_size(void)
{
    return METRICS_SLOTS * sizeof(struct metrics_slot);
}

int metrics_attach(int fd, unsigned slot)
{
    if (slot >= METRICS_SLOTS) {
        errno = ERANGE;
        return -1;
    }
    void *area = mmap(NULL, metrics_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (area == MAP_FAILED)
        return -1;
    slots = area;
    slot_count = METRICS_SLOTS;
    own = &slots[slot];
    for (size_t i = 0; i < METRIC__MAX; i++)
        if (metric_infos[i].type == METRIC_GAUGE)
            atomic_store(&own->values[i], 0);
    return 0;
}

void metric_add(enum metric metric, int64_t amount)
{
    atomic_fetch_add_explicit(&own->values[metric], amount, memory_order_relaxed);
}

int64_t metric_sum(enum metric metric)
{
    int64_t sum = 0;

    for (unsigned i = 0; i < slot_count; i++)
        sum += atomic_load_explicit(&slots[i].values[metric], memory_order_relaxed);
    return sum;
}
