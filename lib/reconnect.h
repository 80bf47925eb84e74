#ifndef LIB_RECONNECT_H
#define LIB_RECONNECT_H

struct event_base;

/*
 * Keeps up the connection to another program of Bellhop. The supervisor holds the socket that it
 * listens on, so connect() works even while it is being started again, and what is sent meanwhile
 * waits for it: with a new connection made at once, nobody notices that it was away.
 */
struct reconnect;

/* In milliseconds: after a failure, and between two losses, so that a peer that hangs up at once
 * does not make us spin. */
#define RECONNECT_PAUSE_MS 100

/*
 * Connects for the first time. `connect` makes the connection to the Unix socket at `path` and
 * returns 0, or -1 with errno; it is then called again later, from the event loop. The first
 * failure in a row is logged. `path` is not copied.
 */
struct reconnect *reconnect_new(struct event_base *base, const char *path,
                                int (*connect)(void *context), void *context);

/* NULL is allowed. */
void reconnect_free(struct reconnect *reconnect);

/*
 * The connection is lost. Connects anew before it returns, or after a pause when that has been done
 * just now.
 */
void reconnect_again(struct reconnect *reconnect);

#endif
