#ifndef DB_MAILBOXLIST_H
#define DB_MAILBOXLIST_H

#include <stddef.h>
#include <stdint.h>

#include "db/db.h"

/*
 * Up to `most` mailboxes behind the id `after`, in the order of their ids: of one customer, or with
 * 0 of all. DB_OK, or DB_NONE with none.
 */
enum db_result db_mailbox_list(struct db *db, uint64_t customer, uint64_t after,
                               uint64_t *mailboxes_r, size_t most, size_t *count_r);

#endif
