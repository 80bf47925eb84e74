#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <stdbool.h>

/* What bare programs share: they do one thing, on loopback, and end where anything goes wrong. */

/* Ends the program with errno's text unless `good`. */
void bare_check(bool good, const char *what);

/* A listening socket on a port that the kernel chooses; the port is printed. */
int bare_listen(void);

/* The next connection; what is sent on it leaves at once. */
int bare_accept(int listener);

#endif
