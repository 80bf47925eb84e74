#ifndef DB_MIGRATIONS_H
#define DB_MIGRATIONS_H

#include <stddef.h>

/*
 * The text of the files in migrations/, in order. The one with index i brings a database of
 * version i to version i + 1 and sets user_version itself. For db/schema.c and its test.
 */

extern const char *const migrations[];
extern const unsigned migrations_count;

/* As db_schema_apply(), with a list of one's own. */
int migrations_apply(const char *const *list, unsigned count, const char *path, unsigned *from_r,
                     char *error_r, size_t error_size);

#endif
