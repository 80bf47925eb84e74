#ifndef STORED_SEGMENT_H
#define STORED_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/*
 * Segment files: the narrow interface between the store and where it keeps mail (create, write,
 * sync, read, trim, remove, list). This implementation is files in the folder store/; no caller
 * learns a file's name but for messages to the operator.
 *
 * A segment begins with a header of SEGMENT_START octets and goes on with records. Functions
 * return 0 or an errno value, so that a caller can tell a full disk from a broken one. Safe from
 * several threads on different segments, and for reads beside one writer.
 */

#define SEGMENT_START 64

/* Whether an error says that there is no room: on the disk, in its owner's quota, for a file. */
bool segment_is_full(int error);

/* The name of a segment for messages to people: "store/00000001.seg". */
#define SEGMENT_NAME_SIZE 32
void segment_name(uint64_t id, char name_r[SEGMENT_NAME_SIZE]);

struct segment {
    uint64_t id;   /* from 1; never used twice */
    uint64_t seed; /* of the checksums in it; the same random number in all segments of a store */
    uint64_t size; /* preallocated octets */
    int fd;
};

/*
 * Makes a new file with `size` octets preallocated, its header written and the folder synced: what
 * is written and synced into it afterwards survives a power loss. segment->id, seed and size are
 * set by the caller. On failure nothing is left and fd is -1. ENOSPC: the disk is full, or fewer
 * than `spare` octets would stay free on it.
 */
int segment_create(struct segment *segment, uint64_t spare);

/*
 * Opens segment->id for reading and writing (for reading on a disk that is read-only) and fills in
 * the rest. A damaged header is EBADMSG, but only an error in the log where the caller has set
 * segment->seed (otherwise 0); so is one that the disk does not give back. One of another version
 * is EPROTONOSUPPORT. EXDEV: the file is whole, but another segment's, or another store's.
 */
int segment_open(struct segment *segment);

/* What an error of these functions means for a segment, in words. */
const char *segment_problem(int error);

/* The octets of the file; 0: it is not there. */
uint64_t segment_file_size(uint64_t id);

void segment_close(struct segment *segment);

/* Preallocates up to `size` octets, for a body whose length was not known; ENOSPC as above. */
int segment_grow(struct segment *segment, uint64_t size, uint64_t spare);

/* Writes all of the pieces at `offset`; changes the array. */
int segment_write(const struct segment *segment, struct iovec *pieces, int count, uint64_t offset);

/* Makes all that was written durable. After a failure the segment must not be written any more. */
int segment_sync(const struct segment *segment);

/* Reads all `length` octets; ENODATA: the file ends before. */
int segment_read(const struct segment *segment, struct iovec *pieces, int count, uint64_t offset);

/* Gives `length` octets from `offset` on back to the disk; they read as zeros from then on. */
int segment_punch(const struct segment *segment, uint64_t offset, uint64_t length);

/* Octets of the disk that the segment takes up. */
uint64_t segment_allocated(const struct segment *segment);

/* Octets that are free on the disk; UINT64_MAX: not known. */
uint64_t segment_disk_room(void);

/* Gives back the unused space behind `end`. */
int segment_trim(struct segment *segment, uint64_t end);

/* Removes the file, if it is there; its name's absence is durable then. */
int segment_remove(uint64_t id);

/*
 * The ids of all segments in ascending order; the caller frees ids_r. Files that are no segments
 * are left alone.
 */
int segment_list(uint64_t **ids_r, size_t *count_r);

#endif
