#ifndef ADMIN_RECORDS_H
#define ADMIN_RECORDS_H

struct admin;
struct request;

/* What has happened, the newest first: /api/v1/events and /api/v1/audit. */

extern const struct parameter event_parameters[], address_event_parameters[], audit_parameters[];

void events_list(struct admin *admin, struct request *request);
void address_events_list(struct admin *admin, struct request *request);
void audit_list(struct admin *admin, struct request *request);

#endif
