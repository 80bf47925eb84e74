/*
 * Recovery; see recovery.h and the state table in docs/DESIGN.md. What it trusts: a record whose
 * checksums fit was written by stored. What it does not: that the last group is whole. A record
 * with a good header and a bad body is damage if a later group exists (groups are written one after
 * another, so it had been durable) and its message was not expunged, for bodies of expunged
 * messages are given back to the disk; otherwise it is torn, was never acknowledged, and is left
 * out.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "lib/fault.h"
#include "lib/log.h"
#include "lib/xalloc.h"
#include "stored/index.h"
#include "stored/recovery.h"
#include "stored/scan.h"
#include "stored/segment.h"

#define INDEX_NEW_PATH INDEX_PATH ".new"

/* Records in one transaction of the index. */
#define APPLY_AT_ONCE 10000

struct suspect {
    struct record_header *header; /* a copy */
    bool unreadable;              /* the disk does not give the body back */
    struct suspect *next;
};

struct recovery {
    struct store *store;
    bool messages; /* the pass: messages, or what takes them away */
    struct segment segment;
    struct suspect *suspects;
    uint64_t records; /* valid ones in this segment */
    uint64_t applied; /* in this pass */
    unsigned in_transaction;
    time_t told;
    size_t number, count; /* of the segment among all */
    uint64_t start;       /* where in it this recovery begins */
    uint64_t done, all;   /* octets, of both passes */
};

/* Once a second; `offset` is in the segment in hand. */
static void tell_progress(struct recovery *recovery, uint64_t offset)
{
    time_t now = time(NULL);

    if (now == recovery->told)
        return;
    if (recovery->told != 0)
        log_info("recovery: %" PRIu64 "%% of %" PRIu64 " MiB, segment %zu of %zu, %" PRIu64
                 " %s applied",
                 recovery->all > 0
                     ? 100 * (recovery->done + offset - recovery->start) / recovery->all
                     : 100,
                 recovery->all >> 20, recovery->number + 1, recovery->count, recovery->applied,
                 recovery->messages ? "messages" : "expunges and drops");
    recovery->told = now;
}

static void apply(struct recovery *recovery, const struct record_header *header)
{
    if ((header->type == RECORD_MESSAGE) != recovery->messages)
        return;
    index_apply(recovery->store->index, header);
    recovery->applied++;
    /* Expunges are one transaction with the positions: a message must not come back after a crash.
     */
    if (!recovery->messages || ++recovery->in_transaction < APPLY_AT_ONCE)
        return;
    index_commit(recovery->store->index);
    index_begin(recovery->store->index);
    recovery->in_transaction = 0;
}

static void suspect(struct recovery *recovery, const struct record_header *header, bool unreadable)
{
    struct suspect *suspect = xmalloc(sizeof(*suspect));

    suspect->unreadable = unreadable;
    suspect->header = xmalloc(header->length);
    memcpy(suspect->header, header, header->length);
    suspect->next = recovery->suspects;
    recovery->suspects = suspect;
}

static void suspect_free(struct suspect *suspect)
{
    free(suspect->header);
    free(suspect);
}

static bool is_struck_out(const struct record_header *header)
{
    const struct record_ref *refs = record_refs(header);

    for (uint32_t i = 0; i < header->ref_count; i++)
        if (refs[i].mailbox != 0)
            return false;
    return true;
}

/*
 * Takes the references out of an unfinished message's record, so that a later rebuild, when there
 * are younger groups, does not take it for a damaged one.
 */
static void strike_out(struct recovery *recovery, struct record_header *header)
{
    struct segment segment = {.id = header->segment, .seed = recovery->store->seed};
    struct iovec piece = {header, header->length};

    memset(record_refs(header), 0, header->ref_count * sizeof(struct record_ref));
    int error = segment_open(&segment);
    if (error == 0) {
        record_seal(header, header->segment, header->offset, segment.seed);
        fault_point("recovery.strike");
        error = segment_write(&segment, &piece, 1, header->offset);
        if (error == 0)
            error = segment_sync(&segment);
        segment_close(&segment);
    }
    if (error != 0)
        log_warning("the unfinished message cannot be struck out: %s", strerror(error));
}

