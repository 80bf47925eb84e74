/*
 * Giving space back, against a model of what is in the mailboxes: whatever is delivered, expunged,
 * dropped, moved and removed, and however often the store is opened anew, with its index or
 * without, the mailboxes hold what they should.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/metrics.h"
#include "lib/xalloc.h"
#include "stored/commit.h"
#include "stored/emptying.h"
#include "stored/index.h"
#include "stored/mailbox.h"
#include "stored/reclaim.h"
#include "stored/recovery.h"
#include "stored/segments.h"
#include "stored/store.h"
#include "tests/unit/scratch.h"

#define SEGMENT_SIZE  (1024 * 1024) /* half of it is kept for expunges */
#define MAILBOXES     8
#define MESSAGES_MAX  4000 /* in a mailbox, in all its time */
#define BODY_MAX      (200 * 1024)
#define RECIPIENTS    3
#define NOTHING_LIVES UINT32_MAX

/* What should be in a mailbox: for each uid the number of its body, or NOTHING_LIVES. */
struct model {
    uint32_t bodies[MESSAGES_MAX];
    uint64_t uid_next;
    bool dropped;
};

static struct model models[MAILBOXES + 1];
static struct store store;
static struct reclaim *reclaim;
static struct mailbox *held[MAILBOXES + 1]; /* as if by a session */
static unsigned waiting;
static enum store_result awaited; /* of what is on its way */
static uint32_t next_body;
static unsigned random_state;

static unsigned draw(unsigned below)
{
    return (unsigned)rand_r(&random_state) % below;
}

/* --- the disk --------------------------------------------------------------------------------- */

static uint64_t free_octets = UINT64_MAX;

int fstatvfs(int fd, struct statvfs *disk_r)
{
    (void)fd;
    *disk_r = (struct statvfs){.f_frsize = 1, .f_bavail = free_octets};
    return 0;
}

/* --- the store -------------------------------------------------------------------------------- */

static void open_store(void)
{
    memset(&store, 0, sizeof(store));
    store.base = event_base_new();
    store.segment_size = SEGMENT_SIZE;
    store.reclaim_rate = UINT64_C(1) << 30;
    recovery_run(&store);
    store.mailboxes = mailboxes_new(store.index);
    store.segments = segments_new(store.seed);
    store.commits = commits_new(&store);
    reclaim = reclaim_new(&store);
}

static void on_drained(void *context)
{
    *(bool *)context = true;
}

static void let_go(uint64_t id)
{
    if (held[id] == NULL)
        return;
    mailbox_unlock(held[id]);
    mailbox_put(store.mailboxes, held[id]);
    held[id] = NULL;
}

static void close_store(void)
{
    bool drained = false;

    reclaim_stop(reclaim);
    commits_drain(store.commits, on_drained, &drained);
    while (!drained)
        event_base_loop(store.base, EVLOOP_ONCE);
    for (uint64_t id = 1; id <= MAILBOXES; id++)
        let_go(id);
    reclaim_free(reclaim);
    commits_free(store.commits);
    segments_free(store.segments);
    mailboxes_free(store.mailboxes);
    index_close(store.index);
    event_base_free(store.base);
}

/* Lets the event loop run until what was handed over is durable. */
static void run(void)
{
    alarm(60);
    while (waiting > 0)
        event_base_loop(store.base, EVLOOP_ONCE);
    alarm(0);
}

static void run_for(unsigned milliseconds)
{
    struct timeval time = {.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};

    event_base_loopexit(store.base, &time);
    event_base_dispatch(store.base);
}

/* Until there is nothing left to give back: the reclaim then looks twice a second. */
static void settle(void)
{
    uint64_t changes;

    run();
    do {
        changes = index_changes(store.index);
        run_for(1200);
    } while (index_changes(store.index) != changes);
}

/* --- changes ---------------------------------------------------------------------------------- */

struct sent {
    struct commit commit;
    struct segment own;
    uint8_t *body;
};

static void on_done(struct commit *commit, enum store_result result)
{
    struct sent *sent = (struct sent *)(void *)commit;

    assert_int_equal(result, awaited);
    segment_close(&sent->own);
    free(sent->body);
    free(commit->header);
    free(sent);
    waiting--;
}

