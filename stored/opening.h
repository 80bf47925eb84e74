#ifndef STORED_OPENING_H
#define STORED_OPENING_H

#include "lib/storemsg.h"

struct session;
struct store;

/*
 * Opening mailboxes: the front is told the messages, the session takes down their uids. A large
 * mailbox is opened in slices, one in a turn of the event loop, and none while the front has much
 * to read: other sessions are served meanwhile, and the front is told beforehand what it will come
 * to. What is delivered after the beginning is not part of the session.
 */
struct openings;
struct opening;

struct openings *openings_new(struct store *store);
void openings_free(struct openings *openings); /* NULL is allowed; no session is left */

/*
 * Tells the front STORE_OPENING where it takes more than this turn, the messages and STORE_OPENED;
 * until then session->opening is set. STORE_BROKEN: the index cannot be read, nothing more is told.
 * When that is found later, the session ends with STORE_FAILED.
 */
enum store_result opening_begin(struct session *session);

/* The session ends in the middle of it. NULL is allowed. */
void opening_stop(struct opening *opening);

/* A front has read what waited for it. */
void openings_go_on(struct openings *openings);

#endif
