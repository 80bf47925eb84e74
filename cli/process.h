#ifndef CLI_PROCESS_H
#define CLI_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct event_base;
struct inventory;

/*
 * Fronts serve clients and end first; the programs behind them see their last requests. One that
 * writes for those is told to end with the fronts, and does so when the programs behind them have.
 */
enum program_stage { STAGE_FRONT, STAGE_BACK, STAGE_WRITER };

struct program {
    const char *name;
    enum program_stage stage;
    const char *descriptors[5]; /* besides conf, metrics and lock, which all get; NULL ends them */
};

/* One running program: kept alive in its slot of the counters. */
struct process {
    const struct program *program;
    const struct inventory *inventory;
    unsigned slot;
    pid_t pid;        /* 0: does not run */
    uint64_t started; /* ms, on the monotonic clock */
    bool first;       /* has not been started again */
    int delay;        /* ms waited before the last start; -1: it was the first one */
    struct event *again;
};

void process_init(struct process *process, struct event_base *base, const struct program *program,
                  const struct inventory *inventory, unsigned slot);

/* Forgets a restart that is due; leaves a running program alone. */
void process_fini(struct process *process);

/* Returns 0 once the program is executed, or -1 after a log line. */
int process_start(struct process *process);

/*
 * Notes that it ended with this status of waitpid(). Tells whether that was the program's own
 * decision, soon after its first start, that it cannot run at all.
 */
bool process_ended(struct process *process, int status);

/* Starts the ended program again: at once the first time, later and later if it keeps ending. */
void process_restart(struct process *process);

/* Forgets a restart that is due. */
void process_cancel(struct process *process);

/*
 * How long to wait, in ms, before a program that ended after `lived` ms is started again; `last` is
 * what was waited the time before, or -1.
 */
int process_delay(int last, uint64_t lived);

#endif
