#ifndef CLI_FILE_H
#define CLI_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/*
 * Files that are there whole or not at all: file_begin() opens "NAME.new" for writing, file_end()
 * makes it durable and gives it its name.
 */

/* Returns NULL (errno) when the file cannot be made. */
FILE *file_begin(const char *name, mode_t mode);

/* Closes the file in any case. Returns 0, or -1 (errno); "NAME.new" is then removed. */
int file_end(FILE *file, const char *name);

/* Closes the file and removes "NAME.new": nothing happened. */
void file_cancel(FILE *file, const char *name);

/* Whether there is a file or folder with this name (also one that cannot be read). */
bool file_exists(const char *name);

/* Removes a file, durably. Returns 0 or -1 (errno). */
int file_remove(const char *name);

/*
 * Makes a folder and what leads to it durable. Returns 1 when it was made, 0 when it was there
 * already, -1 (errno) otherwise.
 */
int file_make_folder(const char *name, mode_t mode);

/*
 * Reads an open file to its end into new memory, without buffers elsewhere that could keep a
 * secret. Returns the octets read, or -1 (errno; EFBIG above `most`). The caller frees *text_r,
 * in which one more octet follows the text.
 */
ssize_t file_read(int fd, size_t most, char **text_r);

#endif
