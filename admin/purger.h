#ifndef ADMIN_PURGER_H
#define ADMIN_PURGER_H

#include <stdbool.h>

#include "admin/writer.h"
#include "db/removal.h"

struct event;
struct event_base;

/*
 * Purges what was removed and can be restored no more (db/removal.h), and goes on where an operator
 * or a crash has left more to purge: soon after the start and then each minute, one by one, some
 * addresses at a time with pauses between. The dropper sees to their mail.
 */
struct purger {
    struct db *db;
    struct writer *writer;
    struct event *tick;
    struct db_removal removal; /* that is being purged */
    struct writing writing;
    bool last; /* of its parts */
    bool stopped;
};

/* `db`, to read, and `writer` are used until purger_stop(). */
void purger_init(struct purger *purger, struct event_base *base, struct db *db,
                 struct writer *writer);
void purger_stop(struct purger *purger);

#endif
