#ifndef ADMIN_APPPASSWORDS_H
#define ADMIN_APPPASSWORDS_H

#include "admin/field.h"
#include "admin/route.h"
#include "lib/apppassword.h"

/* /api/v1/addresses/{address}/app-passwords */

extern const struct field app_password_new_fields[];

void app_passwords_list(struct admin *admin, struct request *request);
void app_password_check(struct admin *admin, struct request *request);
enum db_result app_password_add(struct db *db, struct request *request);
enum db_result app_password_remove(struct db *db, struct request *request);

/*
 * Draws one of this name, for POP3 and SMTP, for the mailbox of the request's address, whose id is
 * in `found`; the caller wipes it.
 */
enum db_result app_password_draw(struct db *db, struct request *request, const char *name,
                                 char text_r[APPPASSWORD_TEXT_SIZE]);

#endif
