#ifndef ADMIN_INVITATIONS_H
#define ADMIN_INVITATIONS_H

#include "admin/field.h"
#include "admin/request.h"

/*
 * What the holder of an invitation (db/invitation.h) may do, who has nothing else: see what it is
 * for, and choose the password, once. A token that is unknown, used, replaced or expired is 404 in
 * the same words, and so many of them from one address that nobody guesses.
 */

extern const struct field invitation_fields[];

void invitation_show(struct admin *admin, struct request *request);
void invitation_check(struct admin *admin, struct request *request);
enum db_result invitation_take(struct db *db, struct request *request);

#endif
