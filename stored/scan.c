#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/log.h"
#include "lib/xalloc.h"
#include "stored/checksum.h"
#include "stored/scan.h"

/* Read at once while looking for a record or summing a body. */
#define WINDOW (256 * 1024)

/* Around an octet that cannot be read, this much is given up; and what stands in its place. */
#define PAGE       4096
#define UNREADABLE 0xff

#define RETRIES  3
#define RETRY_MS 50

struct scan {
    const struct segment *segment;
    const struct scan_events *events;
    void *context;
    bool bodies;
    bool any;                     /* something could be read */
    uint8_t *window;              /* WINDOW octets */
    struct record_header *header; /* RECORD_HEADER_MAX octets */
};

static int read_at(struct scan *scan, void *data_r, size_t length, uint64_t offset)
{
    struct iovec piece = {data_r, length};
    int error = segment_read(scan->segment, &piece, 1, offset);

    scan->any = scan->any || error == 0;
    return error;
}

/* Reads and checks a header at `offset`. 0: valid; ENOMSG: none there; else errno, EIO also. */
static int read_header(struct scan *scan, uint64_t offset)
{
    const struct segment *segment = scan->segment;
    size_t length = sizeof(struct record_header);

    if (offset + length > segment->size)
        return ENOMSG;
    int error = read_at(scan, scan->header, length, offset);
    int found =
        error == 0 ? record_check(scan->header, length, segment->id, offset, segment->seed) : -1;
    if (found == 1 && offset + scan->header->length <= segment->size) {
        length = scan->header->length;
        error = read_at(scan, scan->header, length, offset);
        found = error == 0 ? record_check(scan->header, length, segment->id, offset, segment->seed)
                           : -1;
    }
    if (error != 0)
        return error;
    if (found != 0 || offset + scan->header->length + scan->header->body_length > segment->size)
        return ENOMSG;
    return 0;
}

/*
 * Where a record is expected, what the disk does not give back is asked for again: an error that
 * passes must not make a record a gap, behind which the index would go on for good.
 */
static int read_expected(struct scan *scan, uint64_t offset)
{
    static const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};
    int error = read_header(scan, offset);

    for (int i = 0; error == EIO && i < RETRIES; i++) {
        nanosleep(&pause, NULL);
        error = read_header(scan, offset);
    }
    return error == EIO ? ENOMSG : error;
}

static int judge_body(struct scan *scan, enum scan_body *body_r)
{
    const struct record_header *header = scan->header;
    XXH3_state_t *state = XXH3_createState();
    uint64_t done = 0;
    int error = 0;

    if (state == NULL)
        log_fatal("out of memory");
    XXH3_64bits_reset_withSeed(state, scan->segment->seed);
    while (error == 0 && done < header->body_length) {
        uint64_t left = header->body_length - done;
        size_t length = left < WINDOW ? (size_t)left : WINDOW;
        error = read_at(scan, scan->window, length, header->offset + header->length + done);
        if (error == 0)
            XXH3_64bits_update(state, scan->window, length);
        done += length;
    }
    *body_r = error == EIO ? SCAN_UNREADABLE : SCAN_BAD;
    if (error == 0 && XXH3_64bits_digest(state) == header->body_sum)
        *body_r = SCAN_GOOD;
    XXH3_freeState(state);
    return error == EIO || error == ENODATA ? 0 : error;
}

/* As read_at(), but what the disk does not give back is UNREADABLE. */
static int read_around(struct scan *scan, uint8_t *data_r, size_t length, uint64_t offset)
{
    int error = read_at(scan, data_r, length, offset);

    if (error != EIO)
        return error;
    for (size_t done = 0, part; done < length; done += part) {
        part = PAGE - (size_t)((offset + done) % PAGE);
        part = part < length - done ? part : length - done;
        error = read_at(scan, data_r + done, part, offset + done);
        if (error == EIO)
            memset(data_r + done, UNREADABLE, part);
        else if (error != 0)
            return error;
    }
    return 0;
}

static size_t last_octet(const uint8_t *octets, size_t length)
{
    while (length > 0 && octets[length - 1] == 0)
        length--;
    return length;
}

/*
 * Looks for the next valid header from `offset` on. 0: *found_r; ENOMSG: none up to the end of
 * the file; *dirt_r then stands behind the last octet that is not 0.
 */
static int find_record(struct scan *scan, uint64_t offset, uint64_t *found_r, uint64_t *dirt_r)
{
    const uint32_t magic = RECORD_MAGIC;

    while (offset < scan->segment->size) {
        uint64_t left = scan->segment->size - offset;
        size_t length = left < WINDOW ? (size_t)left : WINDOW;
        int error = read_around(scan, scan->window, length, offset);
        if (error != 0)
            return error;
        /* Not a bad place, but a disk that is not there: what it holds must not be passed over. */
        if (!scan->any)
            return EIO;
        size_t used = last_octet(scan->window, length);
        for (size_t i = 0; i + sizeof(magic) <= length && i < used; i += RECORD_ALIGN) {
            if (memcmp(scan->window + i, &magic, sizeof(magic)) != 0)
                continue;
            error = read_header(scan, offset + i);
            if (error == 0)
                *found_r = offset + i;
            /* What the disk does not give back is no record; the search goes on behind it. */
            if (error != ENOMSG && error != EIO)
                return error;
        }
        if (used > 0)
            *dirt_r = offset + used;
        offset += length;
    }
    return ENOMSG;
}

static int scan_records(struct scan *scan, uint64_t offset, uint64_t *end_r, uint64_t *dirt_r)
{
    enum scan_body body = SCAN_GOOD;

    *end_r = offset;
    *dirt_r = offset;
    for (;;) {
        int error = read_expected(scan, *end_r);
        if (error == ENOMSG) {
            uint64_t found;
            error = find_record(scan, *end_r, &found, dirt_r);
            if (error != 0)
                return error == ENOMSG ? 0 : error;
            scan->events->gap(scan->context, *end_r, found);
            *end_r = found;
        }
        if (error == 0 && scan->bodies)
            error = judge_body(scan, &body);
        if (error != 0)
            return error;
        *end_r += record_span(scan->header);
        *dirt_r = *end_r;
        scan->events->record(scan->context, scan->header, body);
    }
}

int scan_segment(const struct segment *segment, uint64_t offset, bool bodies,
                 const struct scan_events *events, void *context, uint64_t *end_r, uint64_t *dirt_r)
{
    struct scan scan = {
        .segment = segment,
        .events = events,
        .context = context,
        .bodies = bodies,
        .window = xmalloc(WINDOW),
        .header = xmalloc(RECORD_HEADER_MAX),
    };

    int error = scan_records(&scan, offset, end_r, dirt_r);
    free(scan.window);
    free(scan.header);
    return error;
}
