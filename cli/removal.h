#ifndef CLI_REMOVAL_H
#define CLI_REMOVAL_H

#include <stdbool.h>
#include <stdint.h>

#include "db/removal.h"

struct instance;

/*
 * Reads the command line of a command that removes: one argument, and --now. Returns 0 or
 * EXIT_USAGE after wrong_usage().
 */
int removal_options(int argc, char **argv, bool *now_r);

/* For how many seconds what is removed is kept. The instance has been opened. */
uint64_t removal_keep(const struct instance *instance, bool now);

/*
 * The rest of a command that restores, once its command line has been read. `customer` may be NULL.
 * Returns its exit code.
 */
int removal_restore(struct instance *instance, enum db_removal_kind kind, const char *name,
                    const char *customer);

#endif
