/*
 * libevent's bufferevents do the same with some more system calls: they ask how much there is
 * before they read it, read each record of TLS in two parts and then look for another one, write
 * each by itself, and have the kernel watch the socket for room before each write. Here what
 * OpenSSL writes is collected and leaves with one write: the end of the handshake with the
 * greeting, several records of a message, TLS's farewell with the last answer.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <sodium.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/log.h"
#include "pop3d/limits.h"
#include "pop3d/stream.h"

/* Octets read at once: many commands, and few enough that one client does not keep others waiting.
 */
#define READ_SIZE 4096

/* Pieces of the output written at once. */
#define PIECES 32

static bool is_nothing(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

static void watch(struct event *event)
{
    if (event_add(event, NULL) < 0)
        log_fatal("cannot watch a connection: out of memory");
}

/* --- TLS -------------------------------------------------------------------------------------- */

/* SSL_get_error() takes an older error for that of the last call. Most often there is none, which
 * is looked up sooner than all places for them are emptied. */
static void forget_errors(void)
{
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}

/* What one record holds at most (RFC 8446 section 5.1), on its way in or out. */
static char record[SSL3_RT_MAX_PLAIN_LENGTH];

/* OpenSSL asks again after each handshake's message, and where it has a part of a record. What the
 * socket did not have a moment ago, the kernel will tell of; and of what is left to the next turn,
 * as OpenSSL would go on for as long as a client sends what is for TLS alone. */
static int bio_read(BIO *bio, char *octets, size_t length, size_t *got_r)
{
    struct stream *stream = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    ssize_t got = stream->drained ? -1 : read(stream->fd, octets, length);
    if (got < 0 && (stream->drained || is_nothing(errno)))
        BIO_set_retry_read(bio);
    stream->ended = got == 0;
    stream->taken += got > 0 ? (size_t)got : 0;
    stream->drained = got < (ssize_t)length || stream->taken >= LIMIT_INPUT;
    *got_r = got > 0 ? (size_t)got : 0;
    return got > 0;
}

/* OpenSSL writes its records into an evbuffer, which takes them all. */
static int bio_write(BIO *bio, const char *octets, size_t length, size_t *written_r)
{
    const struct stream *stream = BIO_get_data(bio);

    if (evbuffer_add(stream->sealed, octets, length) < 0)
        log_fatal("out of memory");
    *written_r = length;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    const struct stream *stream = BIO_get_data(bio);
    (void)number;
    (void)pointer;

    switch (command) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_EOF: return stream->ended;
    default: return 0;
    }
}

static const BIO_METHOD *bio_method(void)
{
    static BIO_METHOD *method;

    if (method != NULL)
        return method;
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "records");
    if (method == NULL || BIO_meth_set_read_ex(method, bio_read) != 1 ||
        BIO_meth_set_write_ex(method, bio_write) != 1 ||
        BIO_meth_set_ctrl(method, bio_control) != 1)
        log_fatal("OpenSSL does not start");
    return method;
}

static void open_tls(struct stream *stream, SSL *tls)
{
    stream->tls = tls;
    stream->sealed = evbuffer_new();
    BIO *bio = BIO_new(bio_method());
    if (stream->sealed == NULL || bio == NULL)
        log_fatal("out of memory");
    BIO_set_data(bio, stream);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls, bio, bio);
    SSL_set_read_ahead(tls, 1);
    SSL_set_accept_state(tls);
}

/* The output becomes records, as many as are worth one write. */
static void seal(struct stream *stream)
{
    while (stream->secured && !stream->failed && evbuffer_get_length(stream->output) > 0 &&
           evbuffer_get_length(stream->sealed) < LIMIT_OUTPUT) {
        int length = evbuffer_remove(stream->output, record, sizeof(record));
        forget_errors();
        if (length < 0 || SSL_write(stream->tls, record, length) != length)
            stream->failed = true;
    }
}

static void say_farewell(struct stream *stream)
{
    if (!stream->secured || stream->farewell || stream->failed)
        return;
    stream->farewell = true;
    (void)SSL_shutdown(stream->tls);
}

/* --- sending ---------------------------------------------------------------------------------- */

size_t stream_waiting(const struct stream *stream)
{
    size_t waiting = evbuffer_get_length(stream->output);

    return stream->sealed == NULL ? waiting : waiting + evbuffer_get_length(stream->sealed);
}

