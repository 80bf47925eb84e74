#ifndef ADMIN_ADMINUSERS_H
#define ADMIN_ADMINUSERS_H

#include "admin/field.h"
#include "admin/route.h"

/* /api/v1/admin-users */

extern const struct field admin_user_new_fields[];
extern const struct field admin_user_fields[];
extern const struct field admin_user_password_fields[];
extern const struct parameter admin_user_parameters[];

void admin_users_list(struct admin *admin, struct request *request);
void admin_user_check_new(struct admin *admin, struct request *request);
void admin_user_check(struct admin *admin, struct request *request);
enum db_result admin_user_show(struct db *db, struct request *request, struct json_t **object_r);
enum db_result admin_user_add(struct db *db, struct request *request);
enum db_result admin_user_change(struct db *db, struct request *request);
enum db_result admin_user_remove(struct db *db, struct request *request);
void admin_user_prepare_invitation(struct admin *admin, struct request *request);
enum db_result admin_user_invite(struct db *db, struct request *request);

void admin_user_check_password(struct admin *admin, struct request *request);
enum db_result admin_user_choose_password(struct db *db, struct request *request);

/* Takes away somebody else's second factor: of an admin user below, and of a mailbox's owner. */
enum db_result admin_user_end_second_factor(struct db *db, struct request *request);
enum db_result address_end_second_factor(struct db *db, struct request *request);

#endif
