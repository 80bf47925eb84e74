#ifndef ADMIN_BLOCKS_H
#define ADMIN_BLOCKS_H

#include "admin/field.h"
#include "admin/route.h"

struct event_base;

/*
 * What is delayed because of wrong passwords: /api/v1/blocks, and that of an address. authd alone
 * knows it, and is asked over its control socket (lib/authmsg.h), each time over a connection of
 * its own.
 */
struct blocks;

struct blocks *blocks_new(struct event_base *base);

/* Tells who still waits that authd does not answer. NULL is allowed. */
void blocks_free(struct blocks *blocks);

extern const struct field lift_fields[];

void blocks_list(struct admin *admin, struct request *request);
void blocks_lift(struct admin *admin, struct request *request);
void address_blocks_lift(struct admin *admin, struct request *request);

#endif
