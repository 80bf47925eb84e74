#ifndef STORED_EXPIRE_H
#define STORED_EXPIRE_H

#include "lib/channel.h"

struct connection;

/*
 * Retention: expunges messages that are too old (STORE_EXPIRE). One request looks at a bounded
 * number of messages and expunges the old ones among them with one record, so that it holds up
 * nobody else's mail, and a client that logs in meanwhile waits for milliseconds.
 */

/* Returns 0, or -1 when the message breaks the protocol. */
int expire_some(struct connection *connection, const struct channel_message *message);

/* The connection is gone: what has begun is completed without an answer. */
void expire_end_all(struct connection *connection);

#endif
