#ifndef CLI_LOCK_H
#define CLI_LOCK_H

#include <stddef.h>

/*
 * The lock that lets one `bellhop serve` run in an instance. Every program that it starts holds the
 * same lock through an inherited descriptor, so it is free only when the last one of them is gone,
 * also after a kill -9 of the supervisor.
 */

/*
 * Takes the lock and writes this process's id into the file. When only programs of a killed
 * supervisor are left, it waits some seconds for them to end. Returns the descriptor, or -1 with
 * one sentence in error_r.
 */
int lock_take(const char *path, char *error_r, size_t error_size);

#endif
