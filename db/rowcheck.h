#ifndef DB_ROWCHECK_H
#define DB_ROWCHECK_H

#include <stdint.h>

#include "db/db.h"
#include "lib/row.h"

/*
 * Rows of an upload (lib/row.h) checked against the accounts before one of them is made: whether
 * the domain is there and the customer's, whether the address is taken or stands in the upload
 * twice, whether targets lead to mailboxes of the customer, which may be rows themselves, whether
 * the plan allows the quota and that many addresses with all rows made before this one: mailboxes
 * are, in their order, and then aliases. Nothing is changed. What it says is true at that moment:
 * who makes the addresses is refused by the same rules once more.
 *
 * A domain of somebody else must not be told from one that nobody has: both are "no-domain".
 *
 * Memory: some 64 octets a row and 200 a customer, whatever stands in them.
 */

struct rowcheck;

/*
 * For rows of one customer, or for the operator's, 0, of all; of the one domain where `domain`,
 * which is copied, is not empty (a key's reach). The database must stay, and is read only.
 */
struct rowcheck *rowcheck_new(struct db *db, uint64_t customer, const char *domain);

/* NULL is allowed. */
void rowcheck_free(struct rowcheck *check);

/*
 * First for each row once, in their order, also for those with errors: notes what is wrong by
 * row_wrong(), and sets the customer whose the domain is (0: it has none). DB_OK, or DB_BUSY or
 * DB_BROKEN where the database does not work: check all of them again then, with a new one.
 */
enum db_result rowcheck_take(struct rowcheck *check, struct row *row);

/*
 * Then, when all rows have been taken, for each alias, which may have been read anew: the same of
 * its targets, and whether the plan has room for it.
 */
enum db_result rowcheck_targets(struct rowcheck *check, struct row *row);

#endif
