/*
 * A session's life: socket and TLS, buffers, timer, the events of stored, the end. Everything that
 * happens to a session ends in session_settle(), the only place where one is freed.
 */
#include <errno.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/tls.h"
#include "lib/xalloc.h"
#include "pop3d/command.h"
#include "pop3d/login.h"
#include "pop3d/server.h"
#include "pop3d/session.h"
#include "pop3d/transaction.h"

static const char *const reasons[SESSION__REASONS] = {
    [SESSION_GOES_ON] = "none",
    [SESSION_QUIT] = "quit",
    [SESSION_CLOSED_BY_CLIENT] = "closed-by-client",
    [SESSION_CONNECTION_FAILED] = "connection-failed",
    [SESSION_AUTOLOGOUT] = "autologout",
    [SESSION_LOGIN_TIME] = "no-login-in-time",
    [SESSION_BAD_COMMANDS] = "bad-commands",
    [SESSION_FAILED_LOGINS] = "failed-logins",
    [SESSION_TLS_FAILED] = "tls-failed",
    [SESSION_STORE_FAILED] = "store-failed",
    [SESSION_TERMINATED] = "terminated",
    [SESSION_LOGGED_OUT] = "logged-out",
    [SESSION_NO_ROOM] = "no-room",
};

bool session_is_private(const struct session *session)
{
    return session->tls != NULL || session->peer.near ||
           session->server->child->conf.cleartext_login;
}

struct evbuffer *session_output(const struct session *session)
{
    return session->stream.output;
}

size_t session_waiting(const struct session *session)
{
    return stream_waiting(&session->stream);
}

bool session_has_room(const struct session *session)
{
    return session_waiting(session) < LIMIT_OUTPUT;
}

static void set_timer(struct session *session, enum server_timeout timeout)
{
    event_add(&session->timer, session->server->timeouts[timeout]);
}

void session_touch(struct session *session)
{
    if (session->state == SESSION_TRANSACTION && !session->leaving)
        set_timer(session, SERVER_IDLE);
}

void session_leave(struct session *session, enum session_reason reason)
{
    if (session->leaving)
        return;
    session->leaving = true;
    session->leave_reason = reason;
    set_timer(session, SERVER_FAREWELL);
}

void session_end(struct session *session, enum session_reason reason)
{
    if (session->reason == SESSION_GOES_ON)
        session->reason = reason;
}

/* One line tells of a whole session; that it has begun, authd tells. */
static void log_end(const struct session *session)
{
    uint64_t took = clock_milliseconds() - session->began;

    log_info("session=%016" PRIx64 " address=%s mailbox=%" PRIu64 " messages=%" PRIu32
             " retrieved=%" PRIu64 " deleted=%" PRIu64 " octets=%" PRIu64
             " tls=%s duration=%" PRIu64 ".%03" PRIu64 " end=%s",
             session->id, session->peer.text, session->mailbox, session->maildrop.count,
             session->retrieved, session->deleted, session->retrieved_octets,
             session->tls != NULL ? SSL_get_version(session->tls) : "none", took / 1000,
             took % 1000, reasons[session->reason]);
}

/* What session_start() has begun. */
static void remove_session(struct session *session)
{
    struct server *server = session->server;

    SSL_free(session->tls);
    close(session->fd);
    admission_leave(session);
    DL_DELETE(server->sessions, session);
    free(session);
    server_session_gone(server);
}

static void free_session(struct session *session)
{
    authclient_cancel(&session->auth);
    storeclient_close(&session->store);
    login_forget_user(session);
    event_del(&session->timer);
    stream_close(&session->stream);
    log_end(session);
    fetches_clear(&session->fetches);
    ahead_clear(session);
    maildrop_clear(&session->maildrop);
    remove_session(session);
}

static void start_tls(struct session *session);

/* Nothing of the client's is being worked on. */
static bool is_idle(const struct session *session)
{
    return session->wait == SESSION_READY || session->wait == SESSION_STARTING_TLS;
}

/* What ends a session that nothing else has ended. */
static void look_for_end(struct session *session)
{
    bool sent = session_waiting(session) == 0;

    if (session->broken && session->wait != SESSION_EXPUNGING)
        session_end(session, session->leaving ? session->leave_reason : SESSION_CONNECTION_FAILED);
    else if (session->leaving && sent)
        session_end(session, session->leave_reason);
    else if (!session->leaving && is_idle(session) && session->server->draining)
        session_leave(session, SESSION_TERMINATED);
    else if (!session->leaving && session->wait == SESSION_READY && session->input_ended &&
             session_has_room(session))
        session_leave(session, SESSION_CLOSED_BY_CLIENT);
    else
        return;
    if (session->leaving && sent)
        session_end(session, session->leave_reason);
}

/* While stored is still sending, several messages leave with one write. */
static void send_output(struct session *session)
{
    if (session->broken)
        return;
    if (session->fetches.expected > 0)
        stream_send(&session->stream, STREAM_LATER);
    else
        stream_send(&session->stream, session->leaving ? STREAM_LAST : STREAM_NOW);
}

