#ifndef ADMIN_CARDS_H
#define ADMIN_CARDS_H

#include "admin/field.h"
#include "admin/longtext.h"
#include "admin/request.h"
#include "lib/conf.h"

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

/* For whatever makes such a page: texts of the configuration, which only the event loop reads. */
struct cards_servers {
    char page_url[CONF_TEXT_MAX];
    char pop3[CONF_SERVER_SIZE];
    char smtp[CONF_TEXT_MAX];
};

/* Refuses the request where links would lead nowhere. */
void cards_take_servers(struct request *request, struct cards_servers *servers_r);

/* Sets the answer. */
void cards_answer(struct request *request, const struct longtext_source *source);

#endif
