#ifndef ADMIN_PLANS_H
#define ADMIN_PLANS_H

#include "admin/field.h"
#include "admin/route.h"

/* /api/v1/plans */

extern const struct field plan_fields[], plan_new_fields[];

void plans_list(struct admin *admin, struct request *request);
enum db_result plan_show(struct db *db, struct request *request, struct json_t **object_r);
void plan_check(struct admin *admin, struct request *request);
enum db_result plan_add(struct db *db, struct request *request);
enum db_result plan_change(struct db *db, struct request *request);
enum db_result plan_remove(struct db *db, struct request *request);

#endif
