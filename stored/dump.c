/*
 * The snapshot is one read transaction of the index, which ends when the list of messages is made.
 * What the list names stays where it is, because the store is held.
 */
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/dump.h"
#include "lib/log.h"
#include "lib/xalloc.h"
#include "stored/checksum.h"
#include "stored/dump.h"
#include "stored/hold.h"
#include "stored/index.h"
#include "stored/recovery.h"
#include "stored/rowlist.h"
#include "stored/segment.h"
#include "stored/segments.h"

/* A body of at most this size is read once; a longer one is checked first, then read again. */
#define BODY_AT_ONCE (1024 * 1024)

struct dump {
    struct hold hold;
    uint64_t seed;
    struct index *index;
    struct segments *segments;
    struct dump_contents base_contents;
    struct dump_mailbox *base; /* of the backup that this one builds on, ascending */
    size_t base_count;
    struct dump_mailbox *mailboxes;
    size_t mailbox_count;
    struct row_list *list; /* of all messages; those of one record stand side by side */
    struct dump_contents contents;
    uint64_t last_segment, last_offset; /* of the row before, while the list is made */
    struct dump_writer writer;
    struct dump_end end;
    struct record_header *header; /* RECORD_HEADER_MAX octets */
    uint8_t *body;                /* BODY_AT_ONCE octets */
};

static void check_written(int result)
{
    if (result < 0 && errno == EPIPE)
        _exit(EXIT_FAILURE); /* who asked has given up, and says why */
    if (result < 0)
        log_fatal("the dump cannot be handed over: %s", strerror(errno));
}

/* --- what is asked for ------------------------------------------------------------------------ */

static void add_base(struct dump *dump, const struct dump_mailbox *mailboxes, size_t count)
{
    dump->base = xrealloc(dump->base, (dump->base_count + count) * sizeof(*dump->base));
    memcpy(dump->base + dump->base_count, mailboxes, count * sizeof(*dump->base));
    dump->base_count += count;
}

static void read_request(struct dump *dump)
{
    struct dump_frame frame = {0};
    void *payload = xmalloc(DUMP_FRAME_MAX);

    while (frame.type != DUMP_GO) {
        if (dump_receive(STDIN_FILENO, &frame, payload) <= 0)
            log_fatal("the dump was given up by who asked for it");
        if (frame.type == DUMP_CONTENTS && frame.length == sizeof(dump->base_contents))
            memcpy(&dump->base_contents, payload, sizeof(dump->base_contents));
        else if (frame.type == DUMP_MAILBOXES)
            add_base(dump, payload, frame.length / sizeof(struct dump_mailbox));
        else if (frame.type != DUMP_GO)
            log_fatal("a dump is asked for by bellhop backup");
    }
    free(payload);
}

static int compare_mailboxes(const void *a, const void *b)
{
    const struct dump_mailbox *x = a, *y = b;

    return (x->mailbox > y->mailbox) - (x->mailbox < y->mailbox);
}

static const struct dump_mailbox *find_base(const struct dump *dump, uint64_t mailbox)
{
    const struct dump_mailbox key = {.mailbox = mailbox};

    if (dump->base_count == 0)
        return NULL;
    return bsearch(&key, dump->base, dump->base_count, sizeof(key), compare_mailboxes);
}

/* --- the snapshot ----------------------------------------------------------------------------- */

static int list_mailbox(void *context, uint64_t mailbox, const struct index_mailbox *row)
{
    struct dump *dump = context;
    const size_t step = 1024;

    if (dump->mailbox_count % step == 0)
        dump->mailboxes =
            xrealloc(dump->mailboxes, (dump->mailbox_count + step) * sizeof(*dump->mailboxes));
    dump->mailboxes[dump->mailbox_count++] =
        (struct dump_mailbox){mailbox, row->uid_next, row->dropped};
    return 0;
}

/* A store that was put back by other means gives uids again that the older backup knows. */
static void check_base(const struct dump *dump)
{
    size_t at = 0;

    /* That is for who asked to tell, from CONTENTS. */
    if (memcmp(dump->base_contents.store, dump->contents.store, DUMP_STORE_SIZE) != 0)
        return;
    for (size_t i = 0; i < dump->base_count; i++) {
        const struct dump_mailbox *base = &dump->base[i];
        while (at < dump->mailbox_count && dump->mailboxes[at].mailbox < base->mailbox)
            at++;
        bool there = at < dump->mailbox_count && dump->mailboxes[at].mailbox == base->mailbox;
        if (!there || dump->mailboxes[at].uid_next < base->uid_next ||
            dump->mailboxes[at].dropped < base->dropped)
            log_fatal("the store is older than the backup to build on: make a whole one, without "
                      "--since");
    }
}

/* No earlier backup has it. */
static bool is_wanted(const struct dump *dump, const struct index_message *row)
{
    const struct dump_mailbox *base = find_base(dump, row->mailbox);

    return base == NULL || row->uid >= base->uid_next;
}

