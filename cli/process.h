#ifndef CLI_PROCESS_H
#define CLI_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/child.h"

struct event_base;
struct inventory;
struct program;

enum process_role {
    PROCESS_NONE,    /* there is none */
    PROCESS_COMING,  /* prepares to take over; is told to serve when all that come are ready */
    PROCESS_SERVING, /* is kept alive */
    PROCESS_LEAVING  /* has been taken over from, and ends with its last client */
};

/* One process in its slot of the counters. */
struct process {
    const struct program *program;
    enum process_role role;
    const struct inventory *inventory;
    unsigned slot;
    pid_t pid;        /* 0: does not run */
    uint64_t started; /* ms, on the monotonic clock */
    bool first;       /* it was started with the service, and not again since */
    int delay;        /* ms waited before the last start; -1: it was the first one */
    struct event *again;
    int words; /* the connection of lib/child.h; -1: none */
    struct event *heard;
    int memory;   /* what the last one that was started here remembers; -1: nothing */
    bool ready;   /* it has said so */
    bool retired; /* and this */
    char sentence[CHILD_SENTENCE_MAX]; /* why it cannot serve, as it said; or "" */
    const struct process_events *events;
    void *context;
};

struct process_events {
    /* A restart is due. */
    void (*again)(void *context, struct process *process);
    /* CHILD_READY or CHILD_RETIRED; each comes once at most. */
    void (*told)(void *context, struct process *process, enum child_word word);
};

struct process_setting {
    struct event_base *base;
    const struct inventory *inventory;
    const struct process_events *events; /* not copied */
    void *context;
};

/* In slot `slot`, which is nobody's. */
void process_init(struct process *process, const struct process_setting *setting,
                  const struct program *program, enum process_role role, unsigned slot);

/* Forgets a restart that is due and what is remembered; leaves a running program alone. The slot is
 * nobody's then. */
void process_fini(struct process *process);

/*
 * Starts the program from this open file; `last` is the memory of the one before it, or -1. Returns
 * 0 once it is executed, or -1 after a log line.
 */
int process_start(struct process *process, int binary, int last);

/* Tells it. One that serves has been told so at its start. */
void process_tell(struct process *process, enum child_word word);

/*
 * Notes that it ended with this status of waitpid(). Tells whether that was the program's own
 * decision, soon after the start of the service, that it cannot run at all.
 */
bool process_ended(struct process *process, int status);

/* Has the ended program started again: at once the first time, later and later if it keeps ending.
 */
void process_restart(struct process *process);

/* Forgets a restart that is due. */
void process_cancel(struct process *process);

/*
 * How long to wait, in ms, before a program that ended after `lived` ms is started again; `last` is
 * what was waited the time before, or -1.
 */
int process_delay(int last, uint64_t lived);

#endif
