#ifndef ADMIN_TRUSTEDNETWORKS_H
#define ADMIN_TRUSTEDNETWORKS_H

#include "admin/field.h"
#include "admin/route.h"
#include "db/db.h"

/* /api/v1/customers/{customer}/trusted-networks */

extern const struct field trusted_network_new_fields[];

void trusted_networks_list(struct admin *admin, struct request *request);
void trusted_network_check(struct admin *admin, struct request *request);
enum db_result trusted_network_add(struct db *db, struct request *request);
enum db_result trusted_network_remove(struct db *db, struct request *request);

#endif
