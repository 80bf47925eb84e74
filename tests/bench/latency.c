#include <stdlib.h>
#include <time.h>

#include "lib/xalloc.h"
#include "tests/bench/latency.h"

uint64_t latency_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void latency_add(struct latency *latency, uint64_t nanoseconds)
{
    if (latency->count == latency->room) {
        latency->room = latency->room == 0 ? 4096 : 2 * latency->room;
        latency->samples = xrealloc(latency->samples, latency->room * sizeof(uint64_t));
    }
    latency->samples[latency->count++] = nanoseconds;
}

static int compare(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one;
    uint64_t b = *(const uint64_t *)other;

    return (a > b) - (a < b);
}

void latency_sort(struct latency *latency)
{
    if (latency->count > 0)
        qsort(latency->samples, latency->count, sizeof(uint64_t), compare);
}

uint64_t latency_percentile(const struct latency *latency, unsigned percent)
{
    if (latency->count == 0)
        return 0;
    return latency->samples[(latency->count - 1) * percent / 100];
}

void latency_free(struct latency *latency)
{
    free(latency->samples);
    *latency = (struct latency){0};
}
