#ifndef CLI_OVERPLAN_H
#define CLI_OVERPLAN_H

#include <stdbool.h>

#include "db/customer.h"

/*
 * Shows what a plan would mean to a customer (db/overplan.h), and which of its mailboxes are fuller
 * than it allows, as far as stored tells. Returns EXIT_DONE, or EXIT_REFUSED after refuse().
 */
int overplan_show(struct db *db, const struct db_customer *customer, const char *plan, bool json);

#endif
