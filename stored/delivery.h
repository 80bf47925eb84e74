#ifndef STORED_DELIVERY_H
#define STORED_DELIVERY_H

#include "lib/channel.h"

struct connection;

/*
 * Deliveries (STORE_DELIVER_* and STORE_IMPORT). A body of usual size is gathered in memory and
 * goes into the shared log; a large one, or any when much is being gathered, is written as it comes
 * into a segment of its own, so that its size costs no memory. Handlers return 0, or -1 when the
 * message breaks the protocol.
 */
int delivery_begin(struct connection *connection, const struct channel_message *message);
int delivery_import(struct connection *connection, const struct channel_message *message);
int delivery_data(struct connection *connection, const struct channel_message *message);
int delivery_commit(struct connection *connection, const struct channel_message *message);
int delivery_abort(struct connection *connection, const struct channel_message *message);

/* The connection is gone: what is not being committed yet is forgotten. */
void delivery_end_all(struct connection *connection);

#endif
