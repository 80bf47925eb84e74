#ifndef TESTS_CRASH_WORKLOAD_H
#define TESTS_CRASH_WORKLOAD_H

#include <stdint.h>

#include "tests/crash/random.h"

struct service;

/*
 * Lets peers deliver, read, expunge and drop over the service's sockets, `steps` times something,
 * many things at once. Everything that is answered is logged (expect.h).
 */
void workload_run(struct service *service, struct random random, unsigned steps);

/* Goes on until a group is on its way to the disk, if there is one soon: a moment to be killed at.
 */
void workload_interrupt(void);

/* Waits for all answers, then the peers leave. */
void workload_end(void);

#endif
