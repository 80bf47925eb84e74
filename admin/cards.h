#ifndef ADMIN_CARDS_H
#define ADMIN_CARDS_H

#include "admin/field.h"
#include "admin/request.h"

/*
 * Welcome cards (lib/welcomecards.h) as a page to print, made while it leaves: the mailboxes are
 * invited anew, and the links are in this one answer.
 */

#define CARDS_TYPE "text/html; charset=utf-8"

extern const struct field cards_fields[];

/* Of one mailbox, or of a customer's. */
void card_prepare(struct admin *admin, struct request *request);
void cards_check(struct admin *admin, struct request *request);
enum db_result cards_make(struct db *db, struct request *request);

#endif
