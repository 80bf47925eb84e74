#ifndef LIB_CALLFILTER_H
#define LIB_CALLFILTER_H

#include <stdbool.h>

/*
 * seccomp: the system calls that a process may still make. One that no program of ours has a reason
 * for, such as execve(), ends the process with SIGSYS. Any other that is not on the list, perhaps
 * one that a newer C library tries first, fails with ENOSYS, and the first of each number is logged
 * as an error (docs/HACKING.md, "A system call that is missing").
 */

enum callfilter_files {
    CALLFILTER_NO_FILES, /* opens nothing any more */
    CALLFILTER_READ,     /* reads a database, whose -wal and -shm it opens to write */
    CALLFILTER_WRITE,
};

struct callfilter {
    enum callfilter_files files;
    bool connects; /* to Unix sockets */
    bool pairs;    /* makes pairs of Unix sockets */
    bool network;  /* to other machines, and to no Unix socket; not with `connects` */
    bool threads;  /* starts some after this */
    bool memory;   /* makes some that others map */
};

/* For this thread and those that it starts from now on. Returns whether the kernel can do it
 * (errno).
 */
bool callfilter_enter(const struct callfilter *wanted);

#endif