static int list_message(void *context, const struct index_message *row)
{
    struct dump *dump = context;

    row_list_add(dump->list, row);
    dump->contents.messages++;
    if (is_wanted(dump, row) &&
        (row->segment != dump->last_segment || row->offset != dump->last_offset)) {
        dump->contents.octets += sizeof(struct dump_message) + row->body_length;
        dump->last_segment = row->segment;
        dump->last_offset = row->offset;
    }
    return 0;
}

/* Tells one store from another without telling its seed. */
static void name_store(uint64_t seed, uint8_t store_r[DUMP_STORE_SIZE])
{
    static const char use[] = "bellhop store";

    crypto_generichash(store_r, DUMP_STORE_SIZE, (const uint8_t *)&seed, sizeof(seed),
                       (const uint8_t *)use, sizeof(use));
}

static void take_snapshot(struct dump *dump)
{
    hold_renew(&dump->hold);
    index_begin_read(dump->index);
    /* The first read is the snapshot's moment. */
    if (index_get_seed(dump->index, &dump->seed) < 0)
        log_fatal("the index cannot be read");
    hold_check(&dump->hold);
    check_written(dump_send(STDOUT_FILENO, DUMP_SNAPSHOT, NULL, 0));
    if (index_each_mailbox(dump->index, list_mailbox, dump) < 0)
        log_fatal("the index cannot be read");
    name_store(dump->seed, dump->contents.store);
    check_base(dump);
    if (index_each_on_disk(dump->index, list_message, dump) < 0)
        log_fatal("the index cannot be read");
    index_close(dump->index);
    dump->contents.mailboxes = dump->mailbox_count;
}

/* --- sending ---------------------------------------------------------------------------------- */

static void send_manifest(struct dump *dump)
{
    struct index_message row;

    row_list_rewind(dump->list);
    while (row_list_next(dump->list, &row)) {
        const struct dump_ref ref = {row.mailbox, row.uid};
        check_written(dump_write(&dump->writer, DUMP_MANIFEST, &ref, sizeof(ref)));
    }
}

static void send_contents(struct dump *dump)
{
    check_written(
        dump_write(&dump->writer, DUMP_CONTENTS, &dump->contents, sizeof(dump->contents)));
    for (size_t i = 0; i < dump->mailbox_count; i++)
        check_written(dump_write(&dump->writer, DUMP_MAILBOXES, &dump->mailboxes[i],
                                 sizeof(dump->mailboxes[i])));
    send_manifest(dump);
}

/* The references of one record that are wanted, side by side in the list. */
struct record_job {
    struct index_message place; /* of the first */
    uint32_t count, room;
    struct dump_ref *refs;
};

static void add_ref(struct record_job *job, const struct index_message *row)
{
    if (job->count == job->room) {
        job->room = job->room > 0 ? 2 * job->room : 16;
        job->refs = xrealloc(job->refs, job->room * sizeof(*job->refs));
    }
    if (job->count == 0)
        job->place = *row;
    job->refs[job->count++] = (struct dump_ref){row->mailbox, row->uid};
}

/* Reads `length` octets at `at` of the record. Returns NULL, or what is wrong. */
static const char *read_record(struct dump *dump, const struct index_message *place, uint64_t at,
                               void *data_r, size_t length)
{
    struct iovec piece = {data_r, length};

    int error = segments_read(dump->segments, place->segment, &piece, 1, place->offset + at);
    return error != 0 ? strerror(error) : NULL;
}

static const char *read_header(struct dump *dump, const struct record_job *job)
{
    const struct index_message *place = &job->place;

    if (place->header_length < sizeof(*dump->header) || place->header_length > RECORD_HEADER_MAX)
        return "the index is wrong about it";
    const char *problem = read_record(dump, place, 0, dump->header, place->header_length);
    if (problem != NULL)
        return problem;
    if (record_check(dump->header, place->header_length, place->segment, place->offset,
                     dump->seed) != 0 ||
        dump->header->length != place->header_length)
        return "its header is damaged";
    if (dump->header->type != RECORD_MESSAGE || dump->header->body_length != place->body_length)
        return "the index names another record's place";
    for (uint32_t i = 0; i < job->count; i++)
        if (!record_names(dump->header, job->refs[i].mailbox, job->refs[i].uid))
            return "its record does not name the mailbox";
    return NULL;
}

/* Reads the whole body in pieces, through dump->body; with `send` each piece is sent as well. */
static const char *walk_body(struct dump *dump, const struct index_message *place, bool send)
{
    XXH3_state_t *state = XXH3_createState();
    const char *problem = NULL;

    if (state == NULL)
        log_fatal("out of memory");
    XXH3_64bits_reset_withSeed(state, dump->seed);
    for (uint64_t done = 0; problem == NULL && done < place->body_length;) {
        uint64_t left = place->body_length - done;
        size_t length = left < BODY_AT_ONCE ? (size_t)left : BODY_AT_ONCE;
        problem = read_record(dump, place, place->header_length + done, dump->body, length);
        if (problem == NULL) {
            XXH3_64bits_update(state, dump->body, length);
            if (send)
                check_written(dump_write(&dump->writer, DUMP_BODIES, dump->body, length));
        }
        done += length;
    }
    if (problem == NULL && XXH3_64bits_digest(state) != dump->header->body_sum)
        problem = "its body is damaged";
    XXH3_freeState(state);
    return problem;
}

