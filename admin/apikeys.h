#ifndef ADMIN_APIKEYS_H
#define ADMIN_APIKEYS_H

#include "admin/field.h"
#include "admin/route.h"

/* /api/v1/api-keys */

extern const struct field api_key_fields[], api_key_new_fields[];

void api_keys_list(struct admin *admin, struct request *request);
void api_key_check(struct admin *admin, struct request *request);
enum db_result api_key_show(struct db *db, struct request *request, struct json_t **object_r);
enum db_result api_key_add(struct db *db, struct request *request);
void api_key_check_change(struct admin *admin, struct request *request);
enum db_result api_key_change(struct db *db, struct request *request);
enum db_result api_key_remove(struct db *db, struct request *request);

/* GET /api/v1/self: the key or the person that asks. */
void self_show(struct admin *admin, struct request *request);

#endif
