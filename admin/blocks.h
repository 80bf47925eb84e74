#ifndef ADMIN_BLOCKS_H
#define ADMIN_BLOCKS_H

#include "admin/field.h"
#include "admin/route.h"

/*
 * What is delayed because of wrong passwords: /api/v1/blocks, and that of an address. authd alone
 * knows it, and is asked (admin/authask.h).
 */

extern const struct field lift_fields[];

void blocks_list(struct admin *admin, struct request *request);
void blocks_lift(struct admin *admin, struct request *request);
void address_blocks_lift(struct admin *admin, struct request *request);
void admin_user_blocks_lift(struct admin *admin, struct request *request);

#endif
