#include "db/jobsource.h"

#include <stdlib.h>

#include <sodium.h>

#include "lib/xalloc.h"

/* A password is nothing to keep in an upload. */
#define COLUMNS (ROW_ALL & ~ROW_BIT(PASSWORD))

_Static_assert((int)DB_JOB_CSV == (int)ROW_CSV && (int)DB_JOB_JSON == (int)ROW_JSON &&
                   (int)DB_JOB_NDJSON == (int)ROW_NDJSON,
               "a format of one is one of the other");
_Static_assert(DB_JOB_COLUMN_MAX == ROW_COLUMN_MAX && DB_JOB_REASON_SIZE == ROW_REASON_SIZE,
               "an error of one fits into the other");

struct jobsource {
    uint64_t job;
    struct row_reader *reader;
    unsigned part; /* the last one that was fed */
    uint64_t octets;
    bool broken;
    char piece[DB_JOB_PART_MAX];
};

struct jobsource *jobsource_new(const struct db_job *job)
{
    struct jobsource *source = xcalloc(1, sizeof(*source));

    source->job = job->id;
    source->reader = row_reader_new((enum row_format)job->format, COLUMNS);
    return source;
}

void jobsource_free(struct jobsource *source)
{
    if (source == NULL)
        return;
    row_reader_free(source->reader);
    sodium_memzero(source->piece, sizeof(source->piece));
    free(source);
}

static enum db_result feed(struct jobsource *source, struct db *db)
{
    size_t length;
    enum db_result result =
        db_job_part_next(db, source->job, &source->part, source->piece, &length);

    if (result == DB_NONE) {
        row_reader_end(source->reader);
        return DB_OK;
    }
    if (result == DB_OK) {
        row_reader_feed(source->reader, source->piece, length);
        source->octets += length;
    }
    return result;
}

enum db_result jobsource_next(struct jobsource *source, struct db *db, struct row **row_r)
{
    while (!source->broken) {
        switch (row_reader_next(source->reader, row_r)) {
        case ROWS_ROW: return DB_OK;
        case ROWS_END: return DB_NONE;
        case ROWS_BROKEN: source->broken = true; return DB_OK;
        case ROWS_MORE: break;
        }
        enum db_result result = feed(source, db);
        if (result != DB_OK)
            return result;
    }
    return DB_NONE;
}

bool jobsource_is_broken(const struct jobsource *source)
{
    return source->broken;
}

uint64_t jobsource_octets(const struct jobsource *source)
{
    return source->octets;
}
