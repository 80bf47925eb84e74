#ifndef LIB_CLOCK_H
#define LIB_CLOCK_H

#include <stdint.h>

/*
 * What time it is. The first three count from some moment before the machine's start, go on in
 * spite of whoever sets the clock, and are the same for all processes.
 */

/* Never 0, which so can mean "not yet". This and the next are cheap, and late by milliseconds. */
uint32_t clock_seconds(void);

uint64_t clock_milliseconds(void);

/* To measure by. */
uint64_t clock_microseconds(void);

/* Microseconds since 1970, by the clock on the wall. */
uint64_t clock_wall(void);

#endif
