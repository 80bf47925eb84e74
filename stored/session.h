#ifndef STORED_SESSION_H
#define STORED_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "lib/channel.h"
#include "lib/storemsg.h"

struct connection;
struct mailbox;
struct reading;
struct store;

/* Where a message of an open mailbox is. Nothing moves while a session holds the mailbox. */
struct session_message {
    uint64_t uid;
    uint64_t offset;
    uint64_t body_length;
    uint32_t segment;
    uint32_t header_length : 31;
    uint32_t expunged : 1;
};

/* A mailbox opened by a front: the exclusive lock and a snapshot of the messages. */
struct session {
    uint32_t id;
    struct connection *connection; /* NULL: closed, an expunge is still under way */
    struct store *store;
    struct mailbox *mailbox;
    struct session_message *messages;
    uint32_t count;
    uint32_t room;
    unsigned expunging; /* group commits that this session waits for */
    struct reading *reading;
    UT_hash_handle hh;
};

/*
 * Handlers of STORE_OPEN, READ, EXPUNGE, CLOSE: 0, or -1 when the message breaks the protocol. An
 * open waits a moment for the lock; closing what was refused meanwhile is no mistake.
 */
int session_open(struct connection *connection, const struct channel_message *message);
int session_read(struct connection *connection, const struct channel_message *message);
int session_expunge(struct connection *connection, const struct channel_message *message);
int session_close(struct connection *connection, const struct channel_message *message);

/*
 * The connection is gone: nobody waits for a lock any more, and its sessions' locks go with it, at
 * the latest after running expunges.
 */
void session_end_all(struct connection *connection);

/* Answers a request of the session with STORE_FAILED. */
void session_refuse(struct session *session, enum store_result result);

#endif
