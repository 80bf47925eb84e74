#ifndef ADMIN_CROSSINGS_H
#define ADMIN_CROSSINGS_H

#include <stdbool.h>

#include "admin/store.h"
#include "admin/writer.h"

struct event;
struct event_base;

/*
 * Asks stored once a second which mailboxes have been filled up to a line of their quota, and has
 * that put into the outbox (db/crossing.h) for the webhooks. What stored has told is written before
 * it is asked again; a crash in between loses it.
 */
struct crossings {
    struct writer *writer;
    struct store *store;
    struct event *tick;
    struct store_crossings found;
    struct writing writing;
    bool stopped;
};

/* `writer` and `store` are used until crossings_stop(). */
void crossings_init(struct crossings *crossings, struct event_base *base, struct writer *writer,
                    struct store *store);
void crossings_stop(struct crossings *crossings);

#endif
