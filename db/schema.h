#ifndef DB_SCHEMA_H
#define DB_SCHEMA_H

#include <stddef.h>

/*
 * The database file itself: its making and its version. The migrations (migrations/NNNN-*.sql) are
 * built into the programs; the newest one's number is the version that this program knows.
 */

/* The version that this program knows and db_open() asks for. */
unsigned db_schema_version(void);

/*
 * Brings the file at `path` to that version: makes it where there is none (mode 0600, plans
 * seeded), applies what is missing where it is older, each migration in one transaction, and
 * leaves a current one alone. Data is kept. Sets *from_r to the version found (0: made now).
 * Returns 0, or -1 with one sentence in error_r: no Bellhop database, newer than this program,
 * busy, disk. Only `bellhop init` calls this.
 */
int db_schema_apply(const char *path, unsigned *from_r, char *error_r, size_t error_size);

/*
 * Reads the version without changing anything; 0 for a file that is no Bellhop database. Returns
 * 0, or -1 with one sentence in error_r.
 */
int db_schema_read(const char *path, unsigned *version_r, char *error_r, size_t error_size);

#endif