/* Leaves to the record the messages that have no other: a good copy of one is its place. */
static void apply_damaged(struct recovery *recovery, const struct record_header *header)
{
    struct record_header *copy = xmalloc(header->length);
    struct record_ref *refs = record_refs(copy);
    struct index_place place;
    bool any = false;

    memcpy(copy, header, header->length);
    for (uint32_t i = 0; i < copy->ref_count; i++) {
        if (refs[i].mailbox == 0)
            continue;
        int found = index_find_place(recovery->store->index, refs[i].mailbox, refs[i].uid, &place);
        if (found < 0)
            log_retry("the index cannot be read");
        if (found == 1)
            refs[i].mailbox = 0;
        any = any || found == 0;
    }
    if (any)
        apply(recovery, copy);
    free(copy);
}

/*
 * After the pass over all messages, when the number of the last group is known: what was not
 * durable yet is left out and taken off the list; the rest is damage, or a body that is not there
 * because its message was expunged.
 */
static void judge_suspects(struct recovery *recovery)
{
    struct suspect **link = &recovery->suspects;

    while (*link != NULL) {
        struct suspect *one = *link;
        char name[SEGMENT_NAME_SIZE];

        if (one->unreadable || one->header->commit < recovery->store->last_commit) {
            apply_damaged(recovery, one->header);
            link = &one->next;
            continue;
        }
        segment_name(one->header->segment, name);
        log_warning("file=%s offset=%" PRIu64 ": an unfinished message was not acknowledged and "
                    "is left out",
                    name, one->header->offset);
        strike_out(recovery, one->header);
        *link = one->next;
        suspect_free(one);
    }
}

static void tell_damage(struct recovery *recovery, const struct suspect *suspect,
                        const struct record_ref *ref)
{
    const struct record_header *header = suspect->header;
    struct index_place place = {0};
    char name[SEGMENT_NAME_SIZE];

    if (index_find_place(recovery->store->index, ref->mailbox, ref->uid, &place) != 1 ||
        place.segment != header->segment || place.offset != header->offset)
        return;
    segment_name(header->segment, name);
    log_error("damaged: mailbox=%" PRIu64 " uid=%" PRIu64 " file=%s offset=%" PRIu64
              ": %s; the message stays listed, and reading it is an error",
              ref->mailbox, ref->uid, name, header->offset,
              suspect->unreadable ? "the disk does not give the body back"
                                  : "the body's checksum does not fit");
}

/* After all expunges: the suspects that are still listed are damage. */
static void tell_damages(struct recovery *recovery)
{
    while (recovery->suspects != NULL) {
        struct suspect *one = recovery->suspects;
        for (uint32_t i = 0; i < one->header->ref_count; i++)
            tell_damage(recovery, one, &record_refs(one->header)[i]);
        recovery->suspects = one->next;
        suspect_free(one);
    }
}

static void on_record(void *context, const struct record_header *header, enum scan_body body)
{
    struct recovery *recovery = context;

    recovery->records++;
    if (header->commit > recovery->store->last_commit)
        recovery->store->last_commit = header->commit;
    if (body == SCAN_GOOD)
        apply(recovery, header);
    else if (recovery->messages && !is_struck_out(header))
        suspect(recovery, header, body == SCAN_UNREADABLE);
    tell_progress(recovery, header->offset);
}

static void on_gap(void *context, uint64_t from, uint64_t to)
{
    struct recovery *recovery = context;
    char name[SEGMENT_NAME_SIZE];

    if (!recovery->messages)
        return;
    segment_name(recovery->segment.id, name);
    log_error("damaged: file=%s: octets %" PRIu64 " to %" PRIu64 " are no record, valid ones "
              "follow; run \"bellhop -C DIR store verify\"",
              name, from, to);
}

static const struct scan_events events = {on_record, on_gap};

/*
 * Whether nothing acknowledged can be in the segment: no record, and where the first header would
 * be, nothing was ever written. That is what a crash leaves of a large message on its way in.
 */
