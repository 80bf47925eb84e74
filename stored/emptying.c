#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

#include "lib/fault.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/xalloc.h"
#include "stored/commit.h"
#include "stored/emptying.h"
#include "stored/index.h"
#include "stored/mailbox.h"
#include "stored/record.h"
#include "stored/segment.h"
#include "stored/segments.h"
#include "stored/store.h"

/* What one step does at most: records looked at, references of expunges and drops, octets copied.
 */
#define STEP_RECORDS 256
#define STEP_REFS    512
#define STEP_OCTETS  (1024 * 1024)

/* Octets on their way to the disk above which the walk waits. */
#define UNDER_WAY_MAX ((uint64_t)4 * 1024 * 1024)

/* What most headers fit into with their references: one read. */
#define HEADER_USUAL 512

/* Bodies below it are not worth a call each; and what the disk can give back are whole blocks. */
#define PUNCH_LEAST (64 * 1024)
#define BLOCK       4096

struct emptying {
    struct store *store;
    struct segment segment;
    enum emptying_way way;
    uint64_t offset, end; /* of what is still to be walked through */
    uint64_t copied;      /* in this step */
    uint32_t refs;        /* in this step */
    uint32_t next_ref;    /* of the expunge or drop in hand */
    uint64_t under_way;   /* octets of records that are to become durable */
    unsigned carrying;    /* records with what is carried that are under way */
    bool busy, damaged;
    bool moved;        /* the walk goes on to what is carried */
    bool yielding;     /* somebody waits for a mailbox whose messages are on their way */
    struct held *held; /* by mailbox id */
    /* What is carried forward, gathered into few records. */
    struct carried {
        struct record_ref ref;
        uint64_t place; /* UINT64_MAX: a drop */
    } * carried;
    uint32_t carried_count;
};

/* A mailbox that is locked for the copies of its messages, together. */
struct held {
    struct mailbox *mailbox;
    uint64_t id;
    unsigned copies;
    UT_hash_handle hh;
};

/* A record on its way forward. */
struct copy {
    struct commit commit; /* first: on_copied() finds the copy by it */
    struct emptying *emptying;
    uint8_t *body;
    struct mailbox **mailboxes; /* of its references, locked */
};

static union {
    struct record_header header;
    uint8_t octets[RECORD_HEADER_MAX];
} scratch;

struct emptying *emptying_new(struct store *store, uint64_t segment, enum emptying_way way)
{
    struct emptying *emptying = xcalloc(1, sizeof(*emptying));
    struct index_segment row;

    emptying->store = store;
    emptying->way = way;
    emptying->segment = (struct segment){.id = segment, .seed = store->seed};
    int error = segment_open(&emptying->segment);
    if (index_get_segment(store->index, segment, &row) < 0)
        error = EIO;
    /* Removed already, but the folder could not be synced: that is to be done again. */
    if (error == ENOENT && row.live == 0 && way == EMPTYING_REMOVE) {
        row.applied = SEGMENT_START;
        error = 0;
    }
    if (error != 0) {
        log_warning("segment %" PRIu64 " cannot be reclaimed: %s", segment, strerror(error));
        segment_close(&emptying->segment);
        free(emptying);
        return NULL;
    }
    emptying->offset = SEGMENT_START;
    emptying->end = row.applied;
    emptying->carried = xmalloc(STEP_REFS * sizeof(*emptying->carried));
    return emptying;
}

void emptying_free(struct emptying *emptying)
{
    segment_close(&emptying->segment);
    free(emptying->carried);
    free(emptying);
}

/* --- reading --------------------------------------------------------------------------------- */

static int read_at(struct emptying *emptying, void *data_r, size_t length, uint64_t offset)
{
    struct iovec piece = {data_r, length};

    return segment_read(&emptying->segment, &piece, 1, offset);
}

/* Reads the header at the walk's place into scratch. False: there is none, or it is damaged. */
static bool read_header(struct emptying *emptying)
{
    const struct segment *segment = &emptying->segment;
    uint64_t left = emptying->end - emptying->offset;
    size_t length = left < HEADER_USUAL ? (size_t)left : HEADER_USUAL;

    if (read_at(emptying, scratch.octets, length, emptying->offset) != 0)
        return false;
    int found = record_check(scratch.octets, length, segment->id, emptying->offset, segment->seed);
    if (found == 1 && length >= sizeof(scratch.header) && scratch.header.length <= left) {
        length = scratch.header.length;
        if (read_at(emptying, scratch.octets, length, emptying->offset) != 0)
            return false;
        found = record_check(scratch.octets, length, segment->id, emptying->offset, segment->seed);
    }
    return found == 0 && record_span(&scratch.header) <= left;
}

