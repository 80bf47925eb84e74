#ifndef ADMIN_CROSSINGS_H
#define ADMIN_CROSSINGS_H

#include <stdbool.h>

#include "admin/writer.h"
#include "lib/storemsg.h"

struct channel;
struct event;
struct event_base;

/*
 * Asks stored, which answers when there are any, for mailboxes that have been filled up to a line
 * of their quota, and has that put into the outbox (db/crossing.h) for the webhooks. What stored
 * has told is written before it is asked again, a second later; a crash in between loses it. The
 * connection is one of its own, so that nothing is told to who asks no more.
 */
struct crossings {
    struct event_base *base;
    struct writer *writer;
    struct channel *channel; /* NULL: not connected */
    struct event *tick;
    size_t count; /* that wait to be written */
    struct store_crossing found[STORE_CROSSINGS_MAX];
    struct writing writing;
    bool stopped;
};

/* `writer` is used until crossings_stop(). */
void crossings_init(struct crossings *crossings, struct event_base *base, struct writer *writer);
void crossings_stop(struct crossings *crossings);

#endif
