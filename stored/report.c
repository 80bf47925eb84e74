#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/storemsg.h"
#include "lib/xalloc.h"
#include "stored/hold.h"
#include "stored/index.h"
#include "stored/recovery.h"
#include "stored/report.h"
#include "stored/rowlist.h"
#include "stored/scan.h"
#include "stored/segment.h"
#include "stored/segments.h"

/* Whether nothing was ever served here: there is neither an index nor a log. */
static bool store_is_new(void)
{
    uint64_t *ids;
    size_t count;

    if (access(INDEX_PATH, F_OK) == 0 || errno != ENOENT || segment_list(&ids, &count) != 0)
        return false;
    free(ids);
    return count == 0;
}

/* NULL: the store is new, and so empty. */
static struct index *open_index(uint64_t *seed_r)
{
    if (store_is_new())
        return NULL;
    struct index *index = index_open(INDEX_PATH, INDEX_READ);

    if (index == NULL || index_get_seed(index, seed_r) < 0)
        log_fatal("the index %s cannot be read; start the service once, or run \"bellhop -C DIR "
                  "store rebuild\"",
                  INDEX_PATH);
    return index;
}

static void print_json(json_t *object)
{
    if (json_dumpf(object, stdout, JSON_INDENT(2)) == 0)
        putchar('\n');
    json_decref(object);
}

/* --- verify --------------------------------------------------------------------------------- */

struct verify {
    bool json;
    json_t *damages;
    uint64_t damage_count;
    uint64_t segment_count;
    /* The records of the segment in hand, in the order of their offsets. */
    struct seen {
        uint64_t offset;
        enum scan_body body;
        struct record_header *header;
    } * seen;
    size_t seen_count, seen_room;
    struct segment segment;
    uint64_t applied;
    /* All segments in ascending order; those before `next` have been read. */
    struct index_segment *segments;
    size_t count, room, next;
};

static void damage(struct verify *verify, const struct index_message *message, uint64_t offset,
                   const char *what)
{
    char name[SEGMENT_NAME_SIZE], id[STORE_UNIQUE_ID_MAX + 1] = "";

    verify->damage_count++;
    segment_name(message != NULL ? message->segment : verify->segment.id, name);
    if (message != NULL && message->unique_id != NULL)
        snprintf(id, sizeof(id), "%s", message->unique_id);
    else if (message != NULL)
        snprintf(id, sizeof(id), "%" PRIx64 ".%" PRIx64, message->uid, message->time);
    if (verify->json) {
        json_t *row = json_pack("{s:s, s:I, s:s}", "file", name, "offset", (json_int_t)offset,
                                "problem", what);
        if (message != NULL) {
            json_object_set_new(row, "mailbox", json_integer((json_int_t)message->mailbox));
            json_object_set_new(row, "unique_id", json_string(id));
        }
        json_array_append_new(verify->damages, row);
    } else if (message != NULL) {
        printf("mailbox %" PRIu64 " unique-id %s in %s at offset %" PRIu64 ": %s\n",
               message->mailbox, id, name, offset, what);
    } else {
        printf("%s at offset %" PRIu64 ": %s\n", name, offset, what);
    }
}

static void on_record(void *context, const struct record_header *header, enum scan_body body)
{
    struct verify *verify = context;

    /* What a serving process is writing just now is not in this index yet. */
    if (header->offset >= verify->applied || header->type != RECORD_MESSAGE)
        return;
    if (verify->seen_count == verify->seen_room) {
        verify->seen_room = verify->seen_room > 0 ? 2 * verify->seen_room : 1024;
        verify->seen = xrealloc(verify->seen, verify->seen_room * sizeof(*verify->seen));
    }
    struct seen *seen = &verify->seen[verify->seen_count++];
    seen->offset = header->offset;
    seen->body = body;
    seen->header = xmalloc(header->length);
    memcpy(seen->header, header, header->length);
}

static void on_gap(void *context, uint64_t from, uint64_t to)
{
    (void)to;
    damage(context, NULL, from, "octets that are no record, before a valid one");
}

static const struct scan_events events = {on_record, on_gap};

static int compare(const void *key, const void *element)
{
    const uint64_t *offset = key;
    const struct seen *seen = element;

    return (*offset > seen->offset) - (*offset < seen->offset);
}

static void forget_segment(struct verify *verify)
{
    for (size_t i = 0; i < verify->seen_count; i++)
        free(verify->seen[i].header);
    verify->seen_count = 0;
}

