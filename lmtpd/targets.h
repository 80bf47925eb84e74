#ifndef LMTPD_TARGETS_H
#define LMTPD_TARGETS_H

#include <stdint.h>

#include "db/route.h"
#include "lmtpd/reply.h"

/*
 * Whom a message is for: the recipients that the client named, in order, and behind them the
 * mailboxes ("targets"), each once however many recipients lead to it.
 */

struct target {
    uint64_t mailbox;
    uint64_t quota_octets;
    uint64_t quota_messages;
    uint64_t octets_max; /* of one message */
    enum reply reply;    /* what has become of it */
};

/* Its targets are at `links` from `first` on. */
struct recipient {
    unsigned first;
    unsigned count;
};

/* Begins zeroed. */
struct targets {
    struct target *all;
    unsigned count;
    struct recipient *recipients;
    unsigned recipient_count;
    unsigned *links; /* indexes in `all` */
    unsigned link_count;
};

void targets_fini(struct targets *targets);

/* The index of the mailbox's target, or `count`. */
unsigned targets_find(const struct targets *targets, uint64_t mailbox);

/*
 * Adds a recipient and the targets that are new, at the end. Returns 0, or -1 with nothing added:
 * TRANSACTION_RECIPIENTS_MAX or STORE_RECIPIENTS_MAX is reached.
 */
int targets_add(struct targets *targets, const struct db_route *routes, unsigned count);

/* One reply for the recipient, of its targets' replies. */
enum reply targets_reply(const struct targets *targets, unsigned recipient);

#endif