static bool is_unused(const struct recovery *recovery, uint64_t applied)
{
    struct record_header header;
    struct iovec piece = {&header, sizeof(header)};
    static const struct record_header nothing;

    if (applied > SEGMENT_START || recovery->records > 0)
        return false;
    int error = segment_read(&recovery->segment, &piece, 1, SEGMENT_START);
    return error == ENODATA || (error == 0 && memcmp(&header, &nothing, sizeof(header)) == 0);
}

static void remove_unused(struct recovery *recovery)
{
    int error = segment_remove(recovery->segment.id);

    fault_point("recovery.removed");
    if (error != 0)
        log_warning("segment %" PRIu64 " is empty and cannot be removed: %s", recovery->segment.id,
                    strerror(error));
    index_forget_segment(recovery->store->index, recovery->segment.id);
}

static void tell_dirt(const struct segment *segment, uint64_t end, uint64_t dirt)
{
    char name[SEGMENT_NAME_SIZE];

    segment_name(segment->id, name);
    log_warning("file=%s: octets %" PRIu64 " to %" PRIu64 " behind the last record are left alone: "
                "mail that was cut off by a crash before it was acknowledged, or damage",
                name, end, dirt);
}

static void tell_stranger(const struct recovery *recovery)
{
    char name[SEGMENT_NAME_SIZE];

    segment_name(recovery->segment.id, name);
    if (recovery->messages)
        log_error("%s: %s; it is left alone: give it its own name again and run \"bellhop -C DIR "
                  "store rebuild\", or take it away",
                  name, segment_problem(EXDEV));
}

/* Where recovery has to begin in a segment. */
static uint64_t applied_of(const struct store *store, uint64_t id)
{
    struct index_segment row;

    if (index_get_segment(store->index, id, &row) < 0)
        log_retry("the index cannot be read");
    return row.applied > 0 ? row.applied : SEGMENT_START;
}

static void recover_segment(struct recovery *recovery, uint64_t id)
{
    struct store *store = recovery->store;
    uint64_t end, dirt, applied = applied_of(store, id);

    recovery->segment.id = id;
    recovery->segment.seed = store->seed;
    recovery->records = 0;
    recovery->start = applied;
    int error = segment_open(&recovery->segment);
    if (error == EXDEV) {
        tell_stranger(recovery);
        return;
    }
    /* After kill -9 the log's end may be in memory only, and the index must never be ahead of it.
     */
    if (error == 0 && recovery->messages && recovery->segment.size > applied)
        error = segment_sync(&recovery->segment);
    if (error == 0)
        error = scan_segment(&recovery->segment, applied, true, &events, recovery, &end, &dirt);
    if (error != 0)
        log_retry("segment %" PRIu64 " of the store cannot be read: %s", id, strerror(error));
    if (recovery->messages && dirt > end)
        tell_dirt(&recovery->segment, end, dirt);
    if (!recovery->messages) {
        if (is_unused(recovery, applied)) {
            remove_unused(recovery);
        } else {
            /* Nothing is appended to it any more; what is no record is kept for whoever looks. */
            index_set_applied(store->index, id, end);
            (void)segment_trim(&recovery->segment, dirt > end ? dirt : end);
        }
    }
    tell_progress(recovery, end);
    segment_close(&recovery->segment);
}

static uint64_t octets_to_read(const struct store *store, uint64_t id)
{
    uint64_t size = segment_file_size(id), applied = applied_of(store, id);

    return size > applied ? size - applied : 0;
}

static void pass(struct recovery *recovery, bool messages, const uint64_t *ids)
{
    recovery->messages = messages;
    recovery->applied = 0;
    index_begin(recovery->store->index);
    for (recovery->number = 0; recovery->number < recovery->count; recovery->number++) {
        uint64_t octets = octets_to_read(recovery->store, ids[recovery->number]);
        recover_segment(recovery, ids[recovery->number]);
        recovery->done += octets;
    }
    if (messages)
        judge_suspects(recovery);
    index_commit(recovery->store->index);
    if (recovery->applied > 0)
        log_info("recovery: applied %" PRIu64 " %s from the log", recovery->applied,
                 messages ? "messages" : "expunges and drops");
}

