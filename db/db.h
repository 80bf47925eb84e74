#ifndef DB_DB_H
#define DB_DB_H

#include <stddef.h>

/*
 * The account database: one SQLite file, accounts.db. All SQL text of the project that concerns
 * accounts is in this folder; callers name a function, pass typed values and get a filled struct.
 * A handle belongs to one thread.
 */

struct db;

enum db_mode {
    DB_READ,  /* authd, lmtpd: SQLite refuses every change */
    DB_WRITE, /* admin, bellhop */
    /*
     * admin, for what happens at logins: a commit is not synced, so a power loss may take the last
     * of them, and another writer is not waited for, but DB_BUSY at once.
     */
    DB_NOTES
};

/* The three failures of docs/DESIGN.md: no (NONE, TAKEN, LIMIT), not now (BUSY), ours (BROKEN). */
enum db_result {
    DB_OK = 0,
    DB_NONE,  /* there is no such row */
    DB_TAKEN, /* the name exists already */
    DB_LIMIT, /* the customer's plan does not allow another one */
    DB_BUSY,  /* another writer held the database for too long: try again */
    DB_BROKEN /* logged with its reason where it was found */
};

/*
 * Opens an existing database of exactly the version that this program knows. Returns NULL with one
 * sentence in error_r that says what to do: missing file, older or newer version, damage.
 */
struct db *db_open(const char *path, enum db_mode mode, char *error_r, size_t error_size);

/* NULL is allowed. */
void db_close(struct db *db);

#endif
