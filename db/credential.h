#ifndef DB_CREDENTIAL_H
#define DB_CREDENTIAL_H

#include <stdint.h>

#include "db/db.h"
#include "db/login.h"
#include "lib/address.h"

/* What is stored of a mailbox's password. Wiped after use. */
struct db_credential {
    uint64_t mailbox;
    uint64_t changed; /* seconds since 1970: when the password was set */
    char address[ADDRESS_MAX + 1];
    char hash[DB_HASH_SIZE]; /* lib/storedhash.h */
};

/*
 * The next of a customer's by mailbox (begin with a zeroed struct), in place of the one before;
 * DB_NONE after the last.
 */
enum db_result db_credential_next(struct db *db, uint64_t customer,
                                  struct db_credential *credential);

#endif
