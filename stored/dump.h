#ifndef STORED_DUMP_H
#define STORED_DUMP_H

/*
 * `stored dump`: writes the store as it is at one moment to standard output, in the frames of
 * lib/dump.h, beside the service or with none. Every message is checked while it is read; one that
 * is damaged is named on standard error and left out. Returns the exit status: 0 also when there
 * were damaged ones, which the END frame counts. Exits with a clear line when the dump cannot be
 * whole.
 */
int dump_run(void);

#endif
