#ifndef CLI_SIBLING_H
#define CLI_SIBLING_H

#include <limits.h>
#include <sys/types.h>

/*
 * Finds another program of Bellhop ("stored") from where the running binary is: in
 * ../libexec/bellhop, as installed, or else next to it, as built. Returns 0 with its path, or -1
 * (errno) when it is in neither place.
 */
int sibling_path(const char *name, char path_r[PATH_MAX]);

/* A program at work for this command, with its standard input and output. */
struct sibling {
    pid_t pid;
    int to, from;
};

/* Starts it in the working directory; arguments[0] is its name. Returns 0 or -1 (errno). */
int sibling_start(struct sibling *sibling_r, char *const arguments[]);

/* No more input comes. */
void sibling_close_input(struct sibling *sibling);

/*
 * Closes both and waits until it has ended, as it does when nobody reads or writes any more.
 * Returns 0 when it ended well, else -1: it has said why on standard error.
 */
int sibling_end(struct sibling *sibling);

#endif