/* Whether the message is still there, and this record is its place. */
static bool is_here(const struct emptying *emptying, const struct record_ref *ref)
{
    struct index_place place;

    if (ref->mailbox == 0)
        return false;
    int found = index_find_place(emptying->store->index, ref->mailbox, ref->uid, &place);
    if (found < 0)
        log_retry("the index cannot be read");
    return found == 1 && place.segment == emptying->segment.id && place.offset == emptying->offset;
}

/* --- moving messages ------------------------------------------------------------------------- */

static void release(struct emptying *emptying, struct mailbox **mailboxes, uint32_t count)
{
    struct held *held;

    for (uint32_t i = 0; i < count; i++) {
        HASH_FIND(hh, emptying->held, &mailboxes[i]->id, sizeof(held->id), held);
        if (held == NULL || --held->copies > 0)
            continue;
        HASH_DEL(emptying->held, held);
        free(held);
        mailbox_unlock(mailboxes[i]);
        mailbox_put(emptying->store->mailboxes, mailboxes[i]);
    }
}

/* What a full or failing disk did not take it will hardly take of the next message. */
static void give_up(struct emptying *emptying)
{
    emptying->busy = true;
    emptying->yielding = false;
    emptying->offset = emptying->end;
    emptying->carried_count = 0;
}

static void on_copied(struct commit *commit, enum store_result result)
{
    struct copy *copy = (struct copy *)(void *)commit;
    struct emptying *emptying = copy->emptying;

    if (result != STORE_OK)
        give_up(emptying);
    else if (copy->body != NULL)
        metric_add(METRIC_STORE_MOVED_OCTETS, (int64_t)record_span(commit->header));
    if (copy->mailboxes != NULL)
        release(emptying, copy->mailboxes, commit->header->ref_count);
    else
        emptying->carrying--;
    emptying->under_way -= record_span(commit->header);
    free(copy->mailboxes);
    free(copy->body);
    free(commit->header);
    free(copy);
}

/* Puts a record on its way. Takes over header, body and locks. */
static void send_forward(struct emptying *emptying, struct record_header *header, uint8_t *body,
                         struct mailbox **mailboxes)
{
    struct copy *copy = xcalloc(1, sizeof(*copy));

    copy->emptying = emptying;
    copy->body = body;
    copy->mailboxes = mailboxes;
    copy->commit.header = header;
    copy->commit.body = body;
    copy->commit.moves = true;
    copy->commit.done = on_copied;
    emptying->under_way += record_span(header);
    commit_add(emptying->store->commits, &copy->commit);
    fault_point("reclaim.copying");
}

static void hold(struct emptying *emptying, struct mailbox *mailbox)
{
    struct held *held = xcalloc(1, sizeof(*held));

    held->mailbox = mailbox;
    held->id = mailbox->id;
    held->copies = 1;
    HASH_ADD(hh, emptying->held, id, sizeof(held->id), held);
}

/* A mailbox that is held is locked once more only while no session waits for it. */
static bool lock(struct emptying *emptying, uint64_t id, struct mailbox **mailbox_r)
{
    struct held *held;

    HASH_FIND(hh, emptying->held, &id, sizeof(id), held);
    if (held != NULL) {
        emptying->yielding = held->mailbox->waiters != NULL;
        held->copies += !emptying->yielding;
        *mailbox_r = held->mailbox;
        return !emptying->yielding;
    }
    struct mailbox *mailbox = mailbox_get(emptying->store->mailboxes, id);
    if (mailbox == NULL)
        return false;
    if (mailbox_lock(mailbox)) {
        hold(emptying, mailbox);
        *mailbox_r = mailbox;
        return true;
    }
    mailbox_put(emptying->store->mailboxes, mailbox);
    return false;
}

/* Locks all mailboxes that the record in scratch is live in, or none. */
static bool lock_all(struct emptying *emptying, struct record_ref *refs_r,
                     struct mailbox **mailboxes_r, uint32_t *count_r)
{
    const struct record_ref *refs = record_refs(&scratch.header);

    *count_r = 0;
    for (uint32_t i = 0; i < scratch.header.ref_count; i++) {
        if (!is_here(emptying, &refs[i]))
            continue;
        if (!lock(emptying, refs[i].mailbox, &mailboxes_r[*count_r])) {
            release(emptying, mailboxes_r, *count_r);
            return false;
        }
        refs_r[(*count_r)++] = refs[i];
    }
    return true;
}

/* NULL: what the disk holds is not the body. */
static uint8_t *read_body(struct emptying *emptying)
{
    size_t length = (size_t)scratch.header.body_length;
    uint8_t *body = xmalloc(length + 1);

    if (read_at(emptying, body, length, emptying->offset + scratch.header.length) == 0 &&
        record_sum(emptying->segment.seed, body, length) == scratch.header.body_sum)
        return body;
    free(body);
    return NULL;
}

