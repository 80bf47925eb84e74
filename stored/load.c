#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/dump.h"
#include "lib/log.h"
#include "lib/storemsg.h"
#include "lib/xalloc.h"
#include "stored/checksum.h"
#include "stored/index.h"
#include "stored/load.h"
#include "stored/record.h"
#include "stored/recovery.h"
#include "stored/segment.h"
#include "stored/uniqueid.h"

/* Records gather to writes of this size; a larger one is written in pieces of it. */
#define WRITE_SIZE ((size_t)4 * 1024 * 1024)

/* Records in one transaction of the index. */
#define APPLY_AT_ONCE 10000

/* One message that is to be there at the end. */
struct listed {
    uint64_t mailbox;
    uint64_t uid : 63;
    uint64_t loaded : 1;
};

struct load {
    /* What is to be, ascending; known before the first body. */
    struct dump_mailbox *mailboxes;
    size_t mailbox_count;
    struct listed *listed;
    size_t listed_count, listed_room;
    bool sorted;

    /* The stream: a frame and how much of it is used up. */
    struct dump_frame frame;
    uint8_t *payload;
    size_t used;

    /* The segment that is written, and what of it waits in memory: the octets before `end`. */
    struct segment segment;
    uint64_t segment_size, end;
    uint8_t *buffer; /* WRITE_SIZE octets */
    size_t buffered;

    struct index *index;
    unsigned in_transaction;
    uint64_t commit;
    struct dump_end done;
};

static void malformed(void)
{
    log_fatal("the backup's stream of messages breaks its rules; nothing of it counts");
}

static void check_disk(int error)
{
    if (error != 0)
        log_fatal("the store cannot be written: %s; make room, then restore again",
                  strerror(error));
}

/* --- what is to be ---------------------------------------------------------------------------- */

/* What the stream lists comes before the first body. Returns how many things of `size` there are.
 */
static size_t count_listed(const struct load *load, size_t size)
{
    if (load->sorted || load->frame.length % size != 0)
        malformed();
    return load->frame.length / size;
}

/* The index's numbers have a sign. */
static void check_id(uint64_t id)
{
    if (id == 0 || id >= INT64_MAX)
        malformed();
}

static void add_mailboxes(struct load *load)
{
    const struct dump_mailbox *mailboxes = (const void *)load->payload;
    size_t count = count_listed(load, sizeof(*mailboxes));

    for (size_t i = 0; i < count; i++) {
        check_id(mailboxes[i].mailbox);
        check_id(mailboxes[i].uid_next);
    }
    load->mailboxes =
        xrealloc(load->mailboxes, (load->mailbox_count + count) * sizeof(*load->mailboxes));
    memcpy(load->mailboxes + load->mailbox_count, mailboxes, count * sizeof(*mailboxes));
    load->mailbox_count += count;
}

static void add_manifest(struct load *load)
{
    const struct dump_ref *refs = (const void *)load->payload;
    size_t count = count_listed(load, sizeof(*refs));

    if (load->listed_count + count > load->listed_room) {
        load->listed_room = 2 * (load->listed_count + count);
        load->listed = xrealloc(load->listed, load->listed_room * sizeof(*load->listed));
    }
    for (size_t i = 0; i < count; i++) {
        check_id(refs[i].mailbox);
        check_id(refs[i].uid);
        load->listed[load->listed_count++] =
            (struct listed){.mailbox = refs[i].mailbox, .uid = refs[i].uid & (UINT64_MAX >> 1)};
    }
}

static int compare(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;

    if (x->mailbox != y->mailbox)
        return x->mailbox < y->mailbox ? -1 : 1;
    return (x->uid > y->uid) - (x->uid < y->uid);
}

static struct listed *find(const struct load *load, uint64_t mailbox, uint64_t uid)
{
    const struct listed key = {.mailbox = mailbox, .uid = uid & (UINT64_MAX >> 1)};

    if (load->listed_count == 0)
        return NULL;
    return bsearch(&key, load->listed, load->listed_count, sizeof(key), compare);
}

/* --- the stream ------------------------------------------------------------------------------- */

static void next_frame(struct load *load)
{
    load->used = 0;
    if (dump_receive(STDIN_FILENO, &load->frame, load->payload) <= 0)
        log_fatal("the restore was given up before its end; \"bellhop restore\" begins anew");
}

