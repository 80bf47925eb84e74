#ifndef CLI_SUPERVISOR_H
#define CLI_SUPERVISOR_H

struct inventory;
struct material;

/*
 * Starts the programs of an instance and keeps them running until SIGTERM or SIGINT; SIGHUP loads
 * `material` again. `serving` is what to tell a person once everything runs. Returns the exit code
 * of bellhop serve: 0 when all programs ended in time after the signal, 1 when one could not be
 * started at all or had to be killed.
 */
int supervisor_run(struct inventory *inventory, struct material *material, const char *serving);

#endif
