#ifndef STORED_HOLD_H
#define STORED_HOLD_H

#include <stdbool.h>

struct channel;
struct event_base;

/*
 * Lets a process read the store's files beside the service: while it is held, nothing in store/ is
 * moved, punched or removed. Where no service runs, the store's lock keeps one from starting.
 */
struct hold {
    struct event_base *base;
    struct channel *channel; /* NULL: the store's lock is held instead */
    int lock;
    bool held, lost;
};

/*
 * Waits until the store is held; a service that is just starting first brings its index up to date.
 * Exits with a clear line when that cannot be.
 */
void hold_take(struct hold *hold);

/*
 * Exits with a clear line when the store is not held any more, because the service has ended: what
 * has been read may be wrong then.
 */
void hold_check(struct hold *hold);

/*
 * Without a service, the index may be behind the log since a crash: brings it up to date. For who
 * reads mail by the index; not for who judges the store as it is.
 */
void hold_catch_up(struct hold *hold);

/*
 * Has the service put all that it has answered for into the index, where other processes see it;
 * hold_take() has done so, too.
 */
void hold_renew(struct hold *hold);
void hold_end(struct hold *hold);

#endif
