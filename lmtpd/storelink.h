#ifndef LMTPD_STORELINK_H
#define LMTPD_STORELINK_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "lib/channel.h"
#include "lib/storemsg.h"

struct event_base;

/*
 * The one connection to stored that all of lmtpd shares. It is made at once and again whenever
 * stored has gone away (lib/reconnect.h). A stored that keeps a question or a waiter for too long
 * is as good as gone: the connection is then closed, so what waits in front of it stays bounded.
 */
struct store_link;

/* One question to stored or one delivery; a member of the struct that its owner calls by. */
struct store_call {
    uint32_t id;
    /*
     * The answer, or NULL when stored went away before it. The call is over and may be freed; other
     * owners' calls may not be ended from here.
     * Returns 0, or -1 for an answer that stored may not give.
     */
    int (*answer)(struct store_call *call, const struct channel_message *message);
    struct event late;
    UT_hash_handle hh;
};

/* Somebody who holds back until what is on its way to stored has become less. */
struct store_waiter {
    void (*ready)(struct store_waiter *waiter);
    struct event late;
    struct store_waiter *next;
    struct store_waiter *prev; /* NULL: not waiting */
};

/* `patience` is how long stored may take for an answer or to make place; it is copied. */
struct store_link *store_link_new(struct event_base *base, const char *path,
                                  const struct timeval *patience);

/* What has begun is over by then. NULL is allowed. */
void store_link_free(struct store_link *link);

/*
 * Begins a call: gives it its id, under which its owner then sends. Returns 0, or -1 when there is
 * no connection at the moment; there is then no answer either.
 */
int store_link_call(struct store_link *link, struct store_call *call,
                    int (*answer)(struct store_call *call, const struct channel_message *message));

/* Sends for a call that has begun and has no answer yet; two parts as in channel_send(). */
void store_link_send(struct store_link *link, const struct store_call *call, enum store_type type,
                     const void *fixed, size_t fixed_length, const void *rest, size_t rest_length);

/* Sends what stored is to answer: the last message of a call. */
void store_link_ask(struct store_link *link, struct store_call *call, enum store_type type,
                    const void *payload, size_t length);

/* Ends a call without waiting for its answer. Does nothing to one that is over. */
void store_link_forget(struct store_link *link, struct store_call *call);

/* Whether so much is on its way that whoever sends content must wait. */
bool store_link_full(const struct store_link *link);

/* `ready` is called once, from the event loop, when all that has gone, or stored has. */
void store_link_wait(struct store_link *link, struct store_waiter *waiter,
                     void (*ready)(struct store_waiter *waiter));
void store_link_wait_end(struct store_link *link, struct store_waiter *waiter);

#endif