/* Where `own`, the body is in a segment of its own. */
static void send_to(struct record_header *header, uint8_t *body, bool own)
{
    struct sent *sent = xcalloc(1, sizeof(*sent));
    struct iovec piece = {body, header->body_length};

    sent->own.fd = -1;
    sent->body = body;
    sent->commit = (struct commit){.header = header, .body = body, .done = on_done};
    sent->commit.frees_space = header->type != RECORD_MESSAGE;
    if (own) {
        sent->own = (struct segment){.id = store.next_segment++, .seed = store.seed};
        sent->own.size = SEGMENT_START + record_span(header);
        header->body_sum = record_sum(store.seed, body, header->body_length);
        assert_int_equal(segment_create(&sent->own, 0), 0);
        assert_int_equal(segment_write(&sent->own, &piece, 1, SEGMENT_START + header->length), 0);
        sent->commit.own = &sent->own;
    }
    waiting++;
    commit_add(store.commits, &sent->commit);
}

static void send_record(struct record_header *header, uint8_t *body)
{
    send_to(header, body, false);
}

/* The octets of a body follow from its number. */
static size_t make_body(uint32_t number, uint8_t *body_r)
{
    unsigned state = number * 2654435761U;
    size_t length = number % 7 == 0 ? BODY_MAX - number % 1000 : 100 + number % 9000;

    for (size_t i = 0; i < length; i += 97)
        body_r[i] = (uint8_t)rand_r(&state);
    return length;
}

static void deliver_to(const uint64_t *ids, uint32_t count, bool own)
{
    uint8_t *body = xcalloc(1, BODY_MAX);
    char unique_id[32];
    uint32_t number = next_body++;

    snprintf(unique_id, sizeof(unique_id), "imported-%u", number);
    struct record_header *header =
        record_new(RECORD_MESSAGE, count, count == 1 && number % 5 == 0 ? unique_id : NULL);
    header->body_length = header->octets = make_body(number, body);
    header->time = number + 1;
    for (uint32_t i = 0; i < count; i++) {
        struct model *model = &models[ids[i]];
        assert_true(model->uid_next < MESSAGES_MAX);
        model->bodies[model->uid_next] = number;
        record_refs(header)[i] = (struct record_ref){ids[i], model->uid_next++};
    }
    send_to(header, body, own);
}

static void deliver(const uint64_t *ids, uint32_t count)
{
    deliver_to(ids, count, false);
}

static void deliver_some(void)
{
    uint64_t ids[RECIPIENTS];
    uint32_t count = 0, wanted = draw(4) == 0 ? RECIPIENTS : 1;

    for (uint64_t id = 1 + draw(MAILBOXES); count < wanted && id <= MAILBOXES; id++)
        if (!models[id].dropped)
            ids[count++] = id;
    if (count > 0)
        deliver_to(ids, count, draw(40) == 0);
}

/* Takes a share of a mailbox's messages away, in one record, under its lock. */
static void expunge(uint64_t id, unsigned percent)
{
    struct model *model = &models[id];
    struct record_header *header = record_new(RECORD_EXPUNGE, MESSAGES_MAX, NULL);
    struct record_ref refs[MESSAGES_MAX];
    uint64_t places[MESSAGES_MAX];
    uint32_t count = 0;

    free(header);
    run();
    struct mailbox *mailbox = mailbox_get(store.mailboxes, id);
    if (held[id] == NULL && !mailbox_lock(mailbox)) {
        mailbox_put(store.mailboxes, mailbox);
        return;
    }
    for (uint64_t uid = 1; uid < model->uid_next; uid++) {
        struct index_place place;
        if (model->bodies[uid] == NOTHING_LIVES || draw(100) >= percent)
            continue;
        assert_int_equal(index_find_place(store.index, id, uid, &place), 1);
        model->bodies[uid] = NOTHING_LIVES;
        places[count] = place.segment;
        refs[count++] = (struct record_ref){id, uid};
    }
    if (count > 0) {
        header = record_new(RECORD_EXPUNGE, count, NULL);
        memcpy(record_refs(header), refs, count * sizeof(refs[0]));
        memcpy(record_places(header), places, count * sizeof(places[0]));
        send_record(header, NULL);
        run();
    }
    if (held[id] == NULL)
        mailbox_unlock(mailbox);
    mailbox_put(store.mailboxes, mailbox);
}

