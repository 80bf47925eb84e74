#ifndef CLI_REMOTEANSWER_H
#define CLI_REMOTEANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "db/adminuser.h"
#include "db/apikey.h"
#include "db/apppassword.h"
#include "db/audit.h"
#include "db/customer.h"
#include "db/domain.h"
#include "db/event.h"
#include "db/issuer.h"
#include "db/job.h"
#include "db/mailaddress.h"
#include "db/overplan.h"
#include "db/plan.h"
#include "db/removal.h"
#include "db/statistics.h"
#include "db/trusted.h"
#include "db/webhook.h"

/*
 * The API's objects as the structs of db/. Each returns 0, or -1 for what this program does not
 * know: a member is missing, is of another type, or is longer than any is here.
 */

int remoteanswer_plan(const json_t *object, struct db_plan *plan_r);
int remoteanswer_customer(const json_t *object, struct db_customer *customer_r);
int remoteanswer_domain(const json_t *object, struct db_domain *domain_r);
int remoteanswer_admin_user(const json_t *object, struct db_admin_user *user_r);
int remoteanswer_app_password(const json_t *object, struct db_app_password *password_r);
int remoteanswer_issuer(const json_t *object, struct db_issuer *issuer_r);
int remoteanswer_job_error(const json_t *object, struct db_job_error *error_r);
int remoteanswer_removal(const json_t *object, struct db_removal *removal_r);
int remoteanswer_event(const json_t *object, struct db_event *event_r);
int remoteanswer_audit(const json_t *object, struct db_audit *audit_r);
int remoteanswer_trusted(const json_t *object, struct db_trusted *trusted_r);
int remoteanswer_webhook(const json_t *object, struct db_webhook *webhook_r);
int remoteanswer_preview(const json_t *object, struct db_overplan_preview *preview_r);

int remoteanswer_customer_statistics(const json_t *object,
                                     struct db_customer_statistics *statistics_r);
int remoteanswer_host_statistics(const json_t *object, struct db_host_statistics *statistics_r);

/* Without its place, which the API tells as percents. */
int remoteanswer_job(const json_t *object, struct db_job *job_r, unsigned *percent_r);

/* Without ids of mailboxes, which the API does not tell: 1 is one, 0 is none. */
int remoteanswer_address(const json_t *object, struct db_mailaddress *address_r);
int remoteanswer_api_key(const json_t *object, struct db_api_key *key_r);

/* A text or a time (seconds since 1970) of an object; as above. */
int remoteanswer_text(const json_t *object, const char *name, char *text_r, size_t size);
int remoteanswer_time(const json_t *object, const char *name, uint64_t *time_r);

#endif
