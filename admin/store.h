#ifndef ADMIN_STORE_H
#define ADMIN_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/storemsg.h"

struct event_base;

/* Requests to stored over its control socket (lib/storemsg.h). Connects when there is a request. */
struct store;

/*
 * Is called once for each request, from the event loop and never from within the call that made it:
 * STORE_OK, what stored refused it with, or STORE_BUSY when no answer came in time or the
 * connection was lost.
 */
struct store_caller {
    void (*done)(void *context, enum store_result result);
    void *context;
};

struct store *store_new(struct event_base *base);

/* Calls `done` with STORE_BUSY for everything that still waits. */
void store_free(struct store *store);

/* Asks whether the store can read and write. */
void store_ping(struct store *store, struct store_caller caller);

/* Drops all mail of a mailbox that no longer exists. */
void store_drop(struct store *store, uint64_t mailbox, struct store_caller caller);

/* Ends sessions: 1 to STORE_MAILBOXES_MAX logouts. */
void store_log_out(struct store *store, const struct store_logout *logouts, size_t count,
                   struct store_caller caller);

/* The sessions of up to STORE_MAILBOXES_MAX mailboxes, in the order of the mailboxes. */
struct store_sessions {
    size_t count;
    struct store_session_is found[STORE_MAILBOXES_MAX];
};

/* Fills in sessions_r when `done` gets STORE_OK. */
void store_find_sessions(struct store *store, const uint64_t *mailboxes, size_t count,
                         struct store_sessions *sessions_r, struct store_caller caller);

/* Tells how full a mailbox is. usage_r is filled in when `done` gets STORE_OK. */
void store_usage(struct store *store, uint64_t mailbox, struct store_usage_is *usage_r,
                 struct store_caller caller);

/* Expunges some messages that are too old. expired_r is filled in when `done` gets STORE_OK. */
void store_expire(struct store *store, const struct store_expire *expire,
                  struct store_expired *expired_r, struct store_caller caller);

#endif