static void drop(uint64_t id)
{
    run();
    struct mailbox *mailbox = mailbox_get(store.mailboxes, id);
    if (mailbox_lock(mailbox)) {
        struct record_header *header = record_new(RECORD_DROP, 1, NULL);
        record_refs(header)[0].mailbox = id;
        send_record(header, NULL);
        run();
        models[id].dropped = true;
        for (uint64_t uid = 0; uid < MESSAGES_MAX; uid++)
            models[id].bodies[uid] = NOTHING_LIVES;
        mailbox_unlock(mailbox);
    }
    mailbox_put(store.mailboxes, mailbox);
}

/* A session opens the mailbox, or ends. */
static void hold(uint64_t id)
{
    if (held[id] != NULL) {
        let_go(id);
        return;
    }
    held[id] = mailbox_get(store.mailboxes, id);
    if (mailbox_lock(held[id]))
        return;
    mailbox_put(store.mailboxes, held[id]);
    held[id] = NULL;
}

/* --- checks ----------------------------------------------------------------------------------- */

struct checking {
    const struct model *model;
    uint64_t id;
    unsigned found;
};

static int check_message(void *context, const struct index_message *row)
{
    static union {
        struct record_header header;
        uint8_t octets[RECORD_HEADER_MAX];
    } record;
    static uint8_t expected[BODY_MAX], body[BODY_MAX];
    struct checking *checking = context;

    assert_true(row->uid < checking->model->uid_next);
    uint32_t number = checking->model->bodies[row->uid];
    assert_true(number != NOTHING_LIVES);
    const struct segment *segment = segments_get(store.segments, row->segment);
    assert_non_null(segment);
    struct iovec pieces[] = {{record.octets, row->header_length}, {body, row->body_length}};
    assert_int_equal(segment_read(segment, pieces, 2, row->offset), 0);
    assert_int_equal(
        record_check(record.octets, row->header_length, row->segment, row->offset, store.seed), 0);
    assert_true(record_names(&record.header, checking->id, row->uid));
    memset(expected, 0, sizeof(expected));
    size_t length = make_body(number, expected);
    assert_int_equal(row->body_length, length);
    assert_memory_equal(body, expected, length);
    assert_int_equal(row->time, number + 1);
    assert_int_equal(record.header.time, number + 1);
    if (row->unique_id != NULL) {
        char unique_id[32];
        snprintf(unique_id, sizeof(unique_id), "imported-%u", number);
        assert_string_equal(row->unique_id, unique_id);
        assert_string_equal(record_unique_id(&record.header), unique_id);
    }
    checking->found++;
    return 0;
}

static void check(void)
{
    struct index_totals totals;

    run();
    assert_int_equal(index_get_totals(store.index, true, &totals), 0);
    assert_int_equal(totals.wrong_usage, 0);
    for (uint64_t id = 1; id <= MAILBOXES; id++) {
        struct checking checking = {&models[id], id, 0};
        struct index_range all = {id, 1, INT64_MAX, INT64_MAX};
        struct index_mailbox mailbox;
        unsigned expected = 0;
        for (uint64_t uid = 1; uid < MESSAGES_MAX; uid++)
            expected += models[id].bodies[uid] != NOTHING_LIVES;
        assert_int_equal(index_each_message(store.index, &all, check_message, &checking), 0);
        assert_int_equal(checking.found, expected);
        assert_int_equal(index_get_mailbox(store.index, id, &mailbox), 0);
        assert_int_equal(mailbox.messages, expected);
        assert_int_equal(mailbox.dropped, models[id].dropped);
        if (!models[id].dropped)
            assert_int_equal(mailbox.uid_next, models[id].uid_next);
    }
}

struct space {
    uint64_t used, live, segments;
    char text[64 * 1024]; /* what is live in each segment */
    size_t length;
};

