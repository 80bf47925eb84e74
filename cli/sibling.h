#ifndef CLI_SIBLING_H
#define CLI_SIBLING_H

#include <limits.h>

/*
 * Finds another program of Bellhop ("stored") from where the running binary is: in
 * ../libexec/bellhop, as installed, or else next to it, as built. Returns 0 with its path, or -1
 * (errno) when it is in neither place.
 */
int sibling_path(const char *name, char path_r[PATH_MAX]);

#endif