static void copy_record(struct emptying *emptying, const struct record_ref *refs, uint32_t count,
                        uint8_t *body, struct mailbox **mailboxes)
{
    struct record_header *header =
        record_new(RECORD_MESSAGE, count, record_unique_id(&scratch.header));
    const struct store_surrogate surrogate = record_surrogate(&scratch.header);

    header->body_length = scratch.header.body_length;
    header->octets = scratch.header.octets;
    header->top_length = scratch.header.top_length;
    header->time = scratch.header.time;
    record_set_surrogate(header, &surrogate);
    memcpy(record_refs(header), refs, count * sizeof(*refs));
    emptying->copied += record_span(header);
    send_forward(emptying, header, body, mailboxes);
}

/* A record whose mailbox is yielded is looked at again when what is on its way has arrived. */
static void move_message(struct emptying *emptying)
{
    uint32_t count = scratch.header.ref_count;
    struct mailbox **mailboxes = xcalloc(count + 1, sizeof(struct mailbox *));
    struct record_ref *refs = xcalloc(count + 1, sizeof(*refs));
    uint8_t *body = NULL;

    emptying->yielding = false;
    if (!lock_all(emptying, refs, mailboxes, &count)) {
        emptying->busy |= !emptying->yielding;
    } else if (count > 0 && !commits_go_behind(emptying->store->commits, emptying->segment.id)) {
        emptying->busy = true;
        release(emptying, mailboxes, count);
    } else if (count > 0) {
        body = read_body(emptying);
        if (body == NULL) {
            emptying->damaged = true;
            release(emptying, mailboxes, count);
        }
    }
    if (body != NULL)
        copy_record(emptying, refs, count, body, mailboxes);
    else
        free(mailboxes);
    free(refs);
}

/* --- carrying expunges and drops ------------------------------------------------------------- */

#define PLACE_OF_DROP UINT64_MAX

static struct record_header *carried_record(const struct emptying *emptying, bool drops)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < emptying->carried_count; i++)
        count += (emptying->carried[i].place == PLACE_OF_DROP) == drops;
    if (count == 0)
        return NULL;
    struct record_header *header = record_new(drops ? RECORD_DROP : RECORD_EXPUNGE, count, NULL);
    count = 0;
    for (uint32_t i = 0; i < emptying->carried_count; i++) {
        const struct carried *carried = &emptying->carried[i];
        if ((carried->place == PLACE_OF_DROP) != drops)
            continue;
        if (!drops)
            record_places(header)[count] = carried->place;
        record_refs(header)[count++] = carried->ref;
    }
    header->time = (uint64_t)time(NULL) * 1000000;
    return header;
}

static void send_carried(struct emptying *emptying)
{
    for (int drops = 0; drops < 2; drops++) {
        struct record_header *header = carried_record(emptying, drops != 0);
        if (header == NULL)
            continue;
        emptying->carrying++;
        send_forward(emptying, header, NULL, NULL);
    }
    emptying->carried_count = 0;
}

static void carry(struct emptying *emptying, const struct record_ref *ref, uint64_t place)
{
    if (emptying->carried_count == STEP_REFS)
        send_carried(emptying);
    emptying->carried[emptying->carried_count++] = (struct carried){*ref, place};
}

/* Whether the reference is what the log knows of the mailbox's highest uid. */
static bool is_highest(const struct emptying *emptying, const struct record_ref *ref)
{
    struct index_mailbox mailbox;

    if (index_get_mailbox(emptying->store->index, ref->mailbox, &mailbox) < 0)
        log_retry("the index cannot be read");
    return !mailbox.dropped && ref->uid + 1 >= mailbox.uid_next;
}

static void carry_expunge(struct emptying *emptying, const struct record_ref *ref, uint64_t place)
{
    int needed = index_needs_expunge(emptying->store->index, place, emptying->segment.id);

    if (needed < 0)
        log_retry("the index cannot be read");
    if (needed == 1)
        carry(emptying, ref, place);
    else if (is_highest(emptying, ref))
        carry(emptying, ref, 0);
}

/*
 * As much of an expunge or a drop as this step may do. Drops are few, and mail for a mailbox that
 * is gone may always be on its way.
 */
static void carry_some(struct emptying *emptying)
{
    const struct record_ref *refs = record_refs(&scratch.header);

    for (; emptying->next_ref < scratch.header.ref_count && emptying->refs < STEP_REFS;
         emptying->next_ref++, emptying->refs++) {
        uint32_t i = emptying->next_ref;
        if (scratch.header.type == RECORD_EXPUNGE)
            carry_expunge(emptying, &refs[i], record_places(&scratch.header)[i]);
        else
            carry(emptying, &refs[i], PLACE_OF_DROP);
    }
}

/* --- punching -------------------------------------------------------------------------------- */