/* Reads a whole segment; messages of one that cannot be read are found missing one by one. */
static void take_segment(struct verify *verify, const struct index_segment *row)
{
    uint64_t end, dirt, seed = verify->segment.seed;

    forget_segment(verify);
    /* Without the seed first: then a damaged header is an error. */
    verify->segment = (struct segment){.id = row->segment, .fd = -1};
    verify->applied = row->applied;
    verify->segment_count++;
    int error = segment_open(&verify->segment);
    if (error == EBADMSG || error == EIO) {
        damage(verify, NULL, 0, segment_problem(error));
        verify->segment.seed = seed;
        error = segment_open(&verify->segment);
    }
    if (error == 0 && verify->segment.seed != seed)
        error = EXDEV;
    if (error == 0)
        error = scan_segment(&verify->segment, SEGMENT_START, true, &events, verify, &end, &dirt);
    verify->segment.seed = seed;
    if (error != 0)
        damage(verify, NULL, 0, segment_problem(error));
    else if (end < row->applied)
        damage(verify, NULL, end, "octets that are no record, where there were records");
    segment_close(&verify->segment);
}

static int note_segment(void *context, const struct index_segment *row)
{
    struct verify *verify = context;

    if (verify->count == verify->room) {
        verify->room = verify->room > 0 ? 2 * verify->room : 64;
        verify->segments = xrealloc(verify->segments, verify->room * sizeof(*verify->segments));
    }
    verify->segments[verify->count++] = *row;
    return 0;
}

/* Reads the segments up to `id`; those without messages too: expunges and drops are in them. */
static void take_segments(struct verify *verify, uint64_t id)
{
    while (verify->next < verify->count && verify->segments[verify->next].segment <= id)
        take_segment(verify, &verify->segments[verify->next++]);
}

/* Whether the index tells what the record's header tells: LIST, UIDL and RETR go by the index. */
static bool row_is_right(const struct index_message *row, const struct record_header *header)
{
    const char *id = record_unique_id(header);

    return row->time == header->time && row->octets == header->octets &&
           row->body_length == header->body_length && row->header_length == header->length &&
           row->has_surrogate == (record_form(header) == STORE_FORM_SURROGATE) &&
           (!row->has_surrogate || row->growth == record_surrogate(header).growth) &&
           (id == NULL) == (row->unique_id == NULL) &&
           (id == NULL || strcmp(id, row->unique_id) == 0);
}

static void verify_message(struct verify *verify, const struct index_message *message)
{
    take_segments(verify, message->segment);
    const struct seen *seen = NULL;
    if (verify->seen_count > 0 && verify->segment.id == message->segment)
        seen = bsearch(&message->offset, verify->seen, verify->seen_count, sizeof(*verify->seen),
                       compare);
    if (seen == NULL)
        damage(verify, message, message->offset, "its record is missing or its header is damaged");
    else if (!record_names(seen->header, message->mailbox, message->uid))
        damage(verify, message, message->offset, "its record does not name the mailbox");
    else if (!row_is_right(message, seen->header))
        damage(verify, message, message->offset,
               "the index says otherwise than its record: \"store rebuild\" mends that");
    else if (seen->body == SCAN_UNREADABLE)
        damage(verify, message, message->offset, "the disk does not give its body back");
    else if (seen->body == SCAN_BAD)
        damage(verify, message, message->offset, "its body is damaged");
}

static int list_message(void *context, const struct index_message *message)
{
    row_list_add(context, message);
    return 0;
}

/* Files that recovery leaves alone because they do not belong here; of the others the index knows.
 */
static void find_strangers(struct verify *verify)
{
    uint64_t *ids;
    size_t count, next = 0;

    int error = segment_list(&ids, &count);
    if (error != 0)
        log_fatal("the folder store/ cannot be read: %s", strerror(error));
    for (size_t i = 0; i < count; i++) {
        while (next < verify->count && verify->segments[next].segment < ids[i])
            next++;
        if (next < verify->count && verify->segments[next].segment == ids[i])
            continue;
        verify->segment.id = ids[i];
        error = segment_open(&verify->segment);
        if (error == EXDEV)
            damage(verify, NULL, 0, segment_problem(error));
        segment_close(&verify->segment);
    }
    free(ids);
}

static void verify_all(struct verify *verify, struct index_totals *totals_r)
{
    struct row_list *list = row_list_new();
    struct index_message message;
    struct hold hold;

    hold_take(&hold);
    struct index *index = open_index(&verify->segment.seed);
    /* One transaction: what is checked is the state of one moment. */
    index_begin_read(index);
    if (index_check(index) < 0 || index_each_segment(index, note_segment, verify) < 0 ||
        index_each_on_disk(index, list_message, list) < 0 ||
        index_get_totals(index, true, totals_r) < 0)
        log_fatal("the index cannot be read");
    index_close(index);
    row_list_rewind(list);
    while (row_list_next(list, &message))
        verify_message(verify, &message);
    row_list_free(list);
    take_segments(verify, UINT64_MAX);
    find_strangers(verify);
    free(verify->segments);
    forget_segment(verify);
    free(verify->seen);
    hold_check(&hold);
    hold_end(&hold);
}

