#ifndef CLI_SHARE_H
#define CLI_SHARE_H

#include <stddef.h>

/*
 * Memory that the supervisor shares with programs through descriptors (memfd). All calls return -1
 * (errno) on failure.
 */

/* Makes a descriptor with this content, for the supervisor alone. `name` shows in /proc. */
int share_new(const char *name, const void *content, size_t length);

/* Replaces the content; programs that read it meanwhile are told by SIGHUP to read it again. */
int share_write(int fd, const void *content, size_t length);

/* A second descriptor of the same memory that cannot write, to be handed to programs. */
int share_reader(int fd);

/* From now on nobody can change the content or the size, nor undo this. */
int share_seal(int fd);

/* Makes zeroed memory that everybody may write and nobody can resize. */
int share_area(const char *name, size_t size);

#endif
