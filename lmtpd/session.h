#ifndef LMTPD_SESSION_H
#define LMTPD_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lmtpd/content.h"
#include "lmtpd/limits.h"
#include "lmtpd/parse.h"
#include "lmtpd/recipient.h"
#include "lmtpd/server.h"
#include "lmtpd/storelink.h"
#include "lmtpd/transaction.h"

struct evbuffer;

/* Bits, so that a command's row can name several. */
enum session_state {
    SESSION_START = 1,   /* LHLO has not come */
    SESSION_READY = 2,   /* no message is begun */
    SESSION_MAIL = 4,    /* a sender, no recipient yet */
    SESSION_RCPT = 8,    /* a sender and at least one recipient */
    SESSION_CONTENT = 16 /* the message itself is coming: no commands */
};

#define SESSION_ANY (SESSION_START | SESSION_READY | SESSION_MAIL | SESSION_RCPT)

/*
 * The protocol of one connection (RFC 2033): octets in, replies out; it knows no socket. Only
 * session.c and command.c look inside.
 */
struct session {
    const struct server *server;
    struct evbuffer *output;  /* where replies go: `replies`, or `held` while a message ends */
    struct evbuffer *replies; /* its owner's */
    struct evbuffer *held;    /* what stands behind the replies to `ending` */
    void (*resume)(void *context);
    void *context;
    enum session_state state;
    bool busy;     /* within session_input() */
    bool waiting;  /* for stored, before anything else is taken */
    bool left;     /* `output` has the last reply */
    bool skipping; /* the rest of a line that is too long */
    unsigned bad_commands;
    unsigned refusals; /* at RCPT, logged since the last message */
    char id[17];       /* names the connection in logs */
    unsigned message;  /* counts them: id and this name a message */
    char peer[64];
    char client[LHLO_MAX_OCTETS + 1];
    struct transaction *transaction; /* NULL: no message is begun */
    struct transaction *ending;      /* the one before, which is being committed; or NULL */
    unsigned ending_message;
    struct recipient_check *check; /* of the RCPT that waits for its reply */
    struct store_waiter waiter;
    enum content_state content;
};

/*
 * Begins with the greeting. `peer` is the client's IP address, or "" on a Unix socket. `resume` is
 * called from the event loop when the session takes input again after waiting; it may free it.
 */
struct session *session_new(const struct server *server, const char *peer, struct evbuffer *output,
                            void (*resume)(void *context), void *context);

/* What is not committed is lost. NULL is allowed. */
void session_free(struct session *session);

/*
 * Takes octets from the client and returns how many of them; the rest is to be given again, with
 * what follows it. Takes none after it has left, and of what follows a message that is being
 * committed only commands; otherwise at most a piece of a line remains. To be called also with
 * nothing, after `resume`.
 */
size_t session_input(struct session *session, const char *input, size_t length);

/* For stored: what is written to `output` leaves when it no longer does. */
bool session_waiting(const struct session *session);

/* The last reply is written: the connection is to be closed. */
bool session_left(const struct session *session);

/* Nothing has come for IDLE_SECONDS: says so and leaves, unless the waiting is ours. */
void session_timeout(struct session *session);

/* server->draining has become true: says goodbye unless a message is under way. */
void session_drain(struct session *session);

/* Says goodbye whatever is under way. */
void session_stop(struct session *session);

/* For command.c: forgets the message that is begun. */
void session_reset(struct session *session);

/* For command.c: the answer to RCPT, which may come later. */
void session_start_check(struct session *session, const struct address *address);

/* For command.c: counts and logs a recipient that gets this reply instead of being accepted. */
void session_refused(struct session *session, struct text recipient, enum reply reply);

/* For command.c: from now on the message itself comes. */
void session_start_content(struct session *session);

#endif