/* Writes what the socket takes, once. */
static void write_once(struct stream *stream, struct evbuffer *ready, int flags)
{
    struct evbuffer_iovec pieces[PIECES];
    struct msghdr message = {.msg_iov = pieces};

    int count = evbuffer_peek(ready, LIMIT_WRITE, NULL, pieces, PIECES);
    message.msg_iovlen = (size_t)(count < PIECES ? count : PIECES);
    ssize_t sent = sendmsg(stream->fd, &message, flags | MSG_NOSIGNAL);
    if (sent >= 0)
        evbuffer_drain(ready, (size_t)sent);
    else if (!is_nothing(errno))
        stream->failed = true;
}

bool stream_may_lend(const struct stream *stream)
{
    return !stream->writing && !stream->failed;
}

void stream_lend(struct stream *stream, const void *octets, size_t length,
                 void (*done)(const void *octets, size_t length, void *context), void *context)
{
    if (evbuffer_add_reference(stream->output, octets, length, done, context) < 0)
        log_fatal("out of memory");
    stream->lent = true;
}

/* One copy of all that waits. evbuffer_pullup() makes none of what is in one piece already. */
static void keep_lent(struct stream *stream)
{
    size_t length = evbuffer_get_length(stream->output);
    struct evbuffer_iovec room;

    stream->lent = false;
    if (length == 0)
        return;
    if (evbuffer_reserve_space(stream->output, (ev_ssize_t)length, &room, 1) != 1)
        log_fatal("out of memory");
    evbuffer_copyout(stream->output, room.iov_base, length);
    room.iov_len = length;
    evbuffer_commit_space(stream->output, &room, 1);
    evbuffer_drain(stream->output, length);
}

/* Writes what the socket takes. Returns 0, or -1 when the connection is gone. */
static int write_output(struct stream *stream, bool last)
{
    struct evbuffer *ready = stream->output;

    if (stream->tls != NULL) {
        ready = stream->sealed;
        seal(stream);
        if (last && evbuffer_get_length(stream->output) == 0)
            say_farewell(stream);
    }
    if (!stream->failed && evbuffer_get_length(ready) > 0)
        write_once(stream, ready, last ? MSG_MORE : 0);
    if (stream->lent)
        keep_lent(stream);
    return stream->failed ? -1 : 0;
}

/* libevent does not watch for an event that stream_send() has made active, so that goes first. */
static void set_writing(struct stream *stream, bool writing)
{
    if (writing == stream->writing)
        return;
    stream->writing = writing;
    event_del(&stream->writable);
    if (writing)
        watch(&stream->writable);
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    struct stream *stream = context;
    (void)fd;
    (void)what;

    if (write_output(stream, false) < 0) {
        set_writing(stream, false);
        stream->events->lost(stream->context, true);
        return;
    }
    size_t waiting = stream_waiting(stream);
    set_writing(stream, waiting > 0);
    if (waiting < LIMIT_OUTPUT && (stream->tls == NULL || stream->secured))
        stream->events->written(stream->context);
}

void stream_send(struct stream *stream, enum stream_sending sending)
{
    bool full = stream_waiting(stream) >= LIMIT_OUTPUT;

    if (sending == STREAM_LATER && !stream->writing && !stream->failed) {
        if (stream_waiting(stream) > 0)
            event_active(&stream->writable, EV_WRITE, 0);
        return;
    }
    /*
     * Most answers fit into the socket at once. Writing them here costs one system call, where
     * waiting until the socket is writable costs four. A failure comes again in on_writable().
     */
    if (sending != STREAM_LATER && stream_waiting(stream) > 0 &&
        write_output(stream, sending == STREAM_LAST) == 0)
        stream->held = sending == STREAM_LAST;
    set_writing(stream, full || stream->failed || stream_waiting(stream) > 0);
}

/* --- receiving -------------------------------------------------------------------------------- */

/* What comes may hold a password. */
static void take(struct stream *stream, char *octets, size_t length)
{
    if (evbuffer_add(stream->input, octets, length) < 0)
        log_fatal("out of memory");
    sodium_memzero(octets, length);
}

static void lose(struct stream *stream, bool failed)
{
    stream->failed = stream->failed || failed;
    stream_set_reading(stream, false);
    stream->events->lost(stream->context, failed);
}

static void receive_plain(struct stream *stream)
{
    static char octets[READ_SIZE];

    ssize_t got = read(stream->fd, octets, sizeof(octets));
    if (got < 0 && is_nothing(errno))
        return;
    if (got <= 0) {
        lose(stream, got < 0);
        return;
    }
    take(stream, octets, (size_t)got);
    stream->events->readable(stream->context);
}