int report_verify(bool json)
{
    struct verify verify = {.json = json, .damages = json_array(), .segment = {.fd = -1}};
    struct index_totals totals = {0};

    if (!store_is_new())
        verify_all(&verify, &totals);
    bool good = verify.damage_count == 0 && totals.wrong_usage == 0;
    if (json) {
        print_json(json_pack("{s:b, s:I, s:I, s:I, s:o}", "good", good, "messages",
                             (json_int_t)totals.messages, "segments",
                             (json_int_t)verify.segment_count, "wrong_usage",
                             (json_int_t)totals.wrong_usage, "damages", verify.damages));
        return good ? 0 : 1;
    }
    json_decref(verify.damages);
    if (totals.wrong_usage > 0)
        printf("%" PRIu64 " mailboxes have a usage that is not the sum of their messages; run "
               "\"bellhop -C DIR store rebuild\" with the service stopped\n",
               totals.wrong_usage);
    printf("%s: messages: %" PRIu64 ", mailboxes: %" PRIu64 ", segments: %" PRIu64
           ", damaged: %" PRIu64 "\n",
           good ? "good" : "NOT GOOD", totals.messages, totals.mailboxes, verify.segment_count,
           verify.damage_count);
    return good ? 0 : 1;
}

/* --- stats ---------------------------------------------------------------------------------- */

struct stats {
    bool json;
    json_t *segments;
    uint64_t seed, count, size, live, reclaimable;
};

static int stats_segment(void *context, const struct index_segment *row)
{
    struct stats *stats = context;
    struct segment segment = {.id = row->segment, .seed = stats->seed};
    char name[SEGMENT_NAME_SIZE];

    segment_name(row->segment, name);
    if (segment_open(&segment) != 0)
        return 0;
    segment_close(&segment);
    stats->count++;
    stats->size += segment.size;
    stats->live += row->live;
    uint64_t used = row->applied > SEGMENT_START ? row->applied - SEGMENT_START : 0;
    uint64_t dead = used > row->live ? used - row->live : 0;
    /* What punching has given back already is not there to be had again. */
    uint64_t reclaimable = dead > row->punched ? dead - row->punched : 0;
    stats->reclaimable += reclaimable;
    if (stats->json)
        json_array_append_new(stats->segments,
                              json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "file", name, "size",
                                        (json_int_t)segment.size, "used", (json_int_t)used, "live",
                                        (json_int_t)row->live, "dead", (json_int_t)dead,
                                        "reclaimable", (json_int_t)reclaimable));
    else
        printf("%-20s %14" PRIu64 " %14" PRIu64 " %14" PRIu64 " %14" PRIu64 " %14" PRIu64 "\n",
               name, segment.size, used, row->live, dead, reclaimable);
    return 0;
}

int report_stats(bool json)
{
    struct stats stats = {.json = json, .segments = json_array()};
    struct index *index = open_index(&stats.seed);
    struct index_totals totals = {0};

    if (!json)
        printf("%-20s %14s %14s %14s %14s %14s\n", "SEGMENT", "SIZE", "USED", "LIVE", "DEAD",
               "RECLAIMABLE");
    if (index != NULL && (index_each_segment(index, stats_segment, &stats) < 0 ||
                          index_get_totals(index, false, &totals) < 0))
        log_fatal("the index cannot be read");
    index_close(index);
    if (json) {
        print_json(json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "mailboxes",
                             (json_int_t)totals.mailboxes, "messages", (json_int_t)totals.messages,
                             "octets", (json_int_t)totals.octets, "size", (json_int_t)stats.size,
                             "live", (json_int_t)stats.live, "reclaimable",
                             (json_int_t)stats.reclaimable, "segments", stats.segments));
        return 0;
    }
    json_decref(stats.segments);
    printf("\nmessages: %" PRIu64 " (octets: %" PRIu64 ") in mailboxes: %" PRIu64
           "; segments: %" PRIu64 " (octets on disk: %" PRIu64 ", live: %" PRIu64
           ", reclaimable: %" PRIu64 ")\n",
           totals.messages, totals.octets, totals.mailboxes, stats.count, stats.size, stats.live,
           stats.reclaimable);
    return 0;
}
