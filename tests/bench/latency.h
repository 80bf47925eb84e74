#ifndef BENCH_LATENCY_H
#define BENCH_LATENCY_H

#include <stddef.h>
#include <stdint.h>

/* Every sample is kept: percentiles are exact. */
struct latency {
    uint64_t *samples; /* nanoseconds */
    size_t count;
    size_t room;
};

/* Nanoseconds of the monotonic clock. */
uint64_t latency_now(void);

void latency_add(struct latency *latency, uint64_t nanoseconds);

/* Sorts; call it before latency_percentile(). */
void latency_sort(struct latency *latency);

/* The sample that `percent` of all do not exceed; 0 without samples. */
uint64_t latency_percentile(const struct latency *latency, unsigned percent);

void latency_free(struct latency *latency);

#endif
