#ifndef POP3D_LISTING_H
#define POP3D_LISTING_H

#include <stdint.h>

struct session;

/* The multi-line answers of LIST and UIDL, made as fast as the client reads them. */

enum listing_kind { LISTING_SIZES, LISTING_UNIQUE_IDS };

struct listing {
    enum listing_kind kind;
    uint32_t next; /* message index */
};

/* Begins after the "+OK" line; the session waits (SESSION_LISTING) until it is complete. */
void listing_begin(struct session *session, enum listing_kind kind);

/* Adds lines while the output has room, and the final "." */
void listing_continue(struct session *session);

/* "+OK n SIZE" or "+OK n UNIQUE-ID" for one message. */
void listing_one(struct session *session, enum listing_kind kind, uint32_t index);

#endif
