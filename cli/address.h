#ifndef CLI_ADDRESS_H
#define CLI_ADDRESS_H

#include <stdbool.h>

#include "db/mailaddress.h"
#include "lib/address.h"

struct instance;

/* Parses an address that a person typed. Returns EXIT_DONE, or EXIT_REFUSED after refuse(). */
int address_argument(struct address *address_r, const char *text);

/* The same, and then opens the accounts. Returns NULL after a refusal. */
struct db *address_open(struct instance *instance, const char *text, struct address *address_r);

/* Finds an address with its customer; as above. */
int address_lookup(struct db *db, const struct address *address, struct db_mailaddress *found_r);

/* The same for what only a mailbox has: refuses an alias too. */
int address_lookup_mailbox(struct db *db, const struct address *address,
                           struct db_mailaddress *found_r);

/*
 * The whole of a command that shows one address, with --json: reads the command line, opens the
 * accounts and has `show` do it, which returns the exit status.
 */
int address_showing(struct instance *instance, int argc, char **argv,
                    int (*show)(struct db *db, const struct address *address, bool json));

#endif
