#ifndef CLI_INVENTORY_H
#define CLI_INVENTORY_H

#include "cli/launch.h"

/* All descriptors that programs get, each by the name that stands in lib/child.h. */

#define INVENTORY_MAX 64

struct inventory {
    unsigned count;
    struct launch_descriptor items[INVENTORY_MAX]; /* fd is -1 after inventory_close() */
};

/* Takes over the descriptor; the name is not copied and may stand several times. */
void inventory_add(struct inventory *inventory, const char *name, int fd);

/* Adds the descriptors with this name to those that a program gets. */
void inventory_give(const struct inventory *inventory, const char *name, struct launch *launch);

/* The first descriptor with this name, or -1. */
int inventory_find(const struct inventory *inventory, const char *name);

/* Closes the descriptors with this name in this process. */
void inventory_close(struct inventory *inventory, const char *name);

#endif