static void send_head(struct dump *dump, const struct record_job *job)
{
    const struct record_header *header = dump->header;
    const char *unique_id = record_unique_id(header);
    const struct store_surrogate surrogate = record_surrogate(header);
    const struct dump_message message = {
        .ref_count = job->count,
        .unique_id_length = unique_id != NULL ? (uint8_t)strlen(unique_id) : 0,
        .surrogate_version = surrogate.version,
        .surrogate_needed = surrogate.needed,
        .time = header->time,
        .octets = header->octets,
        .top_length = header->top_length,
        .body_length = header->body_length,
    };

    check_written(dump_write(&dump->writer, DUMP_BODIES, &message, sizeof(message)));
    if (surrogate.needed != 0)
        check_written(
            dump_write(&dump->writer, DUMP_BODIES, &surrogate.growth, sizeof(surrogate.growth)));
    check_written(
        dump_write(&dump->writer, DUMP_BODIES, job->refs, job->count * sizeof(*job->refs)));
    if (unique_id != NULL)
        check_written(dump_write(&dump->writer, DUMP_BODIES, unique_id, message.unique_id_length));
}

/* The body was good a moment ago. */
static void send_body(struct dump *dump, const struct index_message *place)
{
    if (place->body_length <= BODY_AT_ONCE) {
        check_written(
            dump_write(&dump->writer, DUMP_BODIES, dump->body, (size_t)place->body_length));
        return;
    }
    const char *problem = walk_body(dump, place, true);
    if (problem != NULL) {
        hold_check(&dump->hold);
        log_fatal("a message changed while it was read (%s): make the backup again", problem);
    }
}

static void tell_damaged(struct dump *dump, const struct record_job *job, const char *problem)
{
    char name[SEGMENT_NAME_SIZE];

    segment_name(job->place.segment, name);
    for (uint32_t i = 0; i < job->count; i++)
        log_error("damaged, and not in the backup: mailbox=%" PRIu64 " unique-id=%" PRIx64
                  ".%" PRIx64 " file=%s offset=%" PRIu64 ": %s",
                  job->refs[i].mailbox, job->refs[i].uid, job->place.time, name, job->place.offset,
                  problem);
    dump->end.damaged += job->count;
}

static void send_record(struct dump *dump, struct record_job *job)
{
    if (job->count == 0)
        return;
    const char *problem = read_header(dump, job);
    if (problem == NULL)
        problem = walk_body(dump, &job->place, false);
    if (problem == NULL) {
        send_head(dump, job);
        send_body(dump, &job->place);
        dump->end.messages += job->count;
    } else {
        /* Of a store that is not held any more, nobody can tell what is damaged. */
        hold_check(&dump->hold);
        tell_damaged(dump, job, problem);
    }
    job->count = 0;
}

static void send_bodies(struct dump *dump)
{
    struct record_job job = {0};
    struct index_message row;

    row_list_rewind(dump->list);
    while (row_list_next(dump->list, &row)) {
        if (!is_wanted(dump, &row))
            continue;
        if (row.segment != job.place.segment || row.offset != job.place.offset)
            send_record(dump, &job);
        add_ref(&job, &row);
    }
    send_record(dump, &job);
    free(job.refs);
}

/* --- all of it -------------------------------------------------------------------------------- */

static void begin(struct dump *dump)
{
    if (sodium_init() < 0)
        log_fatal("libsodium does not start");
    hold_take(&dump->hold);
    hold_catch_up(&dump->hold);
    dump->index = index_open(INDEX_PATH, INDEX_READ);
    if (dump->index == NULL)
        log_fatal("the index %s cannot be read", INDEX_PATH);
    check_written(dump_send(STDOUT_FILENO, DUMP_READY, NULL, 0));
    read_request(dump);
}

int dump_run(void)
{
    struct dump dump = {.list = row_list_new(),
                        .header = xmalloc(RECORD_HEADER_MAX),
                        .body = xmalloc(BODY_AT_ONCE)};

    begin(&dump);
    take_snapshot(&dump);
    dump_writer_init(&dump.writer, STDOUT_FILENO);
    dump.segments = segments_new(dump.seed);
    send_contents(&dump);
    send_bodies(&dump);
    hold_check(&dump.hold);
    check_written(dump_write(&dump.writer, DUMP_END, &dump.end, sizeof(dump.end)));
    check_written(dump_flush(&dump.writer));
    dump_writer_fini(&dump.writer);
    segments_free(dump.segments);
    hold_end(&dump.hold);
    row_list_free(dump.list);
    free(dump.base);
    free(dump.mailboxes);
    free(dump.header);
    free(dump.body);
    return 0;
}
