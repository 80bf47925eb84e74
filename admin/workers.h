#ifndef ADMIN_WORKERS_H
#define ADMIN_WORKERS_H

struct event_base;

/*
 * Threads that do what the event loop must not wait for. All functions are called by the event
 * loop's thread.
 */

/* One piece of work, at its place until `done` is called, from the event loop. */
struct work {
    struct work *next;
    void (*done)(struct work *work);
};

struct workers;

/*
 * Starts the threads. Each takes up to `most` pieces that wait at a time, in their order, and calls
 * `run` with the first; they are linked by `next`. At most `limit` wait. Exits where threads cannot
 * be had.
 */
struct workers *workers_new(struct event_base *base, unsigned threads, unsigned most,
                            unsigned limit, void (*run)(void *context, struct work *first),
                            void *context);

/* Returns 0, or -1 when too many wait: nothing comes of it then. */
int workers_submit(struct workers *workers, struct work *work);

/* How many pieces no thread has taken yet. */
unsigned workers_waiting(struct workers *workers);

/* Ends the threads after what waits has been run, and calls `done` of all of it. */
void workers_free(struct workers *workers);

#endif
