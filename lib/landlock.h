#ifndef LIB_LANDLOCK_H
#define LIB_LANDLOCK_H

#include <stdbool.h>

/*
 * Landlock: the files that a process may still open. Beyond that it gives up, as far as the kernel
 * knows how (versions 4 and 6 of the interface), to bind or connect TCP sockets, to reach abstract
 * Unix sockets of others, and to signal others. It says nothing about stat(), nor about connect()
 * to a Unix socket that has a path.
 */

enum landlock_right {
    LANDLOCK_READ = 1,  /* a file, or a folder with what is in it */
    LANDLOCK_WRITE = 2, /* a file that is there */
    LANDLOCK_OWN = 4,   /* a folder: to make, read, write and remove files in it */
};

struct landlock_path {
    const char *path;
    unsigned rights; /* of enum landlock_right */
};

/*
 * For this thread and those that it starts from now on. `network`: it may connect TCP sockets. Both
 * lists end with a path that is NULL, and every other one must be there: a file's rule is the
 * file's, not its name's. Returns whether the kernel has Landlock; ends the program where it has
 * and refuses. Needs no_new_privs.
 */
bool landlock_enter(const struct landlock_path *paths, const struct landlock_path *more,
                    bool network);

#endif