static int add_space(void *context, const struct index_segment *row)
{
    struct space *space = context;

    space->used += row->applied - row->punched;
    space->live += row->live;
    space->segments++;
    space->length +=
        (size_t)snprintf(space->text + space->length, sizeof(space->text) - space->length, "%u:%u ",
                         (unsigned)row->segment, (unsigned)row->live);
    return 0;
}

static struct space *measure_space(void)
{
    struct space *space = xcalloc(1, sizeof(*space));

    assert_int_equal(index_each_segment(store.index, add_space, space), 0);
    return space;
}

/* Opens the store anew. Without its index, the one that is built knows the same. */
static void reopen(bool rebuild)
{
    struct space *before, *after;

    close_store();
    if (rebuild)
        unlink(INDEX_PATH);
    open_store();
    check();
    if (!rebuild)
        return;
    close_store();
    unlink(INDEX_PATH);
    open_store();
    before = measure_space();
    close_store();
    unlink(INDEX_PATH);
    open_store();
    after = measure_space();
    assert_string_equal(before->text, after->text);
    free(before);
    free(after);
}

static int set_up(void **state)
{
    if (scratch_enter(state) != 0 || mkdir("store", 0700) != 0)
        return -1;
    for (uint64_t id = 0; id <= MAILBOXES; id++) {
        memset(&models[id], 0, sizeof(models[id]));
        memset(models[id].bodies, 0xff, sizeof(models[id].bodies));
        models[id].uid_next = 1;
    }
    next_body = 1;
    awaited = STORE_OK;
    free_octets = UINT64_MAX;
    open_store();
    return 0;
}

static int tear_down(void **state)
{
    close_store();
    return scratch_leave(state);
}

static void fill(uint64_t id, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        deliver(&id, 1);
    run();
}

/* All of one length, 100 to 9100 octets; 93 more than a multiple of 7 has it large. */
static void deliver_alike(uint64_t id, unsigned count, unsigned length)
{
    for (unsigned i = 0; i < count; i++) {
        next_body = 63000 * (i + 1) + length - 100;
        deliver(&id, 1);
    }
}

/* --- the cases -------------------------------------------------------------------------------- */

static void a_segment_without_mail_goes(void **state)
{
    struct space *space;
    (void)state;

    fill(1, 100);
    expunge(1, 100);
    fill(2, 100);
    expunge(2, 100);
    settle();
    space = measure_space();
    assert_int_equal(space->live, 0);
    assert_in_range(space->segments, 1, 2);
    free(space);
    reopen(false);
    reopen(true); /* nothing of the messages is left, yet their uids are not given out again */
    fill(1, 1);
    check();
}

static void what_is_left_of_a_sparse_one_moves(void **state)
{
    struct space *space;
    (void)state;

    for (unsigned round = 0; round < 30; round++) {
        fill(1, 40);
        fill(2, 3);
        expunge(1, 100);
    }
    fill(3, 10);
    settle();
    assert_true(metric_sum(METRIC_STORE_MOVED_OCTETS) > 0);
    space = measure_space();
    assert_in_range(space->used, 0, space->live / 10 * 15 + 2 * SEGMENT_SIZE);
    free(space);
    reopen(false);
    reopen(true);
}

static void nothing_goes_while_somebody_reads_the_files(void **state)
{
    struct space *before, *after;
    (void)state;

    store.holds = 1;
    fill(1, 100);
    expunge(1, 100);
    before = measure_space();
    settle();
    after = measure_space();
    assert_int_equal(before->segments, after->segments);
    free(before);
    free(after);
    store.holds = 0;
    settle();
    after = measure_space();
    assert_in_range(after->segments, 1, 2);
    free(after);
}

/* The disk is full, so room is made of whatever there is, but no copies are begun that would take
 * the rest of the disk before they give back what they were copied from. */
