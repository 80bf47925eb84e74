#ifndef POP3D_STREAM_H
#define POP3D_STREAM_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <openssl/ssl.h>
#include <stdbool.h>

struct evbuffer;

/*
 * A client's connection as two buffers: what has come and is to be taken, what is to be sent; read
 * and written with as few system calls as there can be, and TLS in as few records.
 */
struct stream_events {
    void (*readable)(void *context); /* more has come */
    void (*written)(void *context);  /* some has left, and less than LIMIT_OUTPUT waits */
    void (*secured)(void *context);  /* the handshake is complete; stream_send() sends its end */
    /* Nothing comes any more; with `failed`, nothing can be sent either. */
    void (*lost)(void *context, bool failed);
};

/* Lives in the session. Each of the events may close it. */
struct stream {
    struct evbuffer *input;
    struct evbuffer *output;
    int fd;
    const struct stream_events *events;
    void *context;
    SSL *tls;                /* NULL: plain */
    struct evbuffer *sealed; /* of TLS: records that the socket has not taken yet */
    bool secured;            /* of TLS: the handshake is complete */
    bool farewell;           /* of TLS: its own has been said */
    bool drained;            /* of TLS: the socket is not read until the next event */
    size_t taken;            /* of TLS: octets read since the last event */
    bool ended;              /* of TLS: the client's end of the connection was read */
    bool failed;             /* nothing can be sent any more */
    unsigned long error;     /* OpenSSL's code for why the handshake has failed, or 0 */
    struct event readable;
    struct event writable;
    bool reading;
    bool writing;
    bool lent; /* the output has octets of somebody else's; see stream_lend() */
    bool held; /* the last octets wait in the kernel for the end of the connection */
};

/*
 * Begins to read; with `tls` the client's handshake comes first. Neither the non-blocking
 * descriptor nor `tls` becomes the stream's, and both are there for as long as the stream is open.
 */
void stream_open(struct stream *stream, struct event_base *base, int fd, SSL *tls,
                 const struct stream_events *events, void *context);

/* What waits to be sent is lost, but for what stream_send() has taken for the last. TLS is ended.
 */
void stream_close(struct stream *stream);

void stream_set_reading(struct stream *stream, bool reading);

/* Nothing is read or sent any more. */
void stream_stop(struct stream *stream);

/* How many octets wait to be sent. */
size_t stream_waiting(const struct stream *stream);

/* Whether octets may be lent now: the client is not behind, so they would not be copied anyway. */
bool stream_may_lend(const struct stream *stream);

/*
 * Adds octets to the output that stay where they are until stream_send() has tried to send them,
 * in this turn of the loop: what the socket does not take then is copied. `done` is called when
 * they are not needed any more.
 */
void stream_lend(struct stream *stream, const void *octets, size_t length,
                 void (*done)(const void *octets, size_t length, void *context), void *context);

enum stream_sending {
    STREAM_LATER, /* more may be added in this turn of the loop: at its end */
    STREAM_NOW,
    STREAM_LAST /* now, and stream_close() follows where all of it fits into the socket */
};

/* Sees to it that the output is sent: written() comes when it is late or was full. */
void stream_send(struct stream *stream, enum stream_sending sending);

#endif
