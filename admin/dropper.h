#ifndef ADMIN_DROPPER_H
#define ADMIN_DROPPER_H

#include <stdbool.h>
#include <stdint.h>

#include "admin/writer.h"

struct event;
struct event_base;
struct store;

/*
 * Has stored drop the mail of mailboxes that were removed from the account database (db/drop.h): at
 * the start, and then each second whatever waits. A mailbox that is in use waits for the end of its
 * session, which comes soon (admin/logouts.h).
 */
struct dropper {
    struct db *db;
    struct writer *writer;
    struct writing done; /* that it is dropped */
    struct store *store;
    struct event *tick;
    uint64_t mailbox; /* being dropped */
    bool told;        /* that it fails, since the last one that did not */
    bool stopped;
};

/* Begins at once. All are used until dropper_stop(). */
void dropper_init(struct dropper *dropper, struct event_base *base, struct db *db,
                  struct writer *writer, struct store *store);

/* An answer that comes later is ignored; what it was about is dropped again at the next start. */
void dropper_stop(struct dropper *dropper);

#endif
