#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <stdbool.h>

/*
 * For a long command that tidies up after itself: from here on SIGINT, SIGTERM and SIGHUP end
 * system calls that wait (EINTR) and are noted, and a pipe without a reader is an error of
 * write(2).
 */
void interrupt_watch(void);

/* Whether one of them has come. */
bool interrupted(void);

#endif
