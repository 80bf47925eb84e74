#ifndef POP3D_STORECLIENT_H
#define POP3D_STORECLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "lib/storemsg.h"

struct event_base;
struct regions;

/*
 * The connection to stored that all sessions of this process share (run/stored-front.sock). When
 * it is lost, every open mailbox is lost with its lock; a new one is made at once
 * (lib/reconnect.h).
 */
struct storeclient;

/*
 * Answers for one session. One that returns int gives -1 for an answer that may not come now; that
 * is stored's bug and costs the connection. None of them is called from within a storeclient_*
 * function. Each may free the session after storeclient_close().
 */
struct store_events {
    /* The mailbox is there, and entries() that come to this follow. Not told of a small mailbox. */
    int (*opening)(void *context, const struct store_totals *totals);
    /* `count` struct store_entry, aligned to 4 octets only. */
    int (*entries)(void *context, const void *entries, size_t count);
    /* `count` struct store_growth, as above. */
    int (*growths)(void *context, const void *growths, size_t count);
    /* The payload of a STORE_UNIQUE_IDS. */
    int (*unique_ids)(void *context, const void *payload, size_t length);
    int (*opened)(void *context, const struct store_totals *totals);
    /* piece NULL: it is where the read has named a place. */
    int (*data)(void *context, const struct store_data *data, const void *piece, size_t length);
    int (*expunged)(void *context);
    int (*failed)(void *context, const struct store_failed *failed);
    /* stored has ended the session, which is closed already: its owner has no login any more. */
    void (*ended)(void *context);
    /* The connection is gone, and the mailbox with it. */
    void (*lost)(void *context);
};

/* One session's part of the connection; lives in the session, begins zeroed. */
struct store_session {
    struct storeclient *client;
    uint32_t id; /* 0: no mailbox is open or being opened */
    bool opened;
    const struct store_events *events;
    void *context;
    UT_hash_handle hh;
};

/* `path` is not copied. */
struct storeclient *storeclient_new(struct event_base *base, const char *path);

/* All sessions have been closed before. NULL is allowed. */
void storeclient_free(struct storeclient *client);

/*
 * Opens the mailbox of the capability: opening() perhaps, entries(), growths() and unique_ids(),
 * then opened(); or, at any time before that, failed(), and the session is closed again. Returns 0,
 * or -1 when there is no connection now.
 */
int storeclient_open(struct storeclient *client, struct store_session *session,
                     const struct store_events *events, void *context,
                     const struct store_open *open);

/* Whether requests can be made. False before opening, after closing and after a loss. */
bool storeclient_is_open(const struct store_session *session);

/*
 * The memory that the connection has, to take a place from for a read; NULL: none now. After a loss
 * it is another one.
 */
struct regions *storeclient_regions(const struct store_session *session);

/* -> data() or failed(). Answers come in the order of the requests. */
void storeclient_read(struct store_session *session, const struct store_read *request);

/* -> expunged() or failed(). 1 to STORE_EXPUNGE_MAX message indexes. */
void storeclient_expunge(struct store_session *session, const uint32_t *messages, size_t count);

/*
 * Releases the mailbox's lock, also where it is still being opened. Nothing is called for this
 * session any more. Safe at any time.
 */
void storeclient_close(struct store_session *session);

#endif