/* The next octets of the bodies, wherever frames end. */
static void take(struct load *load, void *data_r, uint64_t length)
{
    uint8_t *to = data_r;

    while (length > 0) {
        while (load->used == load->frame.length) {
            next_frame(load);
            if (load->frame.type != DUMP_BODIES)
                malformed();
        }
        size_t left = load->frame.length - load->used;
        size_t part = left < length ? left : (size_t)length;
        if (to != NULL) {
            memcpy(to, load->payload + load->used, part);
            to += part;
        }
        load->used += part;
        length -= part;
    }
}

/* --- writing segments ------------------------------------------------------------------------- */

static void flush(struct load *load)
{
    struct iovec piece = {load->buffer, load->buffered};

    if (load->buffered > 0)
        check_disk(segment_write(&load->segment, &piece, 1, load->end - load->buffered));
    load->buffered = 0;
}

static void end_segment(struct load *load)
{
    if (load->segment.fd < 0)
        return;
    flush(load);
    check_disk(segment_trim(&load->segment, load->end));
    check_disk(segment_sync(&load->segment));
    index_set_applied(load->index, load->segment.id, load->end);
    segment_close(&load->segment);
}

/* Room for a record of `span` octets at load->end. */
static void make_room(struct load *load, uint64_t span)
{
    if (load->segment.fd >= 0 && load->end + span <= load->segment.size)
        return;
    end_segment(load);
    load->segment.id++;
    load->segment.size =
        SEGMENT_START + span > load->segment_size ? SEGMENT_START + span : load->segment_size;
    check_disk(segment_create(&load->segment, load->segment_size));
    load->end = SEGMENT_START;
}

static void seal(struct load *load, struct record_header *header)
{
    header->commit = ++load->commit;
    record_seal(header, load->segment.id, load->end, load->segment.seed);
}

static void apply(struct load *load, const struct record_header *header)
{
    index_apply(load->index, header);
    if (++load->in_transaction < APPLY_AT_ONCE)
        return;
    index_commit(load->index);
    index_begin(load->index);
    load->in_transaction = 0;
}

/* A record that fits the buffer; its body comes from the stream. */
static void write_small(struct load *load, struct record_header *header)
{
    size_t span = (size_t)record_span(header), length = (size_t)header->body_length;

    if (load->buffered + span > WRITE_SIZE)
        flush(load);
    uint8_t *at = load->buffer + load->buffered;
    memset(at + span - RECORD_ALIGN, 0, RECORD_ALIGN);
    if (length > 0)
        take(load, at + header->length, length);
    header->body_sum = record_sum(load->segment.seed, at + header->length, length);
    seal(load, header);
    memcpy(at, header, header->length);
    load->buffered += span;
    load->end += span;
}

/* The body goes to its place piece by piece, the header last. The file was zeros before. */
static void write_large(struct load *load, struct record_header *header)
{
    XXH3_state_t *state = XXH3_createState();
    uint64_t done = 0;

    flush(load);
    if (state == NULL)
        log_fatal("out of memory");
    XXH3_64bits_reset_withSeed(state, load->segment.seed);
    while (done < header->body_length) {
        uint64_t left = header->body_length - done;
        struct iovec piece = {load->buffer, left < WRITE_SIZE ? (size_t)left : WRITE_SIZE};
        take(load, load->buffer, piece.iov_len);
        XXH3_64bits_update(state, load->buffer, piece.iov_len);
        done += piece.iov_len;
        uint64_t at = load->end + header->length + done - piece.iov_len;
        check_disk(segment_write(&load->segment, &piece, 1, at));
    }
    header->body_sum = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    seal(load, header);
    struct iovec piece = {header, header->length};
    check_disk(segment_write(&load->segment, &piece, 1, load->end));
    load->end += record_span(header);
}

static void write_record(struct load *load, struct record_header *header)
{
    make_room(load, record_span(header));
    if (record_span(header) <= WRITE_SIZE)
        write_small(load, header);
    else
        write_large(load, header);
    apply(load, header);
}

/* --- one message ------------------------------------------------------------------------------ */

