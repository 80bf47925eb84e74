#ifndef STORED_RECOVERY_H
#define STORED_RECOVERY_H

#include <stdbool.h>

#include "stored/store.h"

#define INDEX_PATH "store/index.db"

/*
 * Brings the index up to date with the log before the store serves: applies the records that are
 * behind each segment's applied position, first all messages, then all expunges and drops, so
 * that the order of segments does not matter. A damaged or missing index is rebuilt whole.
 *
 * Sets index, seed, next_segment and last_commit of the store. Exits when the log cannot be read.
 */
void recovery_run(struct store *store);

/* Builds the index anew from the log alone and puts it in place of the old one; `store rebuild`. */
void recovery_rebuild(struct store *store);

/*
 * Takes the lock that one process holds on the store: which serves it, makes it anew, or keeps it
 * as it is. Exits with a clear line if it is held. The lock goes with the process, or when the
 * returned descriptor is closed.
 */
int recovery_lock(void);

#endif