static void a_full_disk_takes_the_copies_that_it_can(void **state)
{
    int64_t moved = metric_sum(METRIC_STORE_MOVED_OCTETS);
    (void)state;

    store.holds = 1;
    for (unsigned round = 0; round < 150; round++) {
        deliver_alike(1, 1, 8000);
        deliver_alike(2, 1, 8000);
    }
    expunge(1, 100);
    free_octets = SEGMENT_SIZE * 7 / 8; /* copies could begin: a quarter stays free */
    awaited = STORE_FULL;
    struct record_header *header = record_new(RECORD_MESSAGE, 1, NULL);
    header->body_length = header->octets = SEGMENT_SIZE;
    record_refs(header)[0] = (struct record_ref){8, 1};
    send_record(header, xcalloc(1, SEGMENT_SIZE));
    run();
    assert_true(commits_full(store.commits));
    awaited = STORE_OK;
    store.holds = 0;
    settle();
    assert_true(metric_sum(METRIC_STORE_MOVED_OCTETS) == moved);
    struct space *before = measure_space();
    free_octets = SEGMENT_SIZE * 15 / 8; /* mail is refused as before */
    for (unsigned wait = 0; metric_sum(METRIC_STORE_MOVED_OCTETS) == moved; wait++) {
        assert_true(wait < 60);
        run_for(1000);
    }
    settle();
    struct space *after = measure_space();
    assert_true(commits_full(store.commits));
    assert_true(after->used < before->used);
    free(before);
    free(after);
    check();
}

/* Does one step after the other, and counts those behind which the walk goes on at once. */
static enum emptying_result empty_in(uint64_t segment, unsigned *steps_r)
{
    struct emptying *emptying = emptying_new(&store, segment, EMPTYING_REMOVE);
    enum emptying_result result;
    uint64_t copied;

    assert_non_null(emptying);
    *steps_r = 0;
    while ((result = emptying_step(emptying, &copied)) == EMPTYING_GOES_ON ||
           result == EMPTYING_WAITS) {
        *steps_r += result == EMPTYING_GOES_ON;
        event_base_loop(store.base, result == EMPTYING_WAITS ? EVLOOP_ONCE : EVLOOP_NONBLOCK);
    }
    emptying_free(emptying);
    return result;
}

static uint64_t segment_of(uint64_t mailbox, uint64_t uid)
{
    struct index_place place;

    assert_int_equal(index_find_place(store.index, mailbox, uid, &place), 1);
    return place.segment;
}

/* Its file is unlinked, but then the folder could not be synced. */
static void a_segment_that_has_gone_is_forgotten(void **state)
{
    struct index_segment row;
    uint64_t segment;
    char name[SEGMENT_NAME_SIZE];
    (void)state;

    store.holds = 1;
    fill(1, 100);
    segment = segment_of(1, 1);
    expunge(1, 100);
    segment_name(segment, name);
    assert_int_equal(unlink(name), 0);
    store.holds = 0;
    settle();
    assert_int_equal(index_get_segment(store.index, segment, &row), 0);
    assert_int_equal(row.applied, 0);
    reopen(true);
}

static enum emptying_result empty(uint64_t segment)
{
    unsigned steps;

    return empty_in(segment, &steps);
}

static bool exists(uint64_t segment)
{
    char name[SEGMENT_NAME_SIZE];

    segment_name(segment, name);
    return access(name, F_OK) == 0;
}

/* A mailbox is open, so a segment stays, while the copy of another message from it comes and goes.
 */
static void an_expunge_stays_as_long_as_what_it_was_of(void **state)
{
    uint64_t from, to;
    (void)state;

    fill(1, 1);
    fill(2, 1);
    fill(4, 60);
    hold(2);
    from = segment_of(1, 1);
    assert_int_equal(segment_of(2, 1), from);
    assert_int_equal(empty(from), EMPTYING_BUSY);
    to = segment_of(1, 1);
    assert_int_not_equal(from, to);
    expunge(1, 100);
    fill(1, 1); /* so that the expunge is not needed for the highest uid */
    expunge(1, 100);
    for (unsigned round = 0; round < 2; round++) {
        expunge(4, 100);
        fill(4, 60);
    }
    settle();
    assert_true(exists(from));
    assert_false(exists(to));
    let_go(2);
    reopen(true);
}

/*
 * A copy must stand behind what it was copied from, also of a message that came while much was
 * gathered and so has a segment of its own, behind the active one: else its expunge would go first.
 */
