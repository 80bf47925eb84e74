#include <stddef.h>
#include <stdlib.h>

#include "admin/counter.h"
#include "db/db.h"
#include "lib/xalloc.h"

/* A second or two of work; who comes then is told to come again. */
#define COUNTINGS_WAITING_MAX 8

struct counter {
    struct db *db;
    struct workers *workers;
};

static struct counting *counting_of(struct work *work)
{
    return (struct counting *)((char *)work - offsetof(struct counting, work));
}

static void run(void *context, struct work *work)
{
    const struct counter *counter = context;
    struct counting *counting = counting_of(work);

    counting->result = db_operator_statistics(counter->db, counting->days, &counting->statistics);
}

static void done(struct work *work)
{
    struct counting *counting = counting_of(work);

    counting->done(counting);
}

struct counter *counter_new(struct event_base *base, struct db *db)
{
    struct counter *counter = xcalloc(1, sizeof(*counter));

    counter->db = db;
    counter->workers = workers_new(base, 1, 1, COUNTINGS_WAITING_MAX, run, counter);
    return counter;
}

int counter_submit(struct counter *counter, struct counting *counting)
{
    counting->work.done = done;
    return workers_submit(counter->workers, &counting->work);
}

void counter_free(struct counter *counter)
{
    workers_free(counter->workers);
    db_close(counter->db);
    free(counter);
}
