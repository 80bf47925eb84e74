#ifndef ADMIN_PURGER_H
#define ADMIN_PURGER_H

struct db;
struct event;
struct event_base;

/*
 * Purges what was removed and can be restored no more (db/removal.h): soon after the start and then
 * each ten minutes, one by one with pauses between. The dropper sees to its mail.
 */
struct purger {
    struct db *db;
    struct event *tick;
};

/* `db` is used until purger_stop(). */
void purger_init(struct purger *purger, struct event_base *base, struct db *db);
void purger_stop(struct purger *purger);

#endif
