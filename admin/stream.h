#ifndef ADMIN_STREAM_H
#define ADMIN_STREAM_H

#include <stddef.h>

struct MHD_Connection;
struct MHD_Response;
struct request;

/*
 * An answer whose text comes by and by, for as long as both sides want: events (SSE). While there
 * is nothing to send, the connection costs nothing. Its request is gone by then.
 */
struct stream;

/* What is not taken meanwhile; who takes less is hung up on. */
#define STREAM_WAITING_MAX (16 * 1024)

/*
 * Makes it the request's answer, with status 200. `gone` is called once, when the connection has
 * ended, and the stream is freed after it.
 */
struct stream *stream_answer(struct request *request, const char *type, void (*gone)(void *context),
                             void *context);

void stream_write(struct stream *stream, const char *text);

/* Ends after what has been written; nothing is written any more. */
void stream_end(struct stream *stream);

/* For the transport (admin/http.c), which adds headers; `wake` has the connection looked at. */
struct MHD_Response *stream_response(struct stream *stream, struct MHD_Connection *connection,
                                     void (*wake)(void *context), void *context);

#endif
