#ifndef CLI_ADDRESS_H
#define CLI_ADDRESS_H

#include "db/mailaddress.h"
#include "lib/address.h"

/* Parses an address that a person typed. Returns EXIT_DONE, or EXIT_REFUSED after refuse(). */
int address_argument(struct address *address_r, const char *text);

/* Finds an address with its customer; as above. */
int address_lookup(struct db *db, const struct address *address, struct db_mailaddress *found_r);

#endif
