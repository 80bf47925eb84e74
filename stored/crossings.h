#ifndef STORED_CROSSINGS_H
#define STORED_CROSSINGS_H

#include <stdbool.h>

#include "lib/channel.h"
#include "lib/storemsg.h"

struct connection;

/*
 * Mailboxes that a delivery has filled up to one of STORE_QUOTA_LINES, until admin is told of them.
 * They are in memory only, as warnings are (lmtpd/warner.h), and no delivery waits for them: where
 * there is no more room, the oldest is forgotten, with a line in the log.
 */
#define CROSSINGS_MAX 1024

/* Zeroed at the beginning. */
struct crossings {
    struct store_crossing ring[CROSSINGS_MAX];
    unsigned first;
    unsigned count;
    bool overflowed;            /* told, since it was empty */
    struct connection *waiting; /* to be told, while there are none; NULL: nobody */
    uint32_t waiting_id;
};

void crossings_add(struct crossings *crossings, const struct store_crossing *crossing);

/* The handler of STORE_CROSSINGS: 0, or -1 for what breaks the protocol. */
int crossings_ask(struct connection *connection, const struct channel_message *message);

/* The connection waits no more. */
void crossings_end_all(const struct connection *connection);

#endif
