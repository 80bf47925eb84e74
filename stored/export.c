#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/exportmsg.h"
#include "lib/log.h"
#include "lib/storemsg.h"
#include "lib/xalloc.h"
#include "stored/checksum.h"
#include "stored/export.h"
#include "stored/hold.h"
#include "stored/index.h"
#include "stored/recovery.h"
#include "stored/segments.h"

/* A body is read in pieces of this size; one that fits is read once, a longer one twice. */
#define PIECE (1024 * 1024)

struct place {
    struct export_message message;
    uint64_t segment;
    uint64_t offset;
    uint32_t header_length;
};

struct export
{
    struct hold hold;
    uint64_t seed;
    uint64_t mailbox;
    struct segments *segments;
    struct export_begin begin;
    struct place *places;
    size_t room;
    uint64_t body_sum; /* of the message in hand */
    union {
        struct record_header header;
        uint8_t octets[RECORD_HEADER_MAX];
    } head;
    uint8_t piece[PIECE];
};

static void check_written(bool written)
{
    if (!written && errno == EPIPE)
        _exit(EXIT_FAILURE); /* who asked has given up, and says why */
    if (!written)
        log_fatal("the export cannot be handed over: %s", strerror(errno));
}

static void put(const void *data, size_t length)
{
    check_written(length == 0 || fwrite(data, length, 1, stdout) == 1);
}

/* --- what is there ---------------------------------------------------------------------------- */

static int add_place(void *context, const struct index_message *message)
{
    struct export *export = context;

    if (export->begin.messages == export->room) {
        export->room = export->room > 0 ? 2 * export->room : 64;
        export->places = xrealloc(export->places, export->room * sizeof(*export->places));
    }
    struct place *place = &export->places[export->begin.messages++];
    memset(place, 0, sizeof(*place));
    place->message = (struct export_message){.magic = EXPORT_MAGIC,
                                             .uid = message->uid,
                                             .time = message->time,
                                             .octets = message->octets,
                                             .body_length = message->body_length};
    if (message->unique_id != NULL)
        snprintf(place->message.unique_id, sizeof(place->message.unique_id), "%s",
                 message->unique_id);
    else
        snprintf(place->message.unique_id, sizeof(place->message.unique_id), "%" PRIx64 ".%" PRIx64,
                 message->uid, message->time);
    place->segment = message->segment;
    place->offset = message->offset;
    place->header_length = message->header_length;
    export->begin.octets += message->body_length;
    return 0;
}

/* One read of the index is one moment; what it names stays where it is, for the store is held. */
static void list_messages(struct export *export)
{
    struct index *index = index_open(INDEX_PATH, INDEX_READ);
    const struct index_range all = {.mailbox = export->mailbox, .to = INT64_MAX, .most = INT64_MAX};

    if (index == NULL || index_get_seed(index, &export->seed) < 0 ||
        index_each_message(index, &all, add_place, export) < 0)
        log_fatal("the index %s cannot be read; start the service once, or run \"bellhop -C DIR "
                  "store rebuild\"",
                  INDEX_PATH);
    index_close(index);
}

/* --- reading one ------------------------------------------------------------------------------ */

/* Returns NULL, or what is wrong. */
static const char *read_octets(struct export *export, const struct place *place, uint64_t at,
                               void *data_r, size_t length)
{
    struct iovec piece = {data_r, length};

    int error = segments_read(export->segments, place->segment, &piece, 1, place->offset + at);
    return error != 0 ? strerror(error) : NULL;
}

static const char *check_header(struct export *export, const struct place *place)
{
    const struct record_header *header = &export->head.header;

    if (place->header_length < sizeof(*header) || place->header_length > RECORD_HEADER_MAX)
        return "the index is wrong about it";
    const char *problem = read_octets(export, place, 0, export->head.octets, place->header_length);
    if (problem != NULL)
        return problem;
    if (record_check(export->head.octets, place->header_length, place->segment, place->offset,
                     export->seed) != 0)
        return "its header's checksum does not fit";
    if (header->length != place->header_length ||
        header->body_length != place->message.body_length ||
        !record_names(header, export->mailbox, place->message.uid))
        return "the index names another message's place";
    export->body_sum = header->body_sum;
    return NULL;
}

/* Reads the body piece by piece, checks it, and writes it if asked to. */
static const char *walk_body(struct export *export, const struct place *place, bool write)
{
    const uint64_t whole = place->message.body_length;
    XXH3_state_t *sum = XXH3_createState();
    const char *problem = NULL;

    if (sum == NULL)
        log_fatal("out of memory");
    XXH3_64bits_reset_withSeed(sum, export->seed);
    for (uint64_t done = 0; problem == NULL && done < whole;) {
        size_t length = whole - done < PIECE ? (size_t)(whole - done) : PIECE;
        problem = read_octets(export, place, place->header_length + done, export->piece, length);
        if (problem == NULL) {
            XXH3_64bits_update(sum, export->piece, length);
            if (write)
                put(export->piece, length);
        }
        done += length;
    }
    if (problem == NULL && XXH3_64bits_digest(sum) != export->body_sum)
        problem = "its body's checksum does not fit";
    XXH3_freeState(sum);
    return problem;
}

static void tell_damaged(struct export *export, const struct place *place, const char *problem)
{
    char name[SEGMENT_NAME_SIZE];

    /* Of a store that is not held any more, nobody can tell what is damaged. */
    hold_check(&export->hold);
    segment_name(place->segment, name);
    log_error("damaged, and left out: mailbox=%" PRIu64 " unique-id=%s file=%s offset=%" PRIu64
              ": %s",
              export->mailbox, place->message.unique_id, name, place->offset, problem);
}

static void export_message(struct export *export, struct place *place)
{
    const char *problem = check_header(export, place);

    if (problem == NULL)
        problem = walk_body(export, place, false);
    place->message.damaged = problem != NULL;
    if (problem != NULL)
        tell_damaged(export, place, problem);
    put(&place->message, sizeof(place->message));
    if (problem != NULL)
        return;
    if (place->message.body_length <= PIECE) {
        put(export->piece, (size_t)place->message.body_length);
        return;
    }
    problem = walk_body(export, place, true);
    if (problem != NULL) {
        hold_check(&export->hold);
        log_fatal("a message changed while it was read (%s); run the same command again", problem);
    }
}

int export_run(const char *mailbox)
{
    const struct export_message last = {.magic = EXPORT_MAGIC};
    struct export *export = xcalloc(1, sizeof(*export));
    char *end;

    errno = 0;
    export->mailbox = strtoull(mailbox, &end, 10);
    if (errno != 0 || export->mailbox == 0 || *end != '\0')
        log_fatal("\"%s\" is no mailbox's number", mailbox);
    export->begin.magic = EXPORT_MAGIC;
    hold_take(&export->hold);
    hold_catch_up(&export->hold);
    list_messages(export);
    export->segments = segments_new(export->seed);
    put(&export->begin, sizeof(export->begin));
    for (uint32_t i = 0; i < export->begin.messages; i++)
        export_message(export, &export->places[i]);
    hold_check(&export->hold);
    put(&last, sizeof(last));
    check_written(fflush(stdout) == 0);
    segments_free(export->segments);
    hold_end(&export->hold);
    free(export->places);
    free(export);
    return 0;
}
