#ifndef STORED_LOAD_H
#define STORED_LOAD_H

#include <stdint.h>

/*
 * `stored load SEGMENT-SIZE`: makes the store anew from the stream on standard input (lib/dump.h),
 * durably, and says END on standard output. What is in store/ is removed first: bellhop restore has
 * made sure that it is nothing, or what an interrupted restore left, and has set LOAD_MARK.
 * Returns the exit status. Exits with a clear line when the store could not be made.
 */
int load_run(uint64_t segment_size);

/* While this file is there, a restore is under way, or was interrupted. cli/instance.h has it too.
 */
#define LOAD_MARK "store/restore.unfinished"

#endif
