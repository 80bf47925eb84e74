#ifndef STORED_SESSIONS_H
#define STORED_SESSIONS_H

#include "lib/channel.h"

struct connection;

/* Handlers of STORE_SESSIONS and STORE_LOGOUT: 0, or -1 for what breaks the protocol. */
int sessions_list(struct connection *connection, const struct channel_message *message);
int sessions_log_out(struct connection *connection, const struct channel_message *message);

#endif
