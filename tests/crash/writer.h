#ifndef TESTS_CRASH_WRITER_H
#define TESTS_CRASH_WRITER_H

#include <stdbool.h>

/*
 * The thread that writes mail (stored/commit.h) runs only when the event loop's thread lets it, for
 * a number of calls, and the event loop's thread waits meanwhile. So a run with the same seed does
 * the same calls in the same order, and every interleaving of the two can come up.
 */

/* From the event loop's thread, before the store is started. */
void writer_init(void);

/* Lets it do up to `calls` calls, fewer when its work is done. */
void writer_let(unsigned calls);

/* Whether it has a group to write. */
bool writer_is_busy(void);

/* Before each call that counts; from either thread. Waits where it is not the thread's turn. */
void writer_enter(void);

/* Whether this is the thread that writes. */
bool writer_is_self(void);

/* From the thread that writes: its work is done. */
void writer_done(void);

#endif