struct incoming {
    struct dump_message message;
    struct dump_ref *refs; /* those that are wanted come first */
    uint32_t wanted;
    struct store_surrogate surrogate;
    char unique_id[STORE_UNIQUE_ID_MAX + 1];
};

static void take_surrogate(struct load *load, struct incoming *incoming)
{
    const struct dump_message *message = &incoming->message;
    struct store_surrogate *surrogate = &incoming->surrogate;

    *surrogate = (struct store_surrogate){.version = message->surrogate_version,
                                          .needed = message->surrogate_needed};
    if (surrogate->needed != 0)
        take(load, &surrogate->growth, sizeof(surrogate->growth));
    if (!record_surrogate_is_credible(surrogate, message->octets))
        malformed();
}

static void take_head(struct load *load, struct incoming *incoming)
{
    struct dump_message *message = &incoming->message;

    take(load, message, sizeof(*message));
    if (message->ref_count == 0 || message->ref_count > RECORD_REFS_MAX ||
        message->unique_id_length > STORE_UNIQUE_ID_MAX ||
        message->body_length > UINT64_C(1) << 48 || message->octets > message->body_length ||
        message->top_length > message->body_length)
        malformed();
    take_surrogate(load, incoming);
    take(load, incoming->refs, message->ref_count * sizeof(*incoming->refs));
    take(load, incoming->unique_id, message->unique_id_length);
    if (message->unique_id_length > 0 &&
        !unique_id_is_text(incoming->unique_id, message->unique_id_length))
        malformed();
    incoming->unique_id[message->unique_id_length] = '\0';
}

/* Of several files that hold a message, the newest comes first and counts. */
static void choose_refs(struct load *load, struct incoming *incoming)
{
    incoming->wanted = 0;
    for (uint32_t i = 0; i < incoming->message.ref_count; i++) {
        struct listed *listed = find(load, incoming->refs[i].mailbox, incoming->refs[i].uid);
        if (listed == NULL || listed->loaded)
            continue;
        listed->loaded = 1;
        incoming->refs[incoming->wanted++] = incoming->refs[i];
    }
}

static void load_message(struct load *load, struct incoming *incoming)
{
    const struct dump_message *message = &incoming->message;

    take_head(load, incoming);
    choose_refs(load, incoming);
    if (incoming->wanted == 0) {
        take(load, NULL, message->body_length);
        return;
    }
    struct record_header *header =
        record_new(RECORD_MESSAGE, incoming->wanted,
                   message->unique_id_length > 0 ? incoming->unique_id : NULL);
    for (uint32_t i = 0; i < incoming->wanted; i++)
        record_refs(header)[i] =
            (struct record_ref){incoming->refs[i].mailbox, incoming->refs[i].uid};
    header->time = message->time;
    header->octets = message->octets;
    header->top_length = message->top_length;
    header->body_length = message->body_length;
    record_set_surrogate(header, &incoming->surrogate);
    write_record(load, header);
    free(header);
    load->done.messages += incoming->wanted;
}

/* --- what is no message ----------------------------------------------------------------------- */

/* Many references of one kind, gathered to records. */
struct gathering {
    enum record_type type;
    uint32_t count;
    struct record_ref refs[RECORD_REFS_MAX];
};

static void write_gathered(struct load *load, struct gathering *gathering)
{
    if (gathering->count == 0)
        return;
    struct record_header *header = record_new(gathering->type, gathering->count, NULL);
    memcpy(record_refs(header), gathering->refs, gathering->count * sizeof(gathering->refs[0]));
    write_record(load, header);
    free(header);
    gathering->count = 0;
}

static void gather(struct load *load, struct gathering *gathering, uint64_t mailbox, uint64_t uid)
{
    if (gathering->count == RECORD_REFS_MAX)
        write_gathered(load, gathering);
    gathering->refs[gathering->count++] = (struct record_ref){mailbox, uid};
}

