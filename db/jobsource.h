#ifndef DB_JOBSOURCE_H
#define DB_JOBSOURCE_H

#include <stdbool.h>

#include "db/job.h"
#include "lib/row.h"

/* The rows of a job's upload, read from the account database piece by piece, in their order. */
struct jobsource;

struct jobsource *jobsource_new(const struct db_job *job);

/* Wipes what it holds. NULL is allowed. */
void jobsource_free(struct jobsource *source);

/*
 * The next row, as row_reader_next() has it: DB_OK, DB_NONE after the last, DB_BUSY or DB_BROKEN.
 * Where what follows makes no sense, the last row is none and its errors say why.
 */
enum db_result jobsource_next(struct jobsource *source, struct db *db, struct row **row_r);

/* Whether the upload ended before its end. */
bool jobsource_is_broken(const struct jobsource *source);

/* Of the upload, read so far. */
uint64_t jobsource_octets(const struct jobsource *source);

#endif