static void nothing_moves_backwards(void **state)
{
    uint64_t id = 1, own;
    (void)state;

    fill(2, 1);
    deliver_to(&id, 1, true);
    fill(1, 1);
    own = segment_of(1, 1);
    assert_true(own > segment_of(2, 1));
    assert_int_equal(empty(own), EMPTYING_BUSY);
    fill(4, 60);
    expunge(1, 50);
    expunge(1, 100);
    settle();
    assert_false(exists(own));
    for (unsigned round = 0; round < 2; round++) {
        expunge(4, 100);
        fill(4, 60);
    }
    settle();
    reopen(true);
}

/* Who deletes much at once writes long records; none of them may hold up the event loop. */
static void a_long_expunge_is_carried_in_pieces(void **state)
{
    uint64_t segment;
    unsigned steps;
    (void)state;

    store.holds = 1;
    for (unsigned i = 0; i < 30; i++) {
        deliver_alike(3, 50, 101);
        fill(2, 1);
    }
    hold(2); /* so that all segments stay */
    fill(4, 60);
    expunge(3, 100);
    segment = store.next_segment - 1;
    assert_true(commits_use(store.commits, segment));
    fill(4, 60);
    assert_int_equal(empty_in(segment, &steps), EMPTYING_DONE);
    assert_true(steps >= 1500 / 512);
    assert_false(exists(segment));
    fill(3, 1);
    reopen(true);
}

/* It would be carried again at each try. */
static void nothing_is_carried_out_of_a_segment_that_stays(void **state)
{
    struct space *before, *after;
    uint64_t segment;
    (void)state;

    store.holds = 1;
    deliver_alike(3, 1500, 101);
    run();
    while (commits_use(store.commits, segment_of(3, 1500)))
        fill(2, 1);
    hold(2);
    expunge(3, 100);
    segment = store.next_segment - 1;
    while (commits_use(store.commits, segment))
        fill(2, 1);
    before = measure_space();
    assert_int_equal(empty(segment), EMPTYING_BUSY);
    run();
    after = measure_space();
    assert_true(after->used == before->used);
    free(before);
    free(after);
    reopen(true);
}

static void a_damaged_message_keeps_its_segment(void **state)
{
    struct index_place place;
    struct index_segment row;
    char name[SEGMENT_NAME_SIZE];
    (void)state;

    fill(1, 1);
    fill(2, 60);
    fill(3, 60);
    assert_int_equal(index_find_place(store.index, 1, 1, &place), 1);
    segment_name(place.segment, name);
    FILE *file = fopen(name, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)place.offset + 150, SEEK_SET), 0);
    assert_true(fputc(0xaa, file) != EOF);
    fclose(file);
    expunge(2, 100);
    expunge(3, 100);
    settle();
    fill(4, 40);
    settle();
    assert_int_equal(access(name, F_OK), 0);
    assert_int_equal(index_get_segment(store.index, place.segment, &row), 0);
    assert_true(row.live > 0);
}

static void random_change(void)
{
    uint64_t id = 1 + draw(MAILBOXES);

    switch (draw(20)) {
    case 0: expunge(id, 100); break;
    case 1:
    case 2: expunge(id, 1 + draw(99)); break;
    case 3: hold(id); break;
    case 4: run_for(draw(60)); break;
    case 5: store.holds ^= 1; break;
    default: deliver_some();
    }
}

static void everything_at_random(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 8; seed++) {
        random_state = seed;
        for (unsigned change = 0; change < 300; change++)
            random_change();
        if (seed % 3 == 0)
            drop(1 + draw(MAILBOXES));
        store.holds = 0;
        run();
        check();
        reopen(seed % 2 == 0);
    }
    for (uint64_t id = 1; id <= MAILBOXES; id++)
        expunge(id, 95);
    settle();
    struct space *space = measure_space();
    assert_in_range(space->used, 0, space->live / 10 * 15 + 2 * SEGMENT_SIZE);
    free(space);
    reopen(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_segment_without_mail_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_left_of_a_sparse_one_moves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_goes_while_somebody_reads_the_files, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk_takes_the_copies_that_it_can, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_segment_that_has_gone_is_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_expunge_stays_as_long_as_what_it_was_of, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(nothing_moves_backwards, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_long_expunge_is_carried_in_pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_carried_out_of_a_segment_that_stays, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_message_keeps_its_segment, set_up, tear_down),
        cmocka_unit_test_setup_teardown(everything_at_random, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
