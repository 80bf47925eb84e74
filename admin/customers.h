#ifndef ADMIN_CUSTOMERS_H
#define ADMIN_CUSTOMERS_H

#include "admin/field.h"
#include "admin/route.h"

/* /api/v1/customers */

extern const struct parameter customers_parameters[];
extern const struct field customer_fields[], customer_new_fields[];

void customers_list(struct admin *admin, struct request *request);
void customer_check(struct admin *admin, struct request *request);
enum db_result customer_show(struct db *db, struct request *request, struct json_t **object_r);
enum db_result customer_add(struct db *db, struct request *request);
enum db_result customer_change(struct db *db, struct request *request);
enum db_result customer_remove(struct db *db, struct request *request);

#endif