/* First all messages, then what takes them away: so the order of segments does not matter. */
static void apply_all(struct store *store, const uint64_t *ids, size_t count)
{
    struct recovery recovery = {.store = store, .count = count};

    for (size_t i = 0; i < count; i++)
        recovery.all += 2 * octets_to_read(store, ids[i]);
    pass(&recovery, true, ids);
    fault_point("recovery.messages");
    pass(&recovery, false, ids);
    tell_damages(&recovery);
}

/* What a segment's header says; 0: it has none that is good. */
static uint64_t seed_of_segment(uint64_t id)
{
    struct segment segment = {.id = id};

    if (segment_open(&segment) != 0)
        return 0;
    segment_close(&segment);
    return segment.seed;
}

/*
 * What most headers say: files that somebody put there from elsewhere are the fewer. 0: no header
 * is good.
 */
static uint64_t seed_of_log(const uint64_t *ids, size_t count)
{
    uint64_t found = 0;
    size_t most = 0;
    bool doubtful = false;
    uint64_t *seeds = xcalloc(count + 1, sizeof(*seeds));

    for (size_t i = 0; i < count; i++)
        seeds[i] = seed_of_segment(ids[i]);
    for (size_t i = 0; i < count; i++) {
        size_t same = 0;
        /* Few differ, if any: what has been counted once is not counted again. */
        for (size_t k = i; seeds[i] != 0 && seeds[i] != found && k < count; k++)
            same += seeds[k] == seeds[i];
        if (same == 0 || same < most)
            continue;
        doubtful = same == most;
        found = seeds[i];
        most = same;
    }
    free(seeds);
    if (doubtful)
        log_fatal("the segments in store/ are of several stores, and the index is gone: take away "
                  "those that do not belong to it");
    return found;
}

/* Whether nothing was ever written behind the headers: what a crash at the very first leaves. */
static bool log_is_unused(const uint64_t *ids, size_t count)
{
    bool unused = true;

    for (size_t i = 0; i < count && unused; i++) {
        struct recovery recovery = {.segment = {.id = ids[i], .seed = 1}};
        if (segment_open(&recovery.segment) != 0)
            return false;
        unused = is_unused(&recovery, SEGMENT_START);
        segment_close(&recovery.segment);
    }
    return unused;
}

/* The store's seed is in the index and in every segment's header. */
static void find_seed(struct store *store, const uint64_t *ids, size_t count)
{
    if (index_get_seed(store->index, &store->seed) < 0)
        log_retry("the index cannot be read");
    if (store->seed == 0)
        store->seed = seed_of_log(ids, count);
    if (store->seed == 0 && !log_is_unused(ids, count))
        log_fatal("no segment in store/ has a readable header and the index is gone: put index.db "
                  "or the segments back from a backup");
    while (store->seed == 0)
        randombytes_buf(&store->seed, sizeof(store->seed));
    index_begin(store->index);
    index_set_seed(store->index, store->seed);
    index_commit(store->index);
}

static int note_segment(void *context, const struct index_segment *segment)
{
    struct store *store = context;

    if (segment->segment >= store->next_segment)
        store->next_segment = segment->segment + 1;
    return 0;
}

struct missing {
    const uint64_t *ids; /* of the files, ascending */
    size_t count, next;
    uint64_t *empty; /* without a file and without mail */
    size_t empty_count;
};

static int find_missing(void *context, const struct index_segment *row)
{
    struct missing *missing = context;
    char name[SEGMENT_NAME_SIZE];

    while (missing->next < missing->count && missing->ids[missing->next] < row->segment)
        missing->next++;
    if (missing->next < missing->count && missing->ids[missing->next] == row->segment)
        return 0;
    if (row->live == 0) {
        missing->empty = xrealloc(missing->empty, (missing->empty_count + 1) * sizeof(uint64_t));
        missing->empty[missing->empty_count++] = row->segment;
        return 0;
    }
    segment_name(row->segment, name);
    log_error("damaged: %s is missing, with %" PRIu64 " octets of mail: put it back from a backup "
              "with the service stopped",
              name, row->live);
    return 0;
}

