#ifndef CLI_EXPORTER_H
#define CLI_EXPORTER_H

#include <stdbool.h>
#include <stdint.h>

struct target;

/*
 * Writes a mailbox's messages to a target, of an instance that has been entered, whether its
 * service runs or not. `asked`: show progress also where there is no terminal. Prints a summary.
 * Returns EXIT_DONE, or EXIT_REFUSED where it was not finished, or where damaged messages were left
 * out.
 */
int exporter_run(struct target *target, uint64_t mailbox, bool asked);

#endif