/* A full input is not read on until commands have been taken from it. */
static void read_while_room(struct session *session)
{
    bool full = evbuffer_get_length(session->stream.input) >= LIMIT_INPUT;

    if (!session->input_ended && !session->broken && session->wait != SESSION_STARTING_TLS)
        stream_set_reading(&session->stream, !full);
}

void session_settle(struct session *session)
{
    if (session->reason == SESSION_GOES_ON) {
        listing_continue(session);
        fetch_continue(session);
        command_loop(session);
        ahead_ask(session);
        read_while_room(session);
        send_output(session);
        look_for_end(session);
    }
    if (session->reason != SESSION_GOES_ON)
        free_session(session);
    else if (session->wait == SESSION_STARTING_TLS && session->tls == NULL &&
             session_waiting(session) == 0)
        start_tls(session);
}

static void on_readable(void *context)
{
    session_settle(context);
}

/* Some of the output has left: a client that only reads is not idle. */
static void on_written(void *context)
{
    session_touch(context);
    session_settle(context);
}

/* The handshake is complete. On a pop3s port the session begins here. */
static void on_secured(void *context)
{
    struct session *session = context;

    metric_add(METRIC_POP3_TLS_HANDSHAKES, 1);
    if (SSL_session_reused(session->tls) == 1)
        metric_add(METRIC_POP3_TLS_RESUMED, 1);
    session->wait = SESSION_READY;
    set_timer(session, SERVER_LOGIN);
    if (session->greets)
        command_answer(session, session->greeting);
    session_settle(session);
}

static void log_tls_failure(const struct session *session)
{
    unsigned long error = session->stream.error;
    const char *why = error != 0 ? ERR_reason_error_string(error) : NULL;

    log_info("session=%016" PRIx64 " address=%s TLS handshake failed: %s", session->id,
             session->peer.text, why != NULL ? why : "the client closed the connection");
    metric_add(METRIC_POP3_TLS_FAILURES, 1);
}

/*
 * Nothing comes from the client any more. A plain connection may have been closed in one direction
 * only, and what was sent before is still worked on; on a TLS connection nothing can be sent then.
 */
static void handle_loss(struct session *session, bool failed)
{
    if (session->wait == SESSION_STARTING_TLS) {
        log_tls_failure(session);
        session_end(session, SESSION_TLS_FAILED);
        return;
    }
    session->input_ended = session->input_ended || !failed;
    if (!failed && session->tls == NULL)
        return;
    /* A QUIT that has come whole is carried out, although nobody will read its answer. */
    command_loop(session);
    session->broken = true;
    stream_stop(&session->stream);
    if (session->wait != SESSION_EXPUNGING && session->input_ended)
        session_end(session, session->leaving ? session->leave_reason : SESSION_CLOSED_BY_CLIENT);
}

static void on_lost(void *context, bool failed)
{
    struct session *session = context;

    handle_loss(session, failed);
    session_settle(session);
}

static const struct stream_events stream_events = {
    .readable = on_readable,
    .written = on_written,
    .secured = on_secured,
    .lost = on_lost,
};

/* RFC 1939 section 3: the autologout sends nothing and deletes nothing. */
static void on_timer(evutil_socket_t fd, short what, void *context)
{
    struct session *session = context;
    (void)fd;
    (void)what;

    if (session->leaving)
        session_end(session, session->leave_reason);
    else if (session->wait == SESSION_STARTING_TLS)
        session_end(session, SESSION_TLS_FAILED);
    else if (session->state == SESSION_TRANSACTION || session->state == SESSION_UPDATE)
        session_end(session, SESSION_AUTOLOGOUT);
    else
        session_end(session, SESSION_LOGIN_TIME);
    session_settle(session);
}

static void open_stream(struct session *session)
{
    stream_open(&session->stream, session->server->child->base, session->fd, session->tls,
                &stream_events, session);
}

static void open_tls(struct session *session)
{
    session->wait = SESSION_STARTING_TLS;
    session->tls = tls_connection(session->server->tls);
    if (session->tls == NULL)
        log_fatal("out of memory");
    open_stream(session);
    set_timer(session, session->refused ? SERVER_FAREWELL : SERVER_HANDSHAKE);
}

void session_begin_tls(struct session *session)
{
    session->wait = SESSION_STARTING_TLS;
    stream_set_reading(&session->stream, false);
}

/*
 * The answer to STLS has left. Whatever else came before the handshake came from somebody who could
 * write into the connection: it goes with the old buffers (RFC 2595 section 2.4, CVE-2011-0411).
 */
static void start_tls(struct session *session)
{
    stream_close(&session->stream);
    login_forget_user(session);
    session->tongue = tongue_get(0);
    session->skipping = false;
    session->bad_commands = 0;
    open_tls(session);
}

