#ifndef BENCH_TREE_H
#define BENCH_TREE_H

#include <stdint.h>
#include <sys/types.h>

/* What a process and all processes below it have used, from /proc/PID/stat. */
struct tree_use {
    uint64_t cpu;       /* nanoseconds in user and system mode, of the processes that are alive */
    uint64_t memory;    /* resident octets, shared pages counted once for each process */
    unsigned processes; /* 0: there is no such process */
};

void tree_measure(pid_t root, struct tree_use *use_r);

#endif
