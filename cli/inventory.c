#include <string.h>
#include <unistd.h>

#include "cli/inventory.h"
#include "lib/log.h"

void inventory_add(struct inventory *inventory, const char *name, int fd)
{
    if (inventory->count == INVENTORY_MAX)
        log_panic("there are more descriptors than %d", INVENTORY_MAX);
    inventory->items[inventory->count++] = (struct launch_descriptor){name, fd};
}

void inventory_give(const struct inventory *inventory, const char *name, struct launch *launch)
{
    for (unsigned i = 0; i < inventory->count; i++)
        if (inventory->items[i].fd >= 0 && strcmp(inventory->items[i].name, name) == 0)
            launch_give(launch, inventory->items[i].name, inventory->items[i].fd);
}

int inventory_find(const struct inventory *inventory, const char *name)
{
    for (unsigned i = 0; i < inventory->count; i++)
        if (strcmp(inventory->items[i].name, name) == 0)
            return inventory->items[i].fd;
    return -1;
}

void inventory_close(struct inventory *inventory, const char *name)
{
    for (unsigned i = 0; i < inventory->count; i++)
        if (inventory->items[i].fd >= 0 && strcmp(inventory->items[i].name, name) == 0) {
            close(inventory->items[i].fd);
            inventory->items[i].fd = -1;
        }
}
