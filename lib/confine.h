#ifndef LIB_CONFINE_H
#define LIB_CONFINE_H

#include "lib/callfilter.h"
#include "lib/landlock.h"

/*
 * How a program of Bellhop gives up what it does not need. A profile is data, and stands in the
 * program's main.c.
 */
struct confine_profile {
    struct callfilter calls;
    struct landlock_path paths[8]; /* from the instance's folder; NULL ends them */
};

/* accounts.db as SQLite needs it: those who read it write into what all share, the -shm. */
#define CONFINE_DATABASE(rights)                                                                   \
    {"accounts.db", rights}, {"accounts.db-wal", LANDLOCK_READ | LANDLOCK_WRITE},                  \
        {"accounts.db-shm", LANDLOCK_READ | LANDLOCK_WRITE},                                       \
    {                                                                                              \
        "/dev/urandom", LANDLOCK_READ                                                              \
    }

/*
 * Confines this process for good; threads are started later. What the kernel cannot do is one line
 * of warning, anything else that fails ends the program. bellhop_confined counts who has both.
 */
void confine(const struct confine_profile *profile);

#endif
