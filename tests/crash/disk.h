#ifndef TESTS_CRASH_DISK_H
#define TESTS_CRASH_DISK_H

#include <stdint.h>

#include "tests/crash/random.h"
#include "tests/crash/trace.h"

/*
 * Between stored and libc: this program's own definitions of the calls that change files take the
 * place of libc's, for SQLite as well. They do the call and log it in the trace. Nothing is really
 * synced. Time and random numbers are the harness's too, so that runs can be repeated.
 */

/* From now on this process's calls in store/ are logged. `random` feeds SQLite and libsodium. */
void disk_attach(struct trace *trace, struct random random);

/* Moves the clock on. */
void disk_pass(uint64_t microseconds);

#endif