/* `full`: there may be more, in what OpenSSL has read ahead, which the kernel does not tell of. */
static void hand_over(struct stream *stream, bool full)
{
    if (full && SSL_has_pending(stream->tls) == 1)
        event_active(&stream->readable, EV_READ, 0);
    stream->events->readable(stream->context);
}

static void receive_records(struct stream *stream)
{
    bool more = false;
    int got;

    forget_errors();
    do {
        got = SSL_read(stream->tls, record, sizeof(record));
        if (got > 0) {
            take(stream, record, (size_t)got);
            more = true;
        }
    } while (got > 0 && SSL_has_pending(stream->tls) == 1 &&
             evbuffer_get_length(stream->input) < LIMIT_INPUT);
    int error = got > 0 ? SSL_ERROR_NONE : SSL_get_error(stream->tls, got);
    /* TLS may have answered something of its own. */
    if (evbuffer_get_length(stream->sealed) > 0)
        set_writing(stream, true);
    if (evbuffer_get_length(stream->sealed) >= LIMIT_SEALED)
        lose(stream, true);
    else if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ)
        lose(stream, error != SSL_ERROR_ZERO_RETURN);
    else if (more)
        hand_over(stream, got > 0);
}

static void shake_hands(struct stream *stream)
{
    forget_errors();
    int result = SSL_do_handshake(stream->tls);
    int error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(stream->tls, result);
    stream->error = ERR_peek_error();
    if (error == SSL_ERROR_NONE) {
        stream->secured = true;
        /* The first command may have come with the end of the handshake. */
        if (SSL_has_pending(stream->tls) == 1)
            event_active(&stream->readable, EV_READ, 0);
        stream->events->secured(stream->context);
        return;
    }
    if (evbuffer_get_length(stream->sealed) > 0)
        write_once(stream, stream->sealed, 0);
    if (evbuffer_get_length(stream->sealed) > 0)
        set_writing(stream, true);
    if (error != SSL_ERROR_WANT_READ)
        lose(stream, true);
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct stream *stream = context;
    (void)fd;
    (void)what;

    stream->drained = false;
    stream->taken = 0;
    if (stream->tls == NULL)
        receive_plain(stream);
    else if (stream->secured)
        receive_records(stream);
    else
        shake_hands(stream);
}

void stream_set_reading(struct stream *stream, bool reading)
{
    if (reading == stream->reading)
        return;
    stream->reading = reading;
    if (!reading) {
        event_del(&stream->readable);
        return;
    }
    watch(&stream->readable);
    /* What OpenSSL has read ahead, the kernel does not tell of. */
    if (stream->tls != NULL && SSL_has_pending(stream->tls) == 1)
        event_active(&stream->readable, EV_READ, 0);
}

/* --- beginning and end ------------------------------------------------------------------------ */

void stream_open(struct stream *stream, struct event_base *base, int fd, SSL *tls,
                 const struct stream_events *events, void *context)
{
    *stream = (struct stream){.fd = fd, .events = events, .context = context};
    stream->input = evbuffer_new();
    stream->output = evbuffer_new();
    if (stream->input == NULL || stream->output == NULL)
        log_fatal("out of memory");
    if (tls != NULL)
        open_tls(stream, tls);
    event_assign(&stream->readable, base, stream->fd, EV_READ | EV_PERSIST, on_readable, stream);
    event_assign(&stream->writable, base, stream->fd, EV_WRITE | EV_PERSIST, on_writable, stream);
    stream_set_reading(stream, true);
}

static void close_tls(struct stream *stream)
{
    say_farewell(stream);
    if (evbuffer_get_length(stream->sealed) > 0)
        write_once(stream, stream->sealed, 0);
    evbuffer_free(stream->sealed);
}

void stream_close(struct stream *stream)
{
    stream_stop(stream);
    if (stream->tls != NULL)
        close_tls(stream);
    /* Not left to close(): that one throws them away where the client has sent more meanwhile. */
    if (stream->held)
        (void)shutdown(stream->fd, SHUT_WR);
    evbuffer_free(stream->input);
    evbuffer_free(stream->output);
}

void stream_stop(struct stream *stream)
{
    stream_set_reading(stream, false);
    stream->writing = false;
    event_del(&stream->writable);
}
