#ifndef DB_NOTE_H
#define DB_NOTE_H

#include <stdint.h>

#include "db/db.h"

/*
 * What authd has found out at a login and somebody else writes for it (lib/authmsg.h). Nobody has
 * changed anything, so there is no audit row. DB_OK, or DB_NONE: it is out of date, because the
 * password has been changed since or the thing is gone.
 */

/* The same password with a better hash, in place of the old one. */
enum db_result db_note_upgrade(struct db *db, uint64_t customer, uint64_t mailbox,
                               const char *old_hash, const char *new_hash);

/* Keys of SCRAM for the password that has this hash. */
enum db_result db_note_scram(struct db *db, uint64_t customer, uint64_t mailbox, const char *hash,
                             const char *keys);

/* When (seconds since 1970) and from where an app password was used. */
enum db_result db_note_used(struct db *db, uint64_t customer, uint64_t app_password, uint64_t time,
                            const char *remote);

#endif
