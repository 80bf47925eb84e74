#ifndef ADMIN_STATISTICS_H
#define ADMIN_STATISTICS_H

struct admin;
struct parameter;
struct request;

/* How much there is and happens: of a customer, and for the operator of the host. */

extern const struct parameter statistics_parameters[];

void customer_statistics_show(struct admin *admin, struct request *request);
void host_statistics_show(struct admin *admin, struct request *request);

#endif
