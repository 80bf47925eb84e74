#ifndef STORED_READER_H
#define STORED_READER_H

#include "lib/storemsg.h"

struct session;

/*
 * Reading bodies for a session. A message's checksum is checked whole before its first octet
 * leaves: damage is an answer STORE_DAMAGED, a log line and a counter, never wrong octets. Long
 * messages are checked in slices between other work of the event loop. Answers leave in the order
 * of the requests.
 */
struct reading;

struct reading *reading_new(struct session *session);
void reading_free(struct reading *reading); /* NULL is allowed */

/* Queues a request and answers what can be answered at once. -1: the front asks too much. */
int reading_add(struct reading *reading, const struct store_read *request);

#endif
