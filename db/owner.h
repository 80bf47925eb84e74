#ifndef DB_OWNER_H
#define DB_OWNER_H

#include <stdint.h>

#include "db/db.h"
#include "lib/address.h"
#include "lib/language.h"

/* Whose a mailbox is: what a message to its owner needs. */
struct db_owner {
    struct address address; /* the mailbox's own */
    enum language language; /* its customer's */
};

/* By the mailbox's id: DB_OK, DB_NONE, DB_BUSY, DB_BROKEN. */
enum db_result db_owner_find(struct db *db, uint64_t mailbox, struct db_owner *owner_r);

#endif
