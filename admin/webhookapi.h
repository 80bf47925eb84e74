#ifndef ADMIN_WEBHOOKAPI_H
#define ADMIN_WEBHOOKAPI_H

#include "admin/field.h"
#include "admin/request.h"

/* Webhooks (db/webhook.h) over HTTP. Who tells them is admin/webhooks.h. */

extern const struct field webhook_new_fields[];
extern const struct field webhook_fields[];
extern const struct field webhook_secret_fields[];
extern const struct field webhook_replay_fields[];

void webhooks_list(struct admin *admin, struct request *request);
void webhook_check_new(struct admin *admin, struct request *request);
enum db_result webhook_add(struct db *db, struct request *request);
enum db_result webhook_show(struct db *db, struct request *request, struct json_t **object_r);
void webhook_check(struct admin *admin, struct request *request);
enum db_result webhook_change(struct db *db, struct request *request);
enum db_result webhook_remove(struct db *db, struct request *request);

/* Another secret, shown once. */
enum db_result webhook_renew(struct db *db, struct request *request);

void webhook_replay_check(struct admin *admin, struct request *request);
enum db_result webhook_replay(struct db *db, struct request *request);

/* What it is still to be told, in that order. */
void webhook_deliveries_list(struct admin *admin, struct request *request);

/* Tells it something now, and answers with what became of that. */
void webhook_test(struct admin *admin, struct request *request);

#endif