void session_start(struct server *server, int fd, const struct peer *peer, bool tls)
{
    struct session *session = xcalloc(1, sizeof(*session));

    session->server = server;
    session->fd = fd;
    session->greets = tls;
    session->tongue = tongue_get(0);
    session->began = clock_milliseconds();
    session->id = server->next_id++;
    session->peer = *peer;
    session->greeting = admission_enter(session);
    if (session->greeting == REPLY_GREETING && peer->names)
        session->greeting = REPLY_GREETING_XCLIENT;
    event_assign(&session->timer, server->child->base, -1, 0, on_timer, session);
    DL_APPEND(server->sessions, session);
    if (tls && !admission_can_tell(session)) {
        session_end(session, SESSION_NO_ROOM);
        log_end(session);
        remove_session(session);
        return;
    }
    if (tls) {
        open_tls(session);
        return;
    }
    open_stream(session);
    set_timer(session, SERVER_LOGIN);
    command_answer(session, session->greeting);
    session_settle(session);
}

void session_logged_in(struct session *session)
{
    session->state = SESSION_TRANSACTION;
    admission_know(session);
    session->wait = SESSION_READY;
    set_timer(session, SERVER_IDLE);
    metric_add(METRIC_POP3_LOGINS, 1);
    reply_add_maildrop(session_output(session), session->tongue, session->maildrop.count,
                       session->maildrop.octets);
}

/* --- stored's answers, by what the session waits for */

/* stored opens the mailbox, before the login is answered or behind it. */
static bool is_opening(const struct session *session)
{
    return !session->maildrop.complete;
}

static int on_opening(void *context, const struct store_totals *totals)
{
    struct session *session = context;

    if (!is_opening(session) || login_opening(session, totals) < 0)
        return -1;
    session_settle(session);
    return 0;
}

static int on_entries(void *context, const void *entries, size_t count)
{
    struct session *session = context;

    if (!is_opening(session) || login_entries(session, entries, count) < 0)
        return -1;
    session_settle(session);
    return 0;
}

static int on_growths(void *context, const void *growths, size_t count)
{
    struct session *session = context;

    if (!is_opening(session) || login_growths(session, growths, count) < 0)
        return -1;
    session_settle(session);
    return 0;
}

static int on_unique_ids(void *context, const void *payload, size_t length)
{
    struct session *session = context;

    if (!is_opening(session) || login_unique_ids(session, payload, length) < 0)
        return -1;
    session_settle(session);
    return 0;
}

static int on_opened(void *context, const struct store_totals *totals)
{
    struct session *session = context;

    if (!is_opening(session) || login_opened(session, totals) < 0)
        return -1;
    session_settle(session);
    return 0;
}

static int on_data(void *context, const struct store_data *data, const void *piece, size_t length)
{
    struct session *session = context;

    /* What was read ahead is answered behind what was asked for. */
    if ((session->fetches.expected > 0 ? fetch_data(session, data, piece, length)
                                       : ahead_data(session, data, piece, length)) < 0)
        return -1;
    session_settle(session);
    return 0;
}

static int on_expunged(void *context)
{
    struct session *session = context;

    if (session->wait != SESSION_EXPUNGING || transaction_expunged(session) < 0)
        return -1;
    session_settle(session);
    return 0;
}

static int on_failed(void *context, const struct store_failed *failed)
{
    struct session *session = context;
    int status = -1;

    if (is_opening(session))
        status = login_failed(session, failed);
    else if (session->fetches.expected > 0)
        status = fetch_failed(session, (enum store_result)failed->result);
    else if (session->aheads.waiting > 0)
        status = ahead_failed(session);
    else if (session->wait == SESSION_EXPUNGING)
        status = transaction_expunge_failed(session);
    if (status == 0)
        session_settle(session);
    return status;
}

/*
 * At once, as by the autologout: without a word, since a client takes any for the answer to its
 * next command, and a message that is on its way ends without its ".".
 */
static void on_ended(void *context)
{
    struct session *session = context;

    if (session->wait == SESSION_EXPUNGING)
        (void)transaction_expunge_failed(session);
    else if (session->state != SESSION_TRANSACTION)
        login_lost(session);
    else
        session_end(session, SESSION_LOGGED_OUT);
    session_settle(session);
}

static void on_store_lost(void *context)
{
    struct session *session = context;

    ahead_clear(session);
    if (is_opening(session))
        login_lost(session);
    else if (session->wait == SESSION_FETCHING)
        fetch_lost(session);
    else if (session->wait == SESSION_EXPUNGING)
        (void)transaction_expunge_failed(session);
    session_settle(session);
}

const struct store_events session_store_events = {
    .opening = on_opening,
    .entries = on_entries,
    .growths = on_growths,
    .unique_ids = on_unique_ids,
    .opened = on_opened,
    .data = on_data,
    .expunged = on_expunged,
    .failed = on_failed,
    .ended = on_ended,
    .lost = on_store_lost,
};
