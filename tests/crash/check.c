#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/xalloc.h"
#include "stored/index.h"
#include "stored/record.h"
#include "stored/segments.h"
#include "stored/store.h"
#include "tests/crash/body.h"
#include "tests/crash/check.h"
#include "tests/crash/expect.h"
#include "tests/crash/random.h"

/* Segments that are looked at; more than any life has. */
#define SEGMENTS_MAX 4096

struct checking {
    struct store *store;
    struct segments *segments;
    uint64_t messages, octets;
    uint64_t digest;
    bool used[SEGMENTS_MAX]; /* segments with messages */
};

static void fail_at(const struct index_message *row, const char *what)
{
    expect_fail("mailbox %" PRIu64 " uid %" PRIu64 " (segment %" PRIu64 " offset %" PRIu64 "): %s",
                row->mailbox, row->uid, row->segment, row->offset, what);
}

static uint64_t judge_body(const struct index_message *row, const uint8_t *body)
{
    uint64_t serial = body_serial(body, row->body_length);
    uint8_t *right = xmalloc(row->body_length);

    if (serial == 0 || serial >= EXPECT_SERIALS || expect.sent[serial].length != row->body_length ||
        (expect.sent[serial].mailboxes >> row->mailbox & 1) == 0)
        fail_at(row, "a message that was never sent to it");
    body_make(serial, right, row->body_length);
    if (memcmp(right, body, row->body_length) != 0)
        fail_at(row, "the octets are not those that were sent");
    free(right);
    return serial;
}

uint64_t check_message(struct segments *segments, const struct index_message *row)
{
    const struct segment *segment = segments_get(segments, row->segment);
    size_t length = row->header_length + row->body_length;
    uint8_t *octets = xmalloc(length);
    struct iovec piece = {octets, length};
    const struct record_header *header = (const struct record_header *)(void *)octets;

    if (segment == NULL || segment_read(segment, &piece, 1, row->offset) != 0)
        fail_at(row, "cannot be read");
    if (row->body_length < BODY_LENGTH_MIN || row->octets != row->body_length ||
        record_check(octets, length, row->segment, row->offset, segment->seed) != 0 ||
        header->length != row->header_length || header->body_length != row->body_length ||
        !record_names(header, row->mailbox, row->uid))
        fail_at(row, "no such record is there");
    if (record_sum(segment->seed, octets + header->length, header->body_length) != header->body_sum)
        fail_at(row, "the body's checksum does not fit");
    uint64_t serial = judge_body(row, octets + row->header_length);
    free(octets);
    return serial;
}

static int check_listed(void *context, const struct index_message *row)
{
    struct checking *checking = context;

    if (row->mailbox >= EXPECT_MAILBOXES || row->uid >= EXPECT_UIDS)
        fail_at(row, "no such mailbox or uid was ever used");
    struct expect_mailbox *mailbox = &expect.mailboxes[row->mailbox];
    struct expect_message *message = &mailbox->messages[row->uid];
    if (message->gone || mailbox->dropped)
        fail_at(row, "is back after its deletion was acknowledged");
    uint64_t serial = check_message(checking->segments, row);
    if (message->known && message->serial != serial)
        fail_at(row, "the uid was another message's");
    /* 0: the loss came between the two entries that tell serial and time. */
    if (message->known && message->time != 0 && message->time != row->time)
        fail_at(row, "the message had another unique-id");
    struct store_surrogate surrogate = body_surrogate(serial);
    if (row->has_surrogate != (surrogate.needed != 0) || row->growth != surrogate.growth)
        fail_at(row, "the message had another surrogate");
    if ((expect.sent[serial].listed >> row->mailbox & 1) != 0)
        fail_at(row, "the message is there twice");
    expect.sent[serial].listed |= UINT64_C(1) << row->mailbox;
    message->listed = true;
    message->serial = serial;
    message->time = row->time;
    if (row->segment < SEGMENTS_MAX)
        checking->used[row->segment] = true;
    checking->messages++;
    checking->octets += row->octets;
    /* A sum, so that the order on disk does not count. */
    checking->digest += random_mix(random_mix(random_mix(row->mailbox) ^ row->uid) ^ serial) ^
                        random_mix(row->time);
    return 0;
}

