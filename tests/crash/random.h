#ifndef TESTS_CRASH_RANDOM_H
#define TESTS_CRASH_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

/* Numbers that look random and are the same for the same seed (SplitMix64). */
struct random {
    uint64_t state;
};

static inline uint64_t random_mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

static inline uint64_t random_next(struct random *random)
{
    random->state += UINT64_C(0x9e3779b97f4a7c15);
    return random_mix(random->state);
}

/* 0 to limit - 1; limit is at least 1. */
static inline uint64_t random_below(struct random *random, uint64_t limit)
{
    return random_next(random) % limit;
}

static inline bool random_chance(struct random *random, unsigned percent)
{
    return random_below(random, 100) < percent;
}

/* A generator of its own for each pair of numbers. */
static inline struct random random_of(uint64_t seed, uint64_t number)
{
    return (struct random){random_mix(random_mix(seed) ^ (number * UINT64_C(0xd1342543de82ef95)))};
}

#endif
