#ifndef DB_RETENTION_H
#define DB_RETENTION_H

#include <stdint.h>

#include "db/db.h"

/* How long mail is kept, for the one who has the store remove what is older. */
struct db_retention {
    uint64_t mailbox;
    unsigned days;
};

/*
 * The next mailbox by id after the one in *retention (begin with a zeroed struct) whose plan keeps
 * mail for so many days, and not for ever: DB_OK, or DB_NONE after the last.
 */
enum db_result db_retention_next(struct db *db, struct db_retention *retention);

#endif
