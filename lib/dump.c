#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/dump.h"
#include "lib/xalloc.h"

_Static_assert(sizeof(struct dump_contents) == 40, "no holes");
_Static_assert(sizeof(struct dump_message) == 40, "no holes");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "dumps are little-endian");

/* Returns 0, or -1 (errno). */
static int write_all(int fd, const uint8_t *data, size_t length)
{
    while (length > 0) {
        ssize_t done = write(fd, data, length);
        if (done < 0)
            return -1;
        data += done;
        length -= (size_t)done;
    }
    return 0;
}

int dump_send(int fd, enum dump_type type, const void *payload, size_t length)
{
    struct dump_frame frame = {.type = type, .length = (uint32_t)length};
    struct iovec pieces[] = {{&frame, sizeof(frame)}, {(void *)(uintptr_t)payload, length}};

    ssize_t done = writev(fd, pieces, length > 0 ? 2 : 1);
    if (done < 0)
        return -1;
    size_t written = (size_t)done;
    if (written < sizeof(frame)) {
        if (write_all(fd, (const uint8_t *)&frame + written, sizeof(frame) - written) < 0)
            return -1;
        written = sizeof(frame);
    }
    written -= sizeof(frame);
    return length > 0 ? write_all(fd, (const uint8_t *)payload + written, length - written) : 0;
}

/* Returns the octets read, fewer than `length` only at the stream's end; -1 (errno). */
static ssize_t read_all(int fd, uint8_t *data_r, size_t length)
{
    size_t got = 0;

    while (got < length) {
        ssize_t done = read(fd, data_r + got, length - got);
        if (done < 0)
            return -1;
        if (done == 0)
            break;
        got += (size_t)done;
    }
    return (ssize_t)got;
}

int dump_receive(int fd, struct dump_frame *frame_r, void *payload_r)
{
    ssize_t got = read_all(fd, (uint8_t *)frame_r, sizeof(*frame_r));

    if (got <= 0)
        return (int)got;
    if (got == sizeof(*frame_r) && frame_r->length <= DUMP_FRAME_MAX) {
        got = read_all(fd, payload_r, frame_r->length);
        if (got < 0 || (size_t)got == frame_r->length)
            return got < 0 ? -1 : 1;
    }
    errno = EBADMSG;
    return -1;
}

void dump_writer_init(struct dump_writer *writer, int fd)
{
    writer->fd = fd;
    writer->length = 0;
    writer->payload = xmalloc(DUMP_FRAME_MAX);
}

void dump_writer_fini(struct dump_writer *writer)
{
    free(writer->payload);
    writer->payload = NULL;
}

int dump_flush(struct dump_writer *writer)
{
    size_t length = writer->length;

    writer->length = 0;
    return length > 0 ? dump_send(writer->fd, writer->type, writer->payload, length) : 0;
}

int dump_write(struct dump_writer *writer, enum dump_type type, const void *data, size_t length)
{
    const uint8_t *from = data;
    /* Of what is not octets, a frame holds whole ones. */
    size_t most = type == DUMP_BODIES ? DUMP_FRAME_MAX : DUMP_FRAME_MAX - DUMP_FRAME_MAX % length;

    if (writer->length > 0 && writer->type != type && dump_flush(writer) < 0)
        return -1;
    writer->type = type;
    while (length > 0) {
        size_t part = most - writer->length < length ? most - writer->length : length;
        memcpy(writer->payload + writer->length, from, part);
        writer->length += part;
        from += part;
        length -= part;
        if (writer->length == most && dump_flush(writer) < 0)
            return -1;
    }
    return 0;
}
