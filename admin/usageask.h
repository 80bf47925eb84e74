#ifndef ADMIN_USAGEASK_H
#define ADMIN_USAGEASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/plan.h"
#include "lib/storemsg.h"

struct request;
struct usageask;

/* How full the mailboxes of one customer are, asked of stored for a request's answer. */

struct usageask_mailbox {
    struct usageask *ask;
    uint64_t mailbox;
    struct store_usage_is usage;
};

/* A part of what keeps the request, zeroed. */
struct usageask {
    struct request *request;
    /*
     * Sets the answer and frees what `ask` is a part of, in the event loop: when all is known, or
     * the request has a problem because stored does not answer.
     */
    void (*done)(struct usageask *ask);
    bool failed;
    size_t waiting;
    size_t count;
    struct usageask_mailbox asked[DB_PLAN_ADDRESSES_MAX]; /* no customer has more */
};

void usageask_add(struct usageask *ask, uint64_t mailbox);

/* For a handler, as the last that it does. Without a mailbox `done` is called at once. */
void usageask_run(struct usageask *ask, struct request *request,
                  void (*done)(struct usageask *ask));

#endif
