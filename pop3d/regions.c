#include <stdbool.h>
#include <stdlib.h>

#include "lib/bodies.h"
#include "lib/log.h"
#include "lib/xalloc.h"
#include "pop3d/regions.h"

/* A page, so that what is never used takes no memory. */
#define UNIT  4096
#define UNITS (STORE_MEMORY_SIZE / UNIT)

struct regions {
    const uint8_t *bodies;
    bool freed;
    unsigned taken;        /* units */
    unsigned low;          /* no unit below is free */
    uint16_t units[UNITS]; /* of the region that begins here; 0: none does */
};

struct regions *regions_new(int fd)
{
    const uint8_t *bodies = bodies_attach(fd);

    if (bodies == NULL)
        return NULL;
    struct regions *regions = xcalloc(1, sizeof(*regions));
    regions->bodies = bodies;
    return regions;
}

static void free_unused(struct regions *regions)
{
    if (!regions->freed || regions->taken > 0)
        return;
    bodies_detach(regions->bodies);
    free(regions);
}

void regions_free(struct regions *regions)
{
    if (regions == NULL)
        return;
    regions->freed = true;
    free_unused(regions);
}

uint32_t regions_take(struct regions *regions, size_t length)
{
    size_t wanted = (length + UNIT - 1) / UNIT;

    if (regions == NULL || wanted == 0 || wanted > UNITS - regions->taken)
        return STORE_NO_PLACE;
    size_t first = regions->low, next = first;
    while (next - first < wanted) {
        if (next == UNITS)
            return STORE_NO_PLACE;
        if (regions->units[next] == 0)
            next++;
        else
            first = next += regions->units[next];
    }
    regions->units[first] = (uint16_t)wanted;
    if (first == regions->low)
        regions->low = (unsigned)next;
    regions->taken += (unsigned)wanted;
    return (uint32_t)(first * UNIT);
}

const uint8_t *regions_octets(const struct regions *regions, uint32_t place)
{
    return regions->bodies + place;
}

void regions_give(struct regions *regions, uint32_t place)
{
    uint16_t *units = &regions->units[place / UNIT];

    if (place % UNIT != 0 || *units == 0)
        log_panic("a region was given back that nobody has taken");
    if (place / UNIT < regions->low)
        regions->low = place / UNIT;
    regions->taken -= *units;
    *units = 0;
    free_unused(regions);
}

size_t regions_taken(const struct regions *regions)
{
    return (size_t)regions->taken * UNIT;
}