/* Without a message that has it, an expunge tells that the highest uid has been given out. */
static void write_uids(struct load *load, struct gathering *gathering)
{
    gathering->type = RECORD_EXPUNGE;
    for (size_t i = 0; i < load->mailbox_count; i++) {
        const struct dump_mailbox *mailbox = &load->mailboxes[i];
        if (mailbox->dropped != 0 || mailbox->uid_next < 2)
            continue;
        const struct listed *last = find(load, mailbox->mailbox, mailbox->uid_next - 1);
        if (last == NULL || !last->loaded)
            gather(load, gathering, mailbox->mailbox, mailbox->uid_next - 1);
    }
    write_gathered(load, gathering);
}

static void write_drops(struct load *load, struct gathering *gathering)
{
    gathering->type = RECORD_DROP;
    for (size_t i = 0; i < load->mailbox_count; i++)
        if (load->mailboxes[i].dropped != 0)
            gather(load, gathering, load->mailboxes[i].mailbox, 0);
    write_gathered(load, gathering);
}

static void count_missing(struct load *load)
{
    for (size_t i = 0; i < load->listed_count; i++) {
        if (load->listed[i].loaded)
            continue;
        load->done.damaged++;
        log_error("not in the backup, for it was damaged then: mailbox=%" PRIu64 " uid=%" PRIx64,
                  load->listed[i].mailbox, (uint64_t)load->listed[i].uid);
    }
}

/* --- all of it -------------------------------------------------------------------------------- */

static void remove_file(const char *name)
{
    if (unlink(name) < 0 && errno != ENOENT)
        log_fatal("%s cannot be removed: %s", name, strerror(errno));
}

static void empty_store(void)
{
    uint64_t *ids;
    size_t count;

    check_disk(segment_list(&ids, &count));
    for (size_t i = 0; i < count; i++)
        check_disk(segment_remove(ids[i]));
    free(ids);
    remove_file(INDEX_PATH);
    remove_file(INDEX_PATH "-wal");
    remove_file(INDEX_PATH "-shm");
}

/*
 * The seed is a new one: backups that are made of this store from now on do not fit those that were
 * made of the old one, which may have gone on meanwhile.
 */
static void begin(struct load *load, uint64_t segment_size)
{
    if (sodium_init() < 0)
        log_fatal("libsodium does not start");
    if (access(LOAD_MARK, F_OK) < 0)
        log_fatal("a store is loaded by \"bellhop restore\"");
    (void)recovery_lock();
    empty_store();
    load->payload = xmalloc(DUMP_FRAME_MAX);
    load->buffer = xmalloc(WRITE_SIZE);
    load->segment_size = segment_size;
    load->segment.fd = -1;
    while (load->segment.seed == 0)
        randombytes_buf(&load->segment.seed, sizeof(load->segment.seed));
    load->index = index_open(INDEX_PATH, INDEX_WRITE);
    if (load->index == NULL)
        log_fatal("a new index cannot be made");
    index_begin(load->index);
    index_set_seed(load->index, load->segment.seed);
}

static void take_bodies(struct load *load)
{
    struct incoming incoming = {.refs = xmalloc(RECORD_REFS_MAX * sizeof(*incoming.refs))};

    if (!load->sorted && load->listed_count > 0)
        qsort(load->listed, load->listed_count, sizeof(*load->listed), compare);
    load->sorted = true;
    while (load->used < load->frame.length)
        load_message(load, &incoming);
    free(incoming.refs);
}

static void finish(struct load *load)
{
    struct gathering *gathering = xcalloc(1, sizeof(*gathering));

    write_uids(load, gathering);
    write_drops(load, gathering);
    free(gathering);
    end_segment(load);
    index_commit(load->index);
    index_close(load->index);
    count_missing(load);
}

int load_run(uint64_t segment_size)
{
    struct load load = {0};

    begin(&load, segment_size);
    for (next_frame(&load); load.frame.type != DUMP_END; next_frame(&load))
        switch (load.frame.type) {
        case DUMP_MAILBOXES: add_mailboxes(&load); break;
        case DUMP_MANIFEST: add_manifest(&load); break;
        case DUMP_BODIES: take_bodies(&load); break;
        default: malformed();
        }
    finish(&load);
    if (dump_send(STDOUT_FILENO, DUMP_END, &load.done, sizeof(load.done)) < 0)
        log_fatal("the restore's end cannot be told: %s", strerror(errno));
    free(load.mailboxes);
    free(load.listed);
    free(load.payload);
    free(load.buffer);
    return 0;
}
