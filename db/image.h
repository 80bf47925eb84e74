#ifndef DB_IMAGE_H
#define DB_IMAGE_H

#include <stddef.h>

/*
 * The whole account database as one piece of memory: taken while others write, and put in place of
 * an empty one. All calls that fail leave one sentence in error_r.
 */

struct db_image {
    unsigned char *octets; /* freed with db_image_free() */
    size_t length;
};

void db_image_free(struct db_image *image);

struct db_snapshot;

/* From the return on, the snapshot is the database of this moment, whoever writes. NULL: failed. */
struct db_snapshot *db_snapshot_open(const char *path, char *error_r, size_t error_size);

/* Returns 0 or -1. */
int db_snapshot_read(struct db_snapshot *snapshot, struct db_image *image_r, char *error_r,
                     size_t error_size);

/* NULL is allowed. */
void db_snapshot_close(struct db_snapshot *snapshot);

/* Whether it is a whole account database that this program can take over. Returns 0 or -1. */
int db_image_check(struct db_image *image, char *error_r, size_t error_size);

/*
 * Puts the image in place of everything that the database at `path` holds, durably and at once or
 * not at all, and brings it to the version that this program knows. Returns 0 or -1.
 */
int db_image_restore(struct db_image *image, const char *path, char *error_r, size_t error_size);

#endif
