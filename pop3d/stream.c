#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
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
#define PIECES 16

static bool is_nothing(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

static void watch(struct event *event)
{
    if (event_add(event, NULL) < 0)
        log_fatal("cannot watch a connection: out of memory");
}

/* --- plain connections ------------------------------------------------------------------------ */

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    static char octets[READ_SIZE]; /* may hold a password */
    struct stream *stream = context;
    (void)what;

    ssize_t got = read(fd, octets, sizeof(octets));
    if (got < 0 && is_nothing(errno))
        return;
    if (got <= 0) {
        stream_set_reading(stream, false);
        stream->events->lost(stream->context, got < 0);
        return;
    }
    if (evbuffer_add(stream->input, octets, (size_t)got) < 0)
        log_fatal("out of memory");
    sodium_memzero(octets, (size_t)got);
    stream->events->readable(stream->context);
}

/* Writes what the socket takes. Returns 0, or -1 when the connection is gone. */
static int write_output(struct stream *stream, int flags)
{
    struct evbuffer_iovec pieces[PIECES];
    struct msghdr message = {.msg_iov = pieces};

    int count = evbuffer_peek(stream->output, LIMIT_WRITE, NULL, pieces, PIECES);
    message.msg_iovlen = (size_t)(count < PIECES ? count : PIECES);
    ssize_t sent = sendmsg(stream->fd, &message, flags | MSG_NOSIGNAL);
    if (sent < 0)
        return is_nothing(errno) ? 0 : -1;
    evbuffer_drain(stream->output, (size_t)sent);
    return 0;
}

static void set_writing(struct stream *stream, bool writing)
{
    if (writing == stream->writing)
        return;
    stream->writing = writing;
    if (writing)
        watch(&stream->writable);
    else
        event_del(&stream->writable);
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    struct stream *stream = context;
    (void)fd;
    (void)what;

    if (evbuffer_get_length(stream->output) > 0 && write_output(stream, 0) < 0) {
        set_writing(stream, false);
        stream->events->lost(stream->context, true);
        return;
    }
    if (evbuffer_get_length(stream->output) == 0)
        set_writing(stream, false);
    if (evbuffer_get_length(stream->output) < LIMIT_OUTPUT)
        stream->events->written(stream->context);
}

static void open_plain(struct stream *stream, struct event_base *base)
{
    stream->input = evbuffer_new();
    stream->output = evbuffer_new();
    if (stream->input == NULL || stream->output == NULL)
        log_fatal("out of memory");
    event_assign(&stream->readable, base, stream->fd, EV_READ | EV_PERSIST, on_readable, stream);
    event_assign(&stream->writable, base, stream->fd, EV_WRITE | EV_PERSIST, on_writable, stream);
    stream_set_reading(stream, true);
}

static void close_plain(struct stream *stream)
{
    stream_stop(stream);
    /* Not left to close(): that one throws them away where the client has sent more meanwhile. */
    if (stream->held)
        (void)shutdown(stream->fd, SHUT_WR);
    evbuffer_free(stream->input);
    evbuffer_free(stream->output);
}

/* --- TLS -------------------------------------------------------------------------------------- */

static void on_secure_readable(struct bufferevent *secure, void *context)
{
    struct stream *stream = context;
    (void)secure;

    stream->events->readable(stream->context);
}

static void on_secure_written(struct bufferevent *secure, void *context)
{
    struct stream *stream = context;
    (void)secure;

    stream->events->written(stream->context);
}

static void on_secure_event(struct bufferevent *secure, short what, void *context)
{
    struct stream *stream = context;
    (void)secure;

    if ((what & BEV_EVENT_CONNECTED) != 0)
        stream->events->secured(stream->context);
    else if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0)
        stream->events->lost(stream->context, (what & BEV_EVENT_ERROR) != 0);
}

static void open_secure(struct stream *stream, struct event_base *base, SSL *tls)
{
    stream->secure =
        bufferevent_openssl_socket_new(base, stream->fd, tls, BUFFEREVENT_SSL_ACCEPTING, 0);
    if (stream->secure == NULL)
        log_fatal("out of memory");
    stream->input = bufferevent_get_input(stream->secure);
    stream->output = bufferevent_get_output(stream->secure);
    bufferevent_setcb(stream->secure, on_secure_readable, on_secure_written, on_secure_event,
                      stream);
    bufferevent_setwatermark(stream->secure, EV_WRITE, LIMIT_OUTPUT - 1, 0);
    bufferevent_set_max_single_write(stream->secure, LIMIT_WRITE);
    stream_set_reading(stream, true);
    /* A client that goes without TLS's own farewell is no error. */
    bufferevent_openssl_set_allow_dirty_shutdown(stream->secure, 1);
}

unsigned long stream_tls_error(const struct stream *stream)
{
    return bufferevent_get_openssl_error(stream->secure);
}

/* --- both ------------------------------------------------------------------------------------- */

void stream_open(struct stream *stream, struct event_base *base, int fd, SSL *tls,
                 const struct stream_events *events, void *context)
{
    *stream = (struct stream){.fd = fd, .events = events, .context = context};
    if (tls != NULL)
        open_secure(stream, base, tls);
    else
        open_plain(stream, base);
}

void stream_close(struct stream *stream)
{
    if (stream->secure == NULL) {
        close_plain(stream);
        return;
    }
    stream_stop(stream);
    bufferevent_free(stream->secure);
}

void stream_set_reading(struct stream *stream, bool reading)
{
    if (reading == stream->reading)
        return;
    stream->reading = reading;
    if (stream->secure != NULL && reading)
        bufferevent_enable(stream->secure, EV_READ);
    else if (stream->secure != NULL)
        bufferevent_disable(stream->secure, EV_READ);
    else if (reading)
        watch(&stream->readable);
    else
        event_del(&stream->readable);
}

void stream_stop(struct stream *stream)
{
    if (stream->secure != NULL) {
        bufferevent_disable(stream->secure, EV_READ | EV_WRITE);
        return;
    }
    stream_set_reading(stream, false);
    set_writing(stream, false);
}

void stream_send(struct stream *stream, enum stream_sending sending)
{
    bool full = evbuffer_get_length(stream->output) >= LIMIT_OUTPUT;

    if (stream->secure != NULL)
        return;
    /*
     * Most answers fit into the socket at once. Writing them here costs one system call, where
     * waiting until the socket is writable costs four. A failure comes again in on_writable().
     */
    if (sending != STREAM_LATER && evbuffer_get_length(stream->output) > 0 &&
        write_output(stream, sending == STREAM_LAST ? MSG_MORE : 0) == 0)
        stream->held = sending == STREAM_LAST;
    set_writing(stream, full || evbuffer_get_length(stream->output) > 0);
}
