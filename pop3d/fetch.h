#ifndef POP3D_FETCH_H
#define POP3D_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/storemsg.h"

struct session;

/*
 * RETR and TOP: messages on their way from stored to the client. Several may be asked for at once,
 * so that a client that pipelines does not wait for stored once a message; they are answered in
 * the order of their commands, as stored answers one session in order.
 *
 * What is asked for and what waits to be sent stays below LIMIT_OUTPUT and one piece.
 */

struct fetch;

/* Begins zeroed. */
struct fetches {
    struct fetch *queue; /* the first one is being answered */
    unsigned count;
    uint32_t expected; /* octets that stored has been asked for and has not sent */
};

/* Forgets all of them. Answers that still come belong to nobody then: the mailbox is closed. */
void fetches_clear(struct fetches *fetches);

/* Whether one more may be asked for now. */
bool fetch_may_begin(const struct session *session);

/* The most octets that a message's stored form can have; 0: it may not come in one piece. */
uint32_t fetch_room(const struct session *session, uint32_t message);

/* Answers RETR with a message that was read ahead. False: it was not. */
bool fetch_from_ahead(struct session *session, uint32_t message);

/* Asks for a message; the session waits (SESSION_FETCHING). `lines` counts for TOP. */
void fetch_begin(struct session *session, uint32_t message, bool top, uint64_t lines);

/* Asks for the next piece when the output has room. */
void fetch_continue(struct session *session);

/* A piece has come. Returns 0, or -1 when it does not fit to what was asked for. */
int fetch_data(struct session *session, const struct store_data *data, const void *piece,
               size_t length);

/* stored cannot read the message. Returns 0, or -1 when nothing was asked for. */
int fetch_failed(struct session *session, enum store_result result);

/* The connection to stored is gone in the middle of at least one fetch. */
void fetch_lost(struct session *session);

#endif
