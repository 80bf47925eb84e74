#ifndef DB_DROP_H
#define DB_DROP_H

#include <stdint.h>

#include "db/db.h"

/*
 * Mailboxes that no longer exist in the account database but whose mail may still be in the store.
 * The transaction that removes a mailbox enters it here; admin asks stored to drop its mail and
 * then takes the entry away, so a crash in between only repeats a drop.
 */

/*
 * The next mailbox by id after `after` (0, or the one returned before): DB_OK, or DB_NONE after the
 * last.
 */
enum db_result db_drop_next(struct db *db, uint64_t after, uint64_t *mailbox_r);

enum db_result db_drop_done(struct db *db, uint64_t mailbox);

#endif
