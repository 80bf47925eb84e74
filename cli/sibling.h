#ifndef CLI_SIBLING_H
#define CLI_SIBLING_H

#include <limits.h>

/*
 * Finds another program of Bellhop ("stored"): next to the running binary, or else in the folder
 * given at compile time as BELLHOP_LIBEXECDIR. Returns 0 with its path, or -1 (errno) when neither
 * place has a program of that name.
 */
int sibling_path(const char *name, char path_r[PATH_MAX]);

#endif
