#ifndef STORED_SCAN_H
#define STORED_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "stored/record.h"
#include "stored/segment.h"

/*
 * Walks through the records of a segment. Where a valid header should be and is not (the end of
 * the log, what a crash tore, or damage), it looks for the next valid record behind it.
 */

enum scan_body {
    SCAN_GOOD,
    SCAN_BAD,       /* its checksum does not fit, or the file ends in it */
    SCAN_UNREADABLE /* the disk does not give it back: that says nothing about what was written */
};

struct scan_events {
    /* A record with a valid header, and how its body is. The header is valid during the call. */
    void (*record)(void *context, const struct record_header *header, enum scan_body body);
    /* Octets between records that are no record, found because a valid one follows. */
    void (*gap)(void *context, uint64_t from, uint64_t to);
};

/*
 * Scans from `offset` to the end of the file. Sets *end_r behind the last valid record (`offset`
 * if there is none), and *dirt_r behind the last octet that is not 0: larger than *end_r when the
 * rest holds something that is no record. `bodies`: whether to check them. Returns 0 or errno. EIO:
 * the disk gives nothing back at all; a place that cannot be read is only octets that are no
 * record.
 */
int scan_segment(const struct segment *segment, uint64_t offset, bool bodies,
                 const struct scan_events *events, void *context, uint64_t *end_r,
                 uint64_t *dirt_r);

#endif
