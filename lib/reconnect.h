#ifndef LIB_RECONNECT_H
#define LIB_RECONNECT_H

#include <stdbool.h>

struct event_base;

/*
 * Keeps up the connection to another program of Bellhop. The supervisor holds the socket that it
 * listens on, so connect() works even while it is being started again, and what is sent meanwhile
 * waits for it: with a new connection made at once, nobody notices that it was away. But nobody
 * should wait for one that cannot be started: a peer that has not been heard for
 * RECONNECT_PATIENCE_MS since its connection was lost, or since ours was first to be made, is away
 * until it is heard.
 */
struct reconnect;

struct reconnect_events {
    /* Makes the connection; 0, or -1 with errno, and it is called again later. */
    int (*connect)(void *context);
    /* From the event loop: the peer is away. The owner gives up the connection with what waits
     * for it, as for a lost one. */
    void (*away)(void *context);
};

/* In milliseconds: after a failure, and between two losses, so that a peer that hangs up at once
 * does not make us spin. */
#define RECONNECT_PAUSE_MS 100

/* What a start after a crash may take in a large store, and less than mail programs wait. */
#define RECONNECT_PATIENCE_MS 10000

/*
 * Connects for the first time to the Unix socket at `path`. The first failure in a row is logged.
 * Neither `path` nor `events` is copied.
 */
struct reconnect *reconnect_new(struct event_base *base, const char *path,
                                const struct reconnect_events *events, void *context);

/* NULL is allowed. */
void reconnect_free(struct reconnect *reconnect);

/*
 * The connection is lost. Connects anew before it returns, or after a pause when that has been done
 * just now.
 */
void reconnect_again(struct reconnect *reconnect);

/* The peer has said something over the present connection. */
void reconnect_heard(struct reconnect *reconnect);

/* Whether whoever asks for something is to be refused at once. */
bool reconnect_is_away(const struct reconnect *reconnect);

#endif