/* Every uid that somebody has seen stays his. */
static void check_uids(struct checking *checking, uint64_t id, bool *dropped_r)
{
    const struct expect_mailbox *mailbox = &expect.mailboxes[id];
    struct index_mailbox row;

    if (index_get_mailbox(checking->store->index, id, &row) != 0)
        expect_fail("the index cannot be read");
    *dropped_r = row.dropped;
    if (mailbox->dropped && !row.dropped)
        expect_fail("mailbox %" PRIu64 " is back after its drop was acknowledged", id);
    if (row.dropped && !mailbox->drop_asked)
        expect_fail("mailbox %" PRIu64 " is dropped, and nobody asked for it", id);
    if (!row.dropped && row.uid_next <= mailbox->highest)
        expect_fail("mailbox %" PRIu64 " gives uid %" PRIu64 " next, and %" PRIu64 " was given out",
                    id, row.uid_next, mailbox->highest);
}

struct request {
    unsigned present, gone;
};

static void check_mailbox(struct checking *checking, uint64_t id, struct request *requests)
{
    struct expect_mailbox *mailbox = &expect.mailboxes[id];
    bool dropped;

    check_uids(checking, id, &dropped);
    for (uint64_t uid = 0; uid < EXPECT_UIDS; uid++) {
        const struct expect_message *message = &mailbox->messages[uid];
        if (dropped && message->listed)
            expect_fail("mailbox %" PRIu64 " is dropped and lists uid %" PRIu64, id, uid);
        if (!message->known || message->gone || dropped)
            continue;
        if (!message->listed && message->request == 0)
            expect_fail("mailbox %" PRIu64 " uid %" PRIu64 " (message %" PRIu64 ") is lost", id,
                        uid, message->serial);
        requests[message->request].present += message->listed;
        requests[message->request].gone += !message->listed;
    }
}

void check_tell(uint64_t mailbox, uint64_t uid, uint64_t serial, uint64_t time)
{
    expect_event(TRACE_KNOWN, mailbox, uid, serial);
    expect_event(TRACE_DATED, mailbox, uid, time);
}

/* What the store shows after a crash is shown for good. */
static void settle_mailbox(uint64_t id, bool dropped)
{
    struct expect_mailbox *mailbox = &expect.mailboxes[id];

    if (dropped && !mailbox->dropped)
        expect_event(TRACE_DROPPED, id, 0, 0);
    for (uint64_t uid = 0; uid < EXPECT_UIDS; uid++) {
        struct expect_message *message = &mailbox->messages[uid];
        if (message->listed && (!message->known || message->request != 0))
            check_tell(id, uid, message->serial, message->time);
        else if (message->known && !message->gone && !message->listed)
            expect_event(TRACE_EXPUNGED, id, uid, 0);
        message->listed = false;
    }
}

/* What has no live octets is removed, and what has some is not. */
static int check_segment(void *context, const struct index_segment *row)
{
    const struct checking *checking = context;

    if (row->segment < SEGMENTS_MAX && (row->live > 0) != checking->used[row->segment])
        expect_fail("segment %" PRIu64 " counts %" PRIu64 " live octets and %s messages",
                    row->segment, row->live, checking->used[row->segment] ? "has" : "has no");
    return 0;
}

static void check_totals(struct checking *checking)
{
    struct index_totals totals;

    if (index_get_totals(checking->store->index, true, &totals) != 0)
        expect_fail("the index cannot be read");
    if (index_each_segment(checking->store->index, check_segment, checking) != 0)
        expect_fail("the index cannot be read");
    if (totals.wrong_usage > 0 || totals.messages != checking->messages ||
        totals.octets != checking->octets)
        expect_fail("usage is %" PRIu64 " messages of %" PRIu64 " octets, listed are %" PRIu64
                    " of %" PRIu64 "; %" PRIu64 " mailboxes are wrong",
                    totals.messages, totals.octets, checking->messages, checking->octets,
                    totals.wrong_usage);
}

uint64_t check_store(struct store *store, struct segments *segments)
{
    struct checking checking = {.store = store, .segments = segments};
    struct request *requests = xcalloc(EXPECT_REQUESTS, sizeof(*requests));
    struct index_mailbox row;

    if (index_each_on_disk(store->index, check_listed, &checking) != 0)
        expect_fail("the index cannot be read");
    for (uint64_t id = 1; id < EXPECT_MAILBOXES; id++)
        check_mailbox(&checking, id, requests);
    for (uint32_t i = 1; i < EXPECT_REQUESTS; i++)
        if (requests[i].present > 0 && requests[i].gone > 0)
            expect_fail("of one expunge, %u messages are gone and %u are not", requests[i].gone,
                        requests[i].present);
    check_totals(&checking);
    for (uint64_t id = 1; id < EXPECT_MAILBOXES; id++)
        if (index_get_mailbox(store->index, id, &row) == 0)
            settle_mailbox(id, row.dropped);
    for (uint64_t serial = 0; serial < EXPECT_SERIALS; serial++)
        expect.sent[serial].listed = 0;
    free(requests);
    return checking.digest;
}
