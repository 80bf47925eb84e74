#ifndef ADMIN_COUNTER_H
#define ADMIN_COUNTER_H

#include "admin/workers.h"
#include "db/statistics.h"

struct db;
struct event_base;

/* A thread that counts what there is on the host, for which the event loop would wait too long. */
struct counter;

/* Zeroed, then filled in up to done(), which is called from the event loop. */
struct counting {
    unsigned days;
    void (*done)(struct counting *counting);
    enum db_result result; /* of db_operator_statistics() */
    struct db_host_statistics statistics;
    struct work work; /* the counter's */
};

/* The handle is one of its own, to read, and closed by counter_free(). */
struct counter *counter_new(struct event_base *base, struct db *db);

/* Returns 0, or -1 when too many wait: done() is not called then. */
int counter_submit(struct counter *counter, struct counting *counting);

/* Counts for those who wait, and calls done(). */
void counter_free(struct counter *counter);

#endif
