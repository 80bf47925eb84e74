#ifndef ADMIN_LOGINS_H
#define ADMIN_LOGINS_H

#include "admin/field.h"
#include "admin/route.h"

/* /api/v1/login, /logout, and /self: what people do about their own sessions and credentials. */

extern const struct field login_fields[];
extern const struct field own_password_fields[];
extern const struct field reauthentication_fields[];
extern const struct field code_fields[];
extern const struct field both_fields[];

void login_check(struct admin *admin, struct request *request);
enum db_result login_apply(struct db *db, struct request *request);
enum db_result logout_apply(struct db *db, struct request *request);

void own_sessions_list(struct admin *admin, struct request *request);
enum db_result own_session_end(struct db *db, struct request *request);
enum db_result own_sessions_end(struct db *db, struct request *request);

void own_password_check(struct admin *admin, struct request *request);
enum db_result own_password_set(struct db *db, struct request *request);

void second_factor_show(struct admin *admin, struct request *request);
/* Has the member "password" checked, for the changes below that ask for it. */
void reauthenticate(struct admin *admin, struct request *request);
enum db_result second_factor_enrol(struct db *db, struct request *request);
enum db_result second_factor_prove(struct db *db, struct request *request);
enum db_result second_factor_renew_codes(struct db *db, struct request *request);
enum db_result second_factor_end(struct db *db, struct request *request);

#endif
