#ifndef CLI_LAUNCH_H
#define CLI_LAUNCH_H

#include <sys/types.h>

/* Most descriptors that one program gets. */
#define LAUNCH_DESCRIPTORS_MAX 24

struct launch_descriptor {
    const char *name; /* as in lib/child.h */
    int fd;
};

struct launch {
    int binary; /* the open file that is executed */
    const char *name;
    unsigned slot; /* in the shared counters */
    unsigned count;
    struct launch_descriptor descriptors[LAUNCH_DESCRIPTORS_MAX];
};

/* Adds one to what the program gets. */
void launch_give(struct launch *launch, const char *name, int fd);

/*
 * Starts a program in a process group of its own, so that a terminal's Ctrl-C reaches the
 * supervisor alone, with these descriptors from 3 on, nothing on standard input, a small
 * environment, and no other descriptor. SIGHUP is blocked (lib/child.h says until when).
 * It gets SIGTERM when the supervisor dies. Returns its
 * process id once it has been executed, or -1 (errno).
 */
pid_t launch_start(const struct launch *launch);

#endif
