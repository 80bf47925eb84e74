#ifndef ADMIN_DOMAINS_H
#define ADMIN_DOMAINS_H

#include "admin/field.h"
#include "admin/route.h"

/* /api/v1/domains */

extern const struct field domain_fields[], domain_new_fields[];
extern const struct parameter customer_parameters[], domain_parameters[];

/* For the parameters of a list that list_customer() narrows. */
#define CUSTOMER_PARAMETER                                                                         \
    {                                                                                              \
        .name = "customer", .type = FIELD_NUMBER, .about = "what is this one's, by its id"         \
    }

void domains_list(struct admin *admin, struct request *request);
void domain_check(struct admin *admin, struct request *request);
enum db_result domain_show(struct db *db, struct request *request, struct json_t **object_r);
enum db_result domain_add(struct db *db, struct request *request);
void domain_check_change(struct admin *admin, struct request *request);
enum db_result domain_change(struct db *db, struct request *request);
enum db_result domain_remove(struct db *db, struct request *request);

/*
 * Whose things a list is of: the key's customer's, or for an operator those of the parameter
 * `customer`, or everybody's (0). Returns 0, or -1 when the request is refused.
 */
int list_customer(struct request *request, uint64_t *customer_r);

#endif
