#ifndef CLI_ARCHIVE_H
#define CLI_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dump.h"

/*
 * A backup's file: a header, the frames of lib/dump.h as chunks, each with its number and a
 * checksum, and an END chunk with a checksum over all of them (docs/DESIGN.md has the format). The
 * checksums are BLAKE2b: they notice damage, wherever it is. Functions that fail leave one sentence
 * in error_r that names the file.
 */

#define ARCHIVE_ID_SIZE 16

struct archive_header {
    uint64_t magic;
    uint32_t version;
    uint32_t zero;
    uint8_t id[ARCHIVE_ID_SIZE];   /* random */
    uint8_t base[ARCHIVE_ID_SIZE]; /* of the backup that this one builds on; zeros: of none */
    uint64_t time;                 /* seconds since 1970 */
};

/* Whether it builds on no other. */
bool archive_is_whole(const struct archive_header *header);

#define ARCHIVE_ERROR_SIZE 512

/* --- writing */

struct archive_writer;

/*
 * Begins a file that has its name only when it is finished. `base`: the backup that it builds on,
 * or NULL. NULL: there is a file with that name, or it cannot be written. Call it where the name
 * holds; the working directory may change afterwards.
 */
struct archive_writer *archive_create(const char *name, const struct archive_header *base,
                                      char *error_r);

/* Adds a frame. Returns 0 or -1. */
int archive_add(struct archive_writer *writer, const struct dump_frame *frame, const void *payload,
                char *error_r);

/* The END frame; makes the file durable and gives it its name. Returns 0 or -1. Frees. */
int archive_finish(struct archive_writer *writer, const struct dump_end *end, char *error_r);

/* Nothing is left of it. NULL is allowed. */
void archive_cancel(struct archive_writer *writer);

/* --- reading */

struct archive {
    char *name;
    int fd;
    uint64_t size; /* octets of the file */
    struct archive_header header;
    struct archive_reading *reading;
};

/* Opens the file and checks its header. Returns 0 or -1. */
int archive_open(struct archive *archive_r, const char *name, char *error_r);

/*
 * The next frame, with its checksum checked; payload_r has room for DUMP_FRAME_MAX octets. With
 * `skip`, the payload of frames of that type is passed over unread (0: of none). Returns 1; 0 after
 * END, when the file has been found whole; or -1.
 */
int archive_next(struct archive *archive, enum dump_type skip, struct dump_frame *frame_r,
                 void *payload_r, char *error_r);

/* Begins at the first frame again. */
void archive_rewind(struct archive *archive);

/* How many octets of the file have been read or passed over. */
uint64_t archive_position(const struct archive *archive);

/* One that was never opened may be zeroed. */
void archive_close(struct archive *archive);

#endif
