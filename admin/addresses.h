#ifndef ADMIN_ADDRESSES_H
#define ADMIN_ADDRESSES_H

#include "admin/field.h"
#include "admin/route.h"

/* /api/v1/addresses: mailboxes and aliases, and what opens a mailbox. */

extern const struct field address_directory_fields[], address_row_fields[];
extern const struct field address_fields[], address_new_fields[], password_fields[];
extern const struct field no_fields[];
extern const struct parameter address_parameters[];

void addresses_list(struct admin *admin, struct request *request);
void address_check(struct admin *admin, struct request *request);
void address_check_new(struct admin *admin, struct request *request);
enum db_result address_show(struct db *db, struct request *request, struct json_t **object_r);
enum db_result address_add_new(struct db *db, struct request *request);
enum db_result address_change(struct db *db, struct request *request);
enum db_result address_remove(struct db *db, struct request *request);

/* PUT, POST (draws one) and DELETE of its password; POST of an invitation to choose one. */
void password_check_new(struct admin *admin, struct request *request);
void password_draw(struct admin *admin, struct request *request);
enum db_result password_set(struct db *db, struct request *request);
enum db_result password_remove(struct db *db, struct request *request);
void invitation_prepare(struct admin *admin, struct request *request);
enum db_result invitation_add(struct db *db, struct request *request);

#endif
