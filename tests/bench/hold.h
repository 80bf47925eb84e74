#ifndef BENCH_HOLD_H
#define BENCH_HOLD_H

#include "tests/bench/run.h"

/*
 * Clients that come to stay: when all are ready, it is announced, and they stay until standard
 * input closes or the time (--seconds, from then on) is over.
 */

/* As a mode's turn(). `wake` is called once for each client at the end, to leave. */
void hold_turn(struct run *run, void (*wake)(struct client *client));

/* Whether the clients have been told to leave. */
bool hold_is_over(void);

#endif
