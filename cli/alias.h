#ifndef CLI_ALIAS_H
#define CLI_ALIAS_H

#include <stdint.h>

#include "db/db.h"
#include "lib/address.h"

/*
 * Makes an alias, or with `set` lets one that there is lead elsewhere. `targets` are addresses with
 * commas between them, each of a mailbox of the customer. Returns EXIT_DONE, or EXIT_REFUSED after
 * refuse().
 */
int alias_add(struct db *db, uint64_t customer, const struct address *alias, const char *targets);
int alias_set(struct db *db, uint64_t customer, const struct address *alias, const char *targets);

#endif
