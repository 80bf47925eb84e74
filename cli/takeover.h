#ifndef CLI_TAKEOVER_H
#define CLI_TAKEOVER_H

#include <stdbool.h>

#include "cli/fleet.h"

/*
 * How new processes take over from those that serve, from the binaries that are on disk now: all
 * fronts, and authd where its binary is another one. They are prepared while the old ones serve.
 * When all are ready the old ones accept nothing more and the new ones begin to; the listening
 * sockets are the same, so who connects meanwhile waits. An old process ends with its last client.
 * Until then nothing has changed: when one cannot serve, all new ones are ended and the old ones go
 * on.
 */

struct takeover_events {
    void (*progress)(void *context, const char *sentence);
    /* The end: NULL when it has been done, or why not. */
    void (*ended)(void *context, const char *refusal);
};

enum takeover_state {
    TAKEOVER_NONE,
    TAKEOVER_PREPARING, /* until all that come are ready */
    TAKEOVER_HANDING /* until the old authd accepts nothing more: a new front needs the new one */
};

struct takeover {
    struct fleet *fleet;
    const struct takeover_events *events;
    void *context;
    enum takeover_state state;
    int binaries[PROGRAMS]; /* of what comes; -1: what serves stays */
    struct event *late;
};

/* `fleet` and `events` are not copied. */
void takeover_init(struct takeover *takeover, struct event_base *base, struct fleet *fleet,
                   const struct takeover_events *events, void *context);

void takeover_fini(struct takeover *takeover);

/* Not while one is under way. May call ended() before it returns. */
void takeover_begin(struct takeover *takeover, const struct conf *conf);

/* What one of the processes has told (cli/process.h). */
void takeover_told(struct takeover *takeover, enum child_word word);

/*
 * One has ended, whose place is not free yet. One that comes keeps it while things are handed over:
 * there is no way back then, so it is started again.
 */
void takeover_lost(struct takeover *takeover, const struct process *process);

/* Gives up what is not done yet, for this reason. */
void takeover_cancel(struct takeover *takeover, const char *why);

#endif
