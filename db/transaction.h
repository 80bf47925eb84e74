#ifndef DB_TRANSACTION_H
#define DB_TRANSACTION_H

#include <stdbool.h>

#include "db/db.h"

/*
 * Every function of this folder that changes something is one transaction of its own. Between
 * begin and commit it becomes a part of the caller's: several changes then happen together or not
 * at all. A change that is refused (NONE, TAKEN, LIMIT) leaves the transaction as it was, so the
 * caller may note the reason and go on; after BUSY or BROKEN it can only be rolled back.
 *
 * begin takes the right to write, and everybody else's changes wait: compute password hashes first.
 */

/* DB_OK, DB_BUSY or DB_BROKEN. Transactions do not nest. */
enum db_result db_transaction_begin(struct db *db);

/*
 * Said right after begin, where one refused change is a reason to undo all: none is undone by
 * itself any more, which costs a change a third of its time among many, and after a refusal the
 * transaction can only be rolled back.
 */
void db_transaction_is_whole(struct db *db);

/* DB_OK: durable. Anything else: nothing of it happened, and the transaction is over. */
enum db_result db_transaction_commit(struct db *db);

/* Forgets all changes since begin. Does nothing without a transaction. */
void db_transaction_rollback(struct db *db);

/*
 * Several changes within the caller's transaction that happen together or not at all: between these
 * two, which do not nest. Of what is not kept nothing has happened, and the transaction goes on.
 * Both return DB_OK, DB_BUSY or DB_BROKEN; after anything but DB_OK it can only be rolled back.
 */
enum db_result db_part_begin(struct db *db);
enum db_result db_part_end(struct db *db, bool keep);

/*
 * What is found between these two is of one moment, and SQLite's lock is taken once for all of it.
 * For readers: nothing is changed in between, and it is short, as old pages are kept meanwhile.
 * What fails tells when something is looked for.
 */
void db_read_begin(struct db *db);
void db_read_end(struct db *db);

#endif
