#ifndef POP3D_AHEAD_H
#define POP3D_AHEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/storemsg.h"

struct regions;
struct session;

/*
 * Messages read ahead for a client that fetches one by one in order: with a RETR the next ones are
 * asked for as well, at most as many as it has fetched in order so far, and lie in regions
 * until their RETR comes. So stored and pop3d wake once for several messages. At most LIMIT_AHEAD
 * octets a session and half of the regions are used for it, and one that is old makes room for
 * others. What went wrong ahead is as if it had not been asked for: the RETR asks again.
 */

struct ahead;

/* A session's; begins zeroed. */
struct aheads {
    struct ahead *queue; /* in the order of the messages, which is that of the answers */
    unsigned waiting;    /* answers that stored still owes; nothing else may be asked for then */
    uint32_t next;       /* the message behind the last RETR */
    bool wanted;         /* the last request was for a message that comes whole */
    uint32_t in_order;   /* RETRs in order before the last one */
};

/* A RETR of this message has come. */
void ahead_note(struct session *session, uint32_t message);

/* Where a message lies. */
struct ahead_found {
    struct regions *regions;
    uint32_t place; /* the taker's to give back */
    size_t length;
    struct store_data data;
};

/* Takes the message; those before it are given back. False: it is not there, and nothing is. */
bool ahead_take(struct session *session, uint32_t message, struct ahead_found *found_r);

/* All commands that have come are begun: asks for some of the messages that come next. */
void ahead_ask(struct session *session);

/* stored's answers. 0, or -1 for one that does not fit. */
int ahead_data(struct session *session, const struct store_data *data, const void *piece,
               size_t length);
int ahead_failed(struct session *session);

/* Gives everything back; answers that still come belong to nobody then: the mailbox is closed. */
void ahead_clear(struct session *session);

#endif
