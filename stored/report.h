#ifndef STORED_REPORT_H
#define STORED_REPORT_H

#include <stdbool.h>

/*
 * What `bellhop store verify` and `store stats` print. They read beside a serving process: the
 * index through a read-only connection, the segments as files.
 */

/*
 * Checks every message that the index lists against its record on disk, header and body, every
 * segment for octets that are no record, and every mailbox's usage. The store is held meanwhile.
 * Returns the exit status: 0 all is well, 1 something is damaged, and each damage has been printed.
 */
int report_verify(bool json);

/* Prints totals, and live and dead octets of each segment. Returns the exit status. */
int report_stats(bool json);

#endif
