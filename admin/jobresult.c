#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "admin/jobresult.h"
#include "admin/wipedstream.h"
#include "db/handout.h"
#include "lib/log.h"

static void run(struct bulk_work *work, struct db *db)
{
    struct jobresult *result =
        (struct jobresult *)((char *)work - offsetof(struct jobresult, work));

    FILE *file = wipedstream_open(&result->text, &result->size);
    result->result = handout_table(db, &result->job, result->page_url, file);
    if (fclose(file) != 0)
        log_panic("out of memory");
    /* Somebody may have been quicker; then there is no text. */
    if (result->result == DB_NONE) {
        jobresult_release(result);
        result->result = DB_OK;
    }
}

static void done(struct bulk_work *work)
{
    struct jobresult *result =
        (struct jobresult *)((char *)work - offsetof(struct jobresult, work));

    result->done(result);
}

int jobresult_submit(struct bulk *bulk, struct jobresult *result)
{
    result->work.run = run;
    result->work.done = done;
    return bulk_submit(bulk, &result->work);
}

void jobresult_release(void *own)
{
    struct jobresult *result = own;

    if (result->text != NULL)
        sodium_memzero(result->text, result->size);
    free(result->text);
    result->text = NULL;
}
