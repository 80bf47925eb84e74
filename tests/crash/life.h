#ifndef TESTS_CRASH_LIFE_H
#define TESTS_CRASH_LIFE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/crash/trace.h"

/* What happens to one process of stored, from its start to its end. */
struct life {
    struct trace *trace; /* gets what it does; what the world knows so far is in it */
    const char *folder;  /* store/ is in it; `log` gets the lines */
    uint64_t seed;
    unsigned steps; /* of a random workload; 0: only recovery, a look, and a clean end */
    bool killed;    /* in the middle of everything; otherwise stopped when nothing is under way */
};

/* Shared with the process. */
struct life_result {
    char failure[512];
    uint64_t listed; /* check_store() after recovery */
    uint64_t counts[8];
};

/* Runs in a process of its own; false: a promise was broken, result_r->failure says which. */
bool life_run(const struct life *life, struct life_result *result_r);

#endif