static bool is_dead(const struct emptying *emptying)
{
    for (uint32_t i = 0; i < scratch.header.ref_count; i++)
        if (is_here(emptying, &record_refs(&scratch.header)[i]))
            return false;
    return true;
}

static void punch_body(struct emptying *emptying)
{
    uint64_t from = emptying->offset + scratch.header.length;
    uint64_t to = from + scratch.header.body_length;

    if (scratch.header.body_length < PUNCH_LEAST || !is_dead(emptying))
        return;
    from = (from + BLOCK - 1) / BLOCK * BLOCK;
    to = to / BLOCK * BLOCK;
    int error = segment_punch(&emptying->segment, from, to - from);
    if (error != 0) {
        emptying->busy = true;
        log_warning("space of segment %" PRIu64 " cannot be given back: %s", emptying->segment.id,
                    strerror(error));
    }
}

static enum emptying_result end_punching(const struct emptying *emptying)
{
    struct index *index = emptying->store->index;
    uint64_t allocated = segment_allocated(&emptying->segment);

    fault_point("reclaim.punched");
    index_begin(index);
    index_set_punched(index, emptying->segment.id,
                      allocated < emptying->end ? emptying->end - allocated : 0);
    index_commit(index);
    return emptying->damaged ? EMPTYING_DAMAGED : emptying->busy ? EMPTYING_BUSY : EMPTYING_DONE;
}

/* --- the walk -------------------------------------------------------------------------------- */

/* Whether the walk can go on behind the record in scratch. */
static bool handle_record(struct emptying *emptying)
{
    bool message = scratch.header.type == RECORD_MESSAGE;

    if (emptying->way == EMPTYING_PUNCH) {
        if (message)
            punch_body(emptying);
        return true;
    }
    if (message && !emptying->moved) {
        move_message(emptying);
        return !emptying->yielding;
    }
    if (message || !emptying->moved)
        return true;
    carry_some(emptying);
    return emptying->next_ref == scratch.header.ref_count;
}

/* All that was needed is durable elsewhere, and so is that the index knows it. */
static enum emptying_result remove_segment(struct emptying *emptying)
{
    struct store *store = emptying->store;
    uint64_t id = emptying->segment.id;
    struct index_segment row;

    if (index_get_segment(store->index, id, &row) < 0)
        log_retry("the index cannot be read");
    if (row.live > 0)
        return EMPTYING_DAMAGED;
    fault_point("reclaim.copied");
    index_sync(store->index);
    fault_point("reclaim.synced");
    segments_forget(store->segments, id);
    int error = segment_remove(id);
    if (error != 0) {
        log_warning("segment %" PRIu64 " cannot be removed: %s", id, strerror(error));
        return EMPTYING_BUSY;
    }
    fault_point("reclaim.removed");
    index_begin(store->index);
    index_forget_segment(store->index, id);
    index_commit(store->index);
    metric_add(METRIC_STORE_RECLAIMED_OCTETS, (int64_t)(row.applied - row.punched));
    return EMPTYING_DONE;
}

static enum emptying_result end(struct emptying *emptying)
{
    if (emptying->way == EMPTYING_PUNCH)
        return end_punching(emptying);
    if (emptying->under_way > 0)
        return EMPTYING_WAITS;
    if (emptying->damaged || emptying->busy)
        return emptying->damaged ? EMPTYING_DAMAGED : EMPTYING_BUSY;
    if (!emptying->moved) {
        /* Not before: what has to stay would have it carried again at each try. */
        emptying->moved = true;
        emptying->offset = SEGMENT_START;
        return EMPTYING_GOES_ON;
    }
    if (emptying->carried_count == 0)
        return remove_segment(emptying);
    send_carried(emptying);
    return EMPTYING_WAITS;
}

enum emptying_result emptying_step(struct emptying *emptying, uint64_t *copied_r)
{
    unsigned records = 0;

    *copied_r = 0;
    emptying->copied = 0;
    emptying->refs = 0;
    /* To enter what is carried into the index takes as long again as to gather it. */
    if (emptying->carrying > 0)
        return EMPTYING_WAITS;
    while (emptying->offset < emptying->end && records++ < STEP_RECORDS &&
           emptying->copied < STEP_OCTETS && emptying->under_way < UNDER_WAY_MAX) {
        /* Which expunges a damaged header hides, nobody knows: so the segment stays as it is. */
        if (!read_header(emptying)) {
            emptying->damaged = true;
            emptying->offset = emptying->end;
            break;
        }
        if (!handle_record(emptying))
            break;
        emptying->next_ref = 0;
        emptying->offset += record_span(&scratch.header);
    }
    *copied_r = emptying->copied;
    if (emptying->yielding)
        return EMPTYING_WAITS;
    if (emptying->offset < emptying->end)
        return emptying->under_way < UNDER_WAY_MAX ? EMPTYING_GOES_ON : EMPTYING_WAITS;
    return end(emptying);
}
