#ifndef DB_CHANGES_H
#define DB_CHANGES_H

#include <stdbool.h>

#include "db/db.h"

/*
 * What a change does to the rows of tables, for its audit row: whatever does it, a statement, a
 * trigger or a foreign key, SQLite tells of each row before it is written (the "preupdate hook"),
 * so no function of this folder has to say it and none can forget it.
 *
 * As text it is a JSON array of what happened, in order:
 *   {"of": "mailbox", "id": 7, "before": {"name": "A"}, "after": {"name": "B"}}
 * "of" is the table, without "any_"; what its primary key consists of follows, then the columns:
 * all of a row that is new ("after" alone) or gone ("before" alone), and those that differ of one
 * that stays. Left out are the customer, who stands in the audit row, and what is NULL in a new or
 * old row. References are told by name (a plan's, a domain's, a mailbox's address) where the name
 * can still be found, else by number. A secret is "set", and a new one in place of another
 * "changed"; so is every BLOB. After DB_CHANGES_MAX rows comes {"more": N}.
 */

#define DB_CHANGES_MAX 500

struct changes;

/* Of a handle that writes. NULL: SQLite could not tell about its tables. */
struct changes *changes_open(struct db *db);
void changes_close(struct changes *changes);

/* What happens from here on counts, until changes_end(). */
void changes_begin(struct changes *changes);

/* Whether any row is other than it was, also in what the text leaves out. */
bool changes_any(const struct changes *changes);

/*
 * Stops counting, and forgets. The text stays until the next call for this handle; it is empty
 * where no row has changed. changes_end() may read the database. NULL: that failed.
 */
const char *changes_end(struct db *db, struct changes *changes);

/* Stops counting and forgets. */
void changes_drop(struct changes *changes);

#endif
