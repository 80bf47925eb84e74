#ifndef STORED_CONTROL_H
#define STORED_CONTROL_H

#include "lib/channel.h"

struct connection;

/* Handlers of STORE_HELLO, PING, USAGE, HOLD and DROP: 0, or -1 for what breaks the protocol. */
int control_hello(struct connection *connection, const struct channel_message *message);
int control_ping(struct connection *connection, const struct channel_message *message);
int control_usage(struct connection *connection, const struct channel_message *message);
int control_hold(struct connection *connection, const struct channel_message *message);
int control_drop(struct connection *connection, const struct channel_message *message);

/* The connection is gone: nobody waits for the answers to its drops, and its hold ends. */
void control_end_all(struct connection *connection);

#endif
