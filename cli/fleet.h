#ifndef CLI_FLEET_H
#define CLI_FLEET_H

#include "cli/process.h"
#include "cli/program.h"
#include "lib/metrics.h"

/* Slot 0 of the counters is the supervisor's own. */
#define FLEET_MAX (METRICS_SLOTS - 1)

/* All processes of the supervisor, each in the place before its slot of the counters. */
struct fleet {
    struct process_setting setting;
    int binaries[PROGRAMS]; /* what serves was started from, and is started again from */
    struct process processes[FLEET_MAX];
};

/* For each process that there is. */
#define FLEET_EACH(fleet, process)                                                                 \
    for (struct process *process = (fleet)->processes; process < (fleet)->processes + FLEET_MAX;   \
         process++)                                                                                \
        if (process->role != PROCESS_NONE)

/* With the binaries that are on disk now. Returns 0, or -1 with one sentence in error_r. */
int fleet_init(struct fleet *fleet, const struct process_setting *setting, char *error_r,
               size_t error_size);

/* Closes the binaries; leaves running programs alone. */
void fleet_fini(struct fleet *fleet);

/* What the process of this program that serves remembers, or else the last service has; -1:
 * nothing.
 */
int fleet_memory(struct fleet *fleet, const struct program *program);

/*
 * Starts as many processes of the program as the configuration wants, from this binary, with what
 * the one that serves remembers. Returns 0, or -1 after a log line.
 */
int fleet_start(struct fleet *fleet, const struct program *program, const struct conf *conf,
                enum process_role role, int binary);

/* How many further processes there may be. */
unsigned fleet_room(struct fleet *fleet);

/* Starts an ended one again, now. */
void fleet_start_again(struct fleet *fleet, struct process *process);

/* The process with this id, or NULL. */
struct process *fleet_find(struct fleet *fleet, pid_t pid);

bool fleet_any_runs(struct fleet *fleet, enum program_stage stage);

void fleet_signal(struct fleet *fleet, enum program_stage stage, int number);

/* The same with SIGKILL, and a line in the log for each. Tells whether there was any. */
bool fleet_kill(struct fleet *fleet, enum program_stage stage);

#endif
