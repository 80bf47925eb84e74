#include <microhttpd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "admin/request.h"
#include "admin/stream.h"
#include "lib/log.h"
#include "lib/xalloc.h"

#define BLOCK 1024

struct stream {
    struct MHD_Connection *connection;
    void (*wake)(void *context);
    void *wake_context;
    void (*gone)(void *context);
    void *context;
    bool suspended;
    bool ended;
    size_t length;
    char waiting[STREAM_WAITING_MAX];
};

struct stream *stream_answer(struct request *request, const char *type, void (*gone)(void *context),
                             void *context)
{
    struct stream *stream = xcalloc(1, sizeof(*stream));

    stream->gone = gone;
    stream->context = context;
    request_set(request, 200, NULL);
    request->answer.type = type;
    request->answer.stream = stream;
    return stream;
}

static void resume(struct stream *stream)
{
    if (!stream->suspended)
        return;
    stream->suspended = false;
    MHD_resume_connection(stream->connection);
    stream->wake(stream->wake_context);
}

void stream_write(struct stream *stream, const char *text)
{
    size_t length = strlen(text);

    if (stream->ended)
        return;
    if (length > sizeof(stream->waiting) - stream->length) {
        stream_end(stream);
        return;
    }
    memcpy(stream->waiting + stream->length, text, length);
    stream->length += length;
    resume(stream);
}

void stream_end(struct stream *stream)
{
    stream->ended = true;
    resume(stream);
}

static ssize_t read_some(void *context, uint64_t position, char *buffer, size_t size)
{
    struct stream *stream = context;
    size_t length = stream->length < size ? stream->length : size;
    (void)position;

    if (length == 0 && stream->ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (length == 0) {
        stream->suspended = true;
        MHD_suspend_connection(stream->connection);
        return 0;
    }
    memcpy(buffer, stream->waiting, length);
    stream->length -= length;
    memmove(stream->waiting, stream->waiting + length, stream->length);
    return (ssize_t)length;
}

static void stream_free(void *context)
{
    struct stream *stream = context;

    stream->gone(stream->context);
    free(stream);
}

struct MHD_Response *stream_response(struct stream *stream, struct MHD_Connection *connection,
                                     void (*wake)(void *context), void *context)
{
    stream->connection = connection;
    stream->wake = wake;
    stream->wake_context = context;
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_some, stream,
                                             stream_free);
}
