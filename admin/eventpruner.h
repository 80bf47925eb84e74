#ifndef ADMIN_EVENTPRUNER_H
#define ADMIN_EVENTPRUNER_H

#include <stdint.h>

struct db;
struct event;
struct event_base;

/*
 * Removes events that are too old or too many (db/event.h): soon after the start and then each
 * hour, customer by customer with pauses between.
 */
struct eventpruner {
    struct db *db;
    struct event *tick;
    uint64_t customer; /* the last one that has been seen to; 0 between sweeps */
};

/* `db` is used until eventpruner_stop(). */
void eventpruner_init(struct eventpruner *pruner, struct event_base *base, struct db *db);
void eventpruner_stop(struct eventpruner *pruner);

#endif
