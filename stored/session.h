#ifndef STORED_SESSION_H
#define STORED_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "lib/channel.h"
#include "lib/storemsg.h"

struct connection;
struct index;
struct mailbox;
struct opening;
struct places;
struct reading;
struct store;

/*
 * A mailbox opened by a front: the exclusive lock and a snapshot of the messages, 8 octets each.
 * Where they are is asked from the index when they are read (places.h).
 */
struct session {
    uint32_t id;
    struct connection *connection; /* NULL: closed, an expunge is still under way */
    struct store *store;
    struct mailbox *mailbox; /* NULL: logged out, and the front has not closed it yet */
    uint64_t *uids;          /* ascending; with SESSION_EXPUNGED */
    uint32_t count;
    unsigned expunging; /* group commits that this session waits for */
    bool large;         /* one of those that are read without the index's own cache */
    bool logged_out;    /* nothing more is done for it; it ends behind running expunges */
    uint16_t tls;       /* this and `remote` as the front has told (struct store_open) */
    uint8_t remote[16];
    uint64_t name;           /* the session's, of its capability */
    uint64_t logout;         /* as well */
    uint64_t octets;         /* that have been read for it */
    struct opening *opening; /* not all messages have been told to the front yet */
    struct places *places;
    struct reading *reading;
    UT_hash_handle hh;
};

/* Added to the uid of a message that is expunged; SQLite's numbers do not reach it. */
#define SESSION_EXPUNGED (UINT64_C(1) << 63)

/* The uid of a message by its index, which counts from 0. */
uint64_t session_uid(const struct session *session, uint32_t message);

/* The index to ask about the session's mailbox. */
struct index *session_index(const struct session *session);

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

/* Takes the session from its connection; its lock goes as above. */
void session_end(struct session *session);

/*
 * Ends the mailbox's session and the opens that wait for it, as STORE_LOGOUT says. Tells whether
 * there was a session to end.
 */
bool session_log_out(struct mailbox *mailbox, uint64_t number);

/* Answers a request of the session with STORE_FAILED: neither STORE_IN_USE nor STORE_TOO_SOON. */
void session_refuse(struct session *session, enum store_result result);

#endif
