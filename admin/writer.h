#ifndef ADMIN_WRITER_H
#define ADMIN_WRITER_H

#include <stdbool.h>

#include "admin/workers.h"
#include "db/db.h"

struct event_base;

/*
 * The thread that changes the account database, with a handle of its own, so that the event loop
 * never waits for another writer or for the disk. What has come together while the last commit was
 * on its way becomes one transaction, and one commit makes all of it durable.
 */
struct writer;

struct writing {
    struct work work; /* the writer's, as the next one */
    struct writer *writer;
    /*
     * It takes seconds: what comes before it is done, or writer_release(), is refused at once, and
     * need not wait.
     */
    bool holds;
    /*
     * It has a transaction of its own, for what is large: a savepoint around many changes costs
     * SQLite more than they do. What it refuses is undone all the same.
     */
    bool alone;
    /*
     * Makes the changes, in the writer's thread: DB_OK keeps them; DB_NONE undoes them, because the
     * request is refused. What DB_BUSY and DB_BROKEN end is tried once more alone, so it must be
     * able to run twice; the event loop touches nothing of it meanwhile.
     */
    enum db_result (*run)(struct writing *writing, struct db *db);
    /* Called from the event loop after the commit: DB_OK, DB_NONE, DB_BUSY or DB_BROKEN. */
    void (*done)(struct writing *writing);
    enum db_result result;
};

/* The database is opened by the caller, and only for this. */
struct writer *writer_new(struct event_base *base, struct db *db);

/* Takes what is to be written. Returns 0, or -1 when too much waits: done() is not called then. */
int writer_submit(struct writer *writer, struct writing *writing);

/* How many changes wait. */
unsigned writer_waiting(const struct writer *writer);

/* From any thread: refuses nothing any more, as what holds it up is about to end. */
void writer_release(struct writer *writer, struct writing *holding);

/* Writes what waits, calls done() for it, and closes the database. */
void writer_free(struct writer *writer);

#endif