/* A segment is removed first and forgotten then; only what holds no mail may be missing. */
static void forget_missing(struct store *store, const uint64_t *ids, size_t count)
{
    struct missing missing = {.ids = ids, .count = count};

    if (index_each_segment(store->index, find_missing, &missing) < 0)
        log_retry("the index cannot be read");
    index_begin(store->index);
    /* Not before its absence is durable: the expunges of what is in it may go from then on. */
    for (size_t i = 0; i < missing.empty_count; i++)
        if (segment_remove(missing.empty[i]) == 0)
            index_forget_segment(store->index, missing.empty[i]);
    index_commit(store->index);
    free(missing.empty);
}

static void apply_log(struct store *store)
{
    uint64_t *ids;
    size_t count;

    int error = segment_list(&ids, &count);
    if (error != 0)
        log_retry("the folder store/ cannot be read: %s", strerror(error));
    store->next_segment = count > 0 ? ids[count - 1] + 1 : 1;
    if (index_each_segment(store->index, note_segment, store) < 0)
        log_retry("the index cannot be read");
    find_seed(store, ids, count);
    forget_missing(store, ids, count);
    apply_all(store, ids, count);
    fault_point("recovery.done");
    free(ids);
    /* Above all groups of earlier runs, which wrote into segments below the next. */
    if (store->last_commit < store->next_segment << 32)
        store->last_commit = store->next_segment << 32;
}

/*
 * Whether the index is another store's: it knows files that are here, and every header says that
 * they are not its own. One that knows none of them may be right, and the files are strangers.
 */
static bool index_is_foreign(struct store *store)
{
    uint64_t *ids, seed;
    size_t count;
    bool knows = false, own = false;

    int error = segment_list(&ids, &count);
    if (error != 0 || index_get_seed(store->index, &seed) < 0)
        log_retry("the store cannot be read: %s", strerror(error));
    for (size_t i = 0; i < count && seed != 0 && !own; i++) {
        uint64_t other = seed_of_segment(ids[i]);
        own = other == seed;
        knows = knows || (other != 0 && applied_of(store, ids[i]) > SEGMENT_START);
    }
    free(ids);
    return knows && !own;
}

void recovery_rebuild(struct store *store)
{
    if (unlink(INDEX_NEW_PATH) < 0 && errno != ENOENT)
        log_retry("%s cannot be removed: %s", INDEX_NEW_PATH, strerror(errno));
    (void)unlink(INDEX_NEW_PATH "-wal");
    (void)unlink(INDEX_NEW_PATH "-shm");
    store->index = index_open(INDEX_NEW_PATH, INDEX_WRITE);
    if (store->index == NULL)
        log_retry("a new index cannot be made");
    apply_log(store);
    index_close(store->index);
    store->index = NULL;
    fault_point("rebuild.built");
    /* First the old one: a crash from here on leaves no index, and that is rebuilt. */
    (void)unlink(INDEX_PATH);
    fault_point("rebuild.removing");
    (void)unlink(INDEX_PATH "-wal");
    (void)unlink(INDEX_PATH "-shm");
    fault_point("rebuild.removed");
    if (rename(INDEX_NEW_PATH, INDEX_PATH) < 0)
        log_retry("%s cannot be put in place: %s", INDEX_PATH, strerror(errno));
}

void recovery_run(struct store *store)
{
    store->index = index_open(INDEX_PATH, INDEX_WRITE);
    if (store->index != NULL && index_is_foreign(store)) {
        log_error("the index is not that of the segments in store/");
        index_close(store->index);
        store->index = NULL;
    }
    if (store->index == NULL) {
        log_error("the index is not usable; building it anew from the log");
        recovery_rebuild(store);
        store->index = index_open(INDEX_PATH, INDEX_WRITE);
        if (store->index == NULL)
            log_retry("the new index cannot be opened");
    }
    apply_log(store);
    /*
     * Where the last segment of an earlier run was removed, its number is given out again: no index
     * that a power loss throws back may know the old one, or it would take the new one's records
     * for applied.
     */
    index_sync(store->index);
}

int recovery_lock(void)
{
    int fd = open("store/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 && errno == EROFS) /* it can be checked, and its lock taken, all the same */
        fd = open("store/lock", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        log_fatal("store/lock cannot be opened: %s", strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        log_fatal(
            "the store is in use by a running service, or by a backup, a check or a restore of "
            "it: stop it, or wait for it");
    return fd;
}
