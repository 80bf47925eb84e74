#ifndef POP3D_REGIONS_H
#define POP3D_REGIONS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/storemsg.h"

/*
 * The memory that stored shares with this process (STORE_MEMORY), given out in regions: one for
 * each piece of a body, from asking for it until it has been sent. There may be none left; pieces
 * then come in stored's messages. Whoever holds one for longer than a turn of the event loop keeps
 * to a share of all (pop3d/fetch.c), so that a client that does not read costs nobody else any.
 */
struct regions;

/* Takes over the descriptor that came with STORE_MEMORY_IS. NULL: it cannot be used (errno). */
struct regions *regions_new(int fd);

/* NULL is allowed. What has been taken may be read, and is given back, also afterwards. */
void regions_free(struct regions *regions);

/*
 * The place of a region of so many octets, or STORE_NO_PLACE. `regions` may be NULL. The lowest one
 * that is free: what has been used just now is still in the processor's cache.
 */
uint32_t regions_take(struct regions *regions, size_t length);

/* Anything there is to read in a region that has been taken. */
const uint8_t *regions_octets(const struct regions *regions, uint32_t place);

/* A place that regions_take() has given. */
void regions_give(struct regions *regions, uint32_t place);

/* Octets in regions that are taken. */
size_t regions_taken(const struct regions *regions);

#endif
