#ifndef POP3D_SESSION_H
#define POP3D_SESSION_H

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "pop3d/ahead.h"
#include "pop3d/authclient.h"
#include "pop3d/fetch.h"
#include "pop3d/listing.h"
#include "pop3d/maildrop.h"
#include "pop3d/peer.h"
#include "pop3d/server.h"
#include "pop3d/storeclient.h"
#include "pop3d/stream.h"
#include "pop3d/tongue.h"

/* The states of RFC 1939 section 3, and what a line means in each. */
enum session_state {
    SESSION_AUTHORIZATION,
    SESSION_RESPONSE, /* within AUTH: the next line answers a challenge, it is no command */
    SESSION_TRANSACTION,
    SESSION_UPDATE,
    SESSION__STATES
};

/* What has to happen before the next command can be begun. */
enum session_wait {
    SESSION_READY,       /* nothing */
    SESSION_CHECKING,    /* authd checks credentials */
    SESSION_OPENING,     /* stored opens the mailbox; after the login: tells all its messages */
    SESSION_LISTING,     /* room in the output for more of a LIST or UIDL */
    SESSION_FETCHING,    /* messages from stored; a RETR or TOP may still be added */
    SESSION_EXPUNGING,   /* stored deletes */
    SESSION_STARTING_TLS /* the answer to STLS has to leave, then the handshake */
};

/* Why a session ended, for the log. */
enum session_reason {
    SESSION_GOES_ON,
    SESSION_QUIT,
    SESSION_CLOSED_BY_CLIENT,
    SESSION_CONNECTION_FAILED,
    SESSION_AUTOLOGOUT,
    SESSION_LOGIN_TIME,
    SESSION_BAD_COMMANDS,
    SESSION_FAILED_LOGINS,
    SESSION_TLS_FAILED,
    SESSION_STORE_FAILED,
    SESSION_TERMINATED,
    SESSION_LOGGED_OUT, /* its mailbox was suspended, removed or changed */
    SESSION_NO_ROOM,
    SESSION__REASONS
};

/* One client's connection. What concerns the mailbox is empty before the login. */
struct session {
    struct server *server;
    struct session *prev;
    struct session *next;

    struct stream stream;
    SSL *tls; /* NULL without TLS */
    int fd;
    bool greets;         /* the greeting waits for the handshake */
    enum reply greeting; /* or why the client cannot stay */
    bool stranger;       /* has not logged in */
    bool refused;        /* there was no room when it came */
    bool skipping;       /* see line_peek() */
    bool input_ended;    /* the client sends nothing any more, but may still read */
    bool broken;         /* nothing can be sent any more */
    bool leaving;        /* close when the output is sent */
    struct event timer;
    struct peer peer;

    enum session_state state;
    enum session_wait wait;
    enum session_reason reason; /* SESSION_GOES_ON until the session is to be freed */
    enum session_reason leave_reason;
    unsigned bad_commands; /* in a row */
    unsigned failed_logins;
    uint32_t told_seconds; /* with the answer to this login */
    bool proves;           /* this login shows that somebody knows the password, and sends none */
    char *user;            /* between USER and PASS */
    bool utf8; /* UTF8 was said: the client takes raw UTF-8 in messages (RFC 6856 section 2) */
    const struct tongue *tongue; /* of answers */
    enum language language;      /* of the mailbox's customer, after the login */
    struct auth_request auth;

    uint64_t id; /* names the session in the log; from authd's capability after the login */
    uint64_t mailbox;
    uint64_t delay;          /* these two of the mailbox's plan: seconds from login to login */
    uint32_t retention_days; /* 0: messages stay */
    struct store_session store;
    struct maildrop maildrop;
    struct listing listing;
    struct fetches fetches;
    struct aheads aheads;
    uint32_t expunge_next;

    uint64_t began; /* milliseconds of the monotonic clock */
    uint64_t retrieved;
    uint64_t retrieved_octets; /* by RETR and TOP, as sent */
    uint64_t deleted;
};

/* What stored answers, with the session as context. */
extern const struct store_events session_store_events;

/* Takes over an accepted, non-blocking socket. With `tls` the handshake comes first. */
void session_start(struct server *server, int fd, const struct peer *peer, bool tls);

/* Whether a password may travel on this connection: TLS, from this machine, or allowed. */
bool session_is_private(const struct session *session);

struct evbuffer *session_output(const struct session *session);

/* How many octets wait to be sent. */
size_t session_waiting(const struct session *session);

/* Whether less waits than LIMIT_OUTPUT, so that more may be made. */
bool session_has_room(const struct session *session);

/* An activity that postpones the autologout, once logged in. */
void session_touch(struct session *session);

/* STLS has been answered: from here on the connection is TLS. */
void session_begin_tls(struct session *session);

/* The credentials are good and STAT can be answered: TRANSACTION begins. */
void session_logged_in(struct session *session);

/* No further command; the connection is closed when all answers are sent. */
void session_leave(struct session *session, enum session_reason reason);

/* The session is freed by the next session_settle(), with what was not sent. */
void session_end(struct session *session, enum session_reason reason);

/*
 * Does what can be done now: more of a long answer, the next commands, the end. Whoever has
 * changed a session from outside the command loop calls this last: it may free the session.
 */
void session_settle(struct session *session);

#endif
