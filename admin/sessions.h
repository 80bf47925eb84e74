#ifndef ADMIN_SESSIONS_H
#define ADMIN_SESSIONS_H

#include "admin/route.h"

/* POP3 sessions: /api/v1/sessions, and those of an address or a customer. stored knows them. */

void sessions_list(struct admin *admin, struct request *request);
void address_sessions_list(struct admin *admin, struct request *request);
enum db_result address_sessions_end(struct db *db, struct request *request);
enum db_result customer_sessions_end(struct db *db, struct request *request);

#endif
