#include "admin/wipedstream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <sodium.h>

#include "lib/log.h"
#include "lib/xalloc.h"

struct wipedstream {
    char **text_r;
    size_t *length_r;
    size_t room;
    char buffer[BUFSIZ]; /* the stream's, which would not wipe its own */
};

static void grow(struct wipedstream *stream, size_t room)
{
    char *before = *stream->text_r;

    *stream->text_r = xmalloc(room);
    memcpy(*stream->text_r, before, *stream->length_r);
    sodium_memzero(before, stream->room);
    free(before);
    stream->room = room;
}

static ssize_t take(void *cookie, const char *octets, size_t length)
{
    struct wipedstream *stream = cookie;
    size_t end = *stream->length_r + length;

    if (end >= stream->room)
        grow(stream, 2 * end);
    memcpy(*stream->text_r + *stream->length_r, octets, length);
    (*stream->text_r)[end] = '\0';
    *stream->length_r = end;
    return (ssize_t)length;
}

static int end(void *cookie)
{
    sodium_memzero(cookie, sizeof(struct wipedstream));
    free(cookie);
    return 0;
}

FILE *wipedstream_open(char **text_r, size_t *length_r)
{
    struct wipedstream *stream = xcalloc(1, sizeof(*stream));
    const cookie_io_functions_t functions = {.write = take, .close = end};
    FILE *file = fopencookie(stream, "w", functions);

    if (file == NULL)
        log_panic("out of memory");
    stream->text_r = text_r;
    stream->length_r = length_r;
    stream->room = BUFSIZ;
    *text_r = xcalloc(1, stream->room);
    *length_r = 0;
    setvbuf(file, stream->buffer, _IOFBF, sizeof(stream->buffer));
    return file;
}
