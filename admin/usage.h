#ifndef ADMIN_USAGE_H
#define ADMIN_USAGE_H

struct admin;
struct request;

/* How full mailboxes are: /api/v1/addresses/{address}/usage and /api/v1/usage. stored knows it. */

void usage_show(struct admin *admin, struct request *request);
void usages_list(struct admin *admin, struct request *request);

#endif
