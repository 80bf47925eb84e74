#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "admin/writer.h"
#include "db/transaction.h"
#include "lib/clock.h"
#include "lib/xalloc.h"

/* Changes in one transaction: beyond that the commit is a small part of the work. */
#define TOGETHER_MAX 256

/*
 * SQLite's lock has no queue: who waits for it looks now and then. So it is free for a part of the
 * time, this one of what the last transaction took.
 */
#define REST_PART 10

/* More cannot be answered within seconds. */
#define CHANGES_WAITING_MAX 4096

struct writer {
    struct db *db;
    struct workers *workers;
    uint64_t rested;                   /* when it may begin again, in microseconds */
    _Atomic(struct writing *) holding; /* NULL: nothing is refused */
};

static struct writing *writing_of(struct work *work)
{
    return (struct writing *)((char *)work - offsetof(struct writing, work));
}

static bool is_failure(enum db_result result)
{
    return result == DB_BUSY || result == DB_BROKEN;
}

/* Refusing undoes the changes of this one; a failure those of all. */
static enum db_result write_one(struct db *db, struct writing *writing)
{
    enum db_result result = db_part_begin(db);

    if (result != DB_OK)
        return result;
    result = writing->run(writing, db);
    if (is_failure(result))
        return result;
    enum db_result ended = db_part_end(db, result == DB_OK);
    return ended == DB_OK ? result : ended;
}

/* What comes before `end`; returns what a failure was, and then none of it has happened. */
static enum db_result write_all(struct db *db, struct work *first, const struct work *end)
{
    enum db_result result = db_transaction_begin(db);

    for (struct work *work = first; work != end && !is_failure(result); work = work->next)
        result = writing_of(work)->result = write_one(db, writing_of(work));
    if (!is_failure(result))
        return db_transaction_commit(db);
    db_transaction_rollback(db);
    return result;
}

static void write_alone(struct db *db, struct writing *writing)
{
    enum db_result result = db_transaction_begin(db);

    if (result == DB_OK)
        result = writing->run(writing, db);
    writing->result = result == DB_OK ? db_transaction_commit(db) : result;
    db_transaction_rollback(db);
}

/* One that fails must not take the others with it, so each is then tried by itself. */
static void write_together(const struct writer *writer, struct work *first, const struct work *end)
{
    if (write_all(writer->db, first, end) == DB_OK)
        return;
    for (struct work *work = first; work != end; work = work->next) {
        enum db_result result = write_all(writer->db, work, work->next);
        if (result != DB_OK)
            writing_of(work)->result = result;
    }
}

static void write_somehow(const struct writer *writer, struct work *first)
{
    while (first != NULL) {
        struct work *end = first;
        while (end != NULL && !writing_of(end)->alone)
            end = end->next;
        if (end != first)
            write_together(writer, first, end);
        if (end != NULL)
            write_alone(writer->db, writing_of(end));
        first = end == NULL ? NULL : end->next;
    }
}

/* The rest comes before what is next, so nobody waits for it who comes alone. */
static void run(void *context, struct work *first)
{
    struct writer *writer = context;
    uint64_t begin = clock_microseconds();

    if (begin < writer->rested) {
        uint64_t rest = writer->rested - begin;
        const struct timespec pause = {.tv_sec = (time_t)(rest / 1000000),
                                       .tv_nsec = (long)(rest % 1000000 * 1000)};
        nanosleep(&pause, NULL);
        begin = clock_microseconds();
    }
    write_somehow(writer, first);
    uint64_t end = clock_microseconds();
    writer->rested = end + (end - begin) / REST_PART;
}

static void done(struct work *work)
{
    struct writing *writing = writing_of(work);

    writer_release(writing->writer, writing);
    writing->done(writing);
}

struct writer *writer_new(struct event_base *base, struct db *db)
{
    struct writer *writer = xcalloc(1, sizeof(*writer));

    writer->db = db;
    writer->workers = workers_new(base, 1, TOGETHER_MAX, CHANGES_WAITING_MAX, run, writer);
    return writer;
}

int writer_submit(struct writer *writer, struct writing *writing)
{
    if (atomic_load(&writer->holding) != NULL)
        return -1;
    writing->work.done = done;
    writing->writer = writer;
    if (writing->holds)
        atomic_store(&writer->holding, writing);
    int result = workers_submit(writer->workers, &writing->work);
    if (result != 0)
        writer_release(writer, writing);
    return result;
}

/* By now it may be held by another one. */
void writer_release(struct writer *writer, struct writing *holding)
{
    atomic_compare_exchange_strong(&writer->holding, &holding, NULL);
}

unsigned writer_waiting(const struct writer *writer)
{
    return workers_waiting(writer->workers);
}

void writer_free(struct writer *writer)
{
    if (writer == NULL)
        return;
    workers_free(writer->workers);
    db_close(writer->db);
    free(writer);
}
